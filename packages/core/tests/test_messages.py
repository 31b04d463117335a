"""Messages, parts and tools, as users write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from ai_batch.core import (
    Audio,
    Document,
    Image,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool_result,
    user,
)


class Place(BaseModel):
    city: str


PIXEL = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "parts",
    [
        "hello",
        Text(text="hello"),
        ["hello"],
        [Text(text="hello")],
        ("hello",),
        [{"type": "text", "text": "hello"}],
    ],
)
def test_a_text_may_be_written_in_many_ways(parts: Any) -> None:
    """A string, a part, or a list of either is the same message."""
    assert Message(role="user", parts=parts) == user("hello")


def test_content_is_another_name_of_parts() -> None:
    """Messages as vendors write them are understood."""
    assert Message.model_validate({"role": "user", "content": "hello"}) == user("hello")


def test_helpers_set_the_role() -> None:
    """One helper per role; a tool's answer names its call."""
    assert [message.role for message in (system("s"), user("u"), assistant("a"))] == [
        "system",
        "user",
        "assistant",
    ]
    answer = tool_result("call_1", "42", name="add", is_error=True)
    assert answer.role == "tool"
    assert answer.parts == (ToolResult(id="call_1", content="42", name="add", is_error=True),)


def test_the_text_of_a_message_joins_its_text_parts() -> None:
    """Pictures and calls are left out."""
    message = user("a", Image(url="https://example.com/a.png"), "b")

    assert message.text == "ab"
    assert not message.only_text
    assert user("a", "b").only_text


def test_a_medium_has_exactly_one_source() -> None:
    """Neither none nor two of url, path and data."""
    with pytest.raises(ValidationError, match="exactly one of url, path and data, not 0"):
        Image()
    with pytest.raises(ValidationError, match="exactly one of url, path and data, not 2"):
        Image(url="https://example.com/a.png", data=PIXEL)


def test_data_travels_as_base64() -> None:
    """Bytes in, base64 in JSON, the same bytes back."""
    image = Image(data=PIXEL, media_type="image/png")

    text = user(image).model_dump_json()

    assert '"iVBORw0KGgo="' in text
    assert Message.model_validate_json(text).parts == (image,)
    assert image.data_url("image/jpeg") == "data:image/png;base64,iVBORw0KGgo="
    assert Image(data=PIXEL).data_url("image/jpeg").startswith("data:image/jpeg;")
    assert image.base64() == "iVBORw0KGgo="


def test_data_that_is_no_base64_is_refused() -> None:
    """The message says what is allowed."""
    with pytest.raises(ValidationError, match="data must be bytes, or base64 text"):
        Image.model_validate({"data": "not base64!"})


def test_a_file_is_read_with_its_type_and_name(tmp_path: Path) -> None:
    """A path becomes bytes when the job is planned, so that the job does not depend on it."""
    picture, paper, sound = (tmp_path / name for name in ("a.png", "b.pdf", "c.MP3"))
    for path in (picture, paper, sound):
        path.write_bytes(b"data")

    image = Image(path=picture, detail="low").loaded()
    document = Document(path=paper).loaded()
    audio = Audio(path=sound).loaded()

    assert (image.data, image.path, image.media_type) == (b"data", None, "image/png")
    assert image.detail == "low"
    assert (document.name, document.media_type) == ("b.pdf", "application/pdf")
    assert audio.format == "mp3"
    assert Image(data=PIXEL).loaded() == Image(data=PIXEL)


def test_what_was_given_wins_over_what_is_guessed(tmp_path: Path) -> None:
    """The user's own media type, name and format stay."""
    path = tmp_path / "x.bin"
    path.write_bytes(b"data")

    assert Image(path=path, media_type="image/webp").loaded().media_type == "image/webp"
    assert Document(path=path, name="y.pdf").loaded().name == "y.pdf"
    assert Audio(path=path, format="wav").loaded().format == "wav"


def test_data_does_not_fill_the_repr() -> None:
    """A log line with a picture of a megabyte helps nobody."""
    assert "x" * 100 not in repr(Image(data=b"x" * 1000))


def test_unknown_fields_are_refused() -> None:
    """A typo is an error, not silence."""
    with pytest.raises(ValidationError, match="txt"):
        Text.model_validate({"text": "a", "txt": "b"})


def test_a_function_becomes_a_tool() -> None:
    """Name, docstring, types and defaults of a function are its schema."""

    def weather(place: Place, unit: Literal["c", "f"] = "c", days: int = 1) -> str:
        """Tell the weather."""
        return f"{place}{unit}{days}"

    tool = Tool.from_function(weather, strict=True)

    assert (tool.name, tool.description, tool.strict) == ("weather", "Tell the weather.", True)
    assert tool.parameters["required"] == ["place"]
    assert tool.parameters["properties"]["unit"] == {
        "default": "c",
        "enum": ["c", "f"],
        "title": "Unit",
        "type": "string",
    }
    assert "title" not in tool.parameters


def test_a_parameter_without_a_type_may_be_anything() -> None:
    """An untyped function is described as well as can be."""
    scope: dict[str, Any] = {}
    exec("def add(a, b=1): ...", scope)  # noqa: S102

    tool = Tool.from_function(scope["add"])

    assert set(tool.parameters["properties"]) == {"a", "b"}
    assert tool.description is None


@pytest.mark.parametrize("star", ["*", "**"])
def test_parameters_without_names_are_refused(star: str) -> None:
    """No schema can name what a function takes by stars."""
    scope: dict[str, Any] = {}
    exec(f"def tool({star}rest): ...", scope)  # noqa: S102

    with pytest.raises(TypeError, match=r"tool: \*rest cannot become a tool parameter"):
        Tool.from_function(scope["tool"])


@pytest.mark.parametrize("name", ["", "with space", "a" * 65, "dots.are.out"])
def test_tool_names_are_those_that_vendors_take(name: str) -> None:
    """Letters, digits, underscores and dashes, up to 64."""
    with pytest.raises(ValidationError, match="name"):
        Tool(name=name)


def test_messages_are_hashable_values_that_do_not_change() -> None:
    """Frozen, so that a request means the same when it is encoded a second time."""
    with pytest.raises(ValidationError, match="frozen"):
        user("a").role = "system"
    assert ToolCall(id="1", name="f", arguments={"a": 1}).arguments == {"a": 1}
