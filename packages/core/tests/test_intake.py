"""What users hand in, and what they are told when it is wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    Image,
    Problem,
    Tool,
    ToolCall,
    UsageError,
    assistant,
    system,
    user,
)
from ai_batch.core.checks import check_request
from ai_batch.core.intake import items_of, load_media, read_request


def faults(item: object) -> list[str]:
    """What is wrong with an item, as the user reads it."""
    found = read_request(item, 3)
    problems = found if isinstance(found, list) else check_request(found)
    return [str(problem) for problem in problems]


def test_a_line_runs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Pydantic takes a text for the name of a type, and runs it to find out which."""
    line = b"""{"id": "q", "messages": "x", "output_type": "__import__('os').system('echo run')"}"""
    found = read_request(line, 3)

    assert isinstance(found, list)
    assert str(found[0]).startswith("request 'q' (index 3): output_type: output_type must be")
    assert "run" not in capfd.readouterr().out


def test_requests_dicts_and_strings_are_taken() -> None:
    """All three say the same."""
    asked = ChatRequest(messages="hello")

    for item in (asked, {"messages": "hello"}, "hello", b'{"messages": "hello"}'):
        assert read_request(item, 0) == asked
    assert read_request({"texts": ["a"]}, 0) == EmbeddingRequest(texts=["a"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (5, "request None (index 3): a request is a ChatRequest, an EmbeddingRequest, a dict or"),
        ({"id": "q"}, "request 'q' (index 3): a request needs messages (chat) or texts"),
        ({"id": 7, "texts": 5}, "request '7' (index 3): texts: Input should be a valid tuple"),
        ({"messages": "a", "max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
        (
            {"messages": "a", "maxtokens": 5},
            "maxtokens: there is no such field; did you mean max_tokens",
        ),
        (b"{not json", "the line is not JSON ("),
        (b"[1]", "the line must be a JSON object"),
        (b"[" * 100_000, "the line is not JSON (the JSON is nested too deeply): '[[[["),
        (b"\xff\xfe{}", "the line is not JSON ("),
        (b'{"messages": "a", "output_type": "b"}', "output_type: output_type must be a pydantic"),
    ],
)
def test_a_fault_names_place_field_and_what_was_found(item: object, message: str) -> None:
    """One look at the message is enough to find the line and mend it."""
    (text,) = faults(item)

    assert message in text


def test_all_faults_of_a_request_are_told_at_once() -> None:
    """Nobody mends one field after the other."""
    assert len(faults({"messages": 5, "temperature": "hot", "topp": 1})) == 3


def test_what_was_found_is_short_and_masked() -> None:
    """A megabyte in the wrong field does not fill the screen, nor a key the log."""
    (long,) = faults({"messages": "a", "max_tokens": "x" * 10_000})
    (key,) = faults({"messages": "a", "max_tokens": "sk-abcdefgh12345678"})

    assert len(long) < 200
    assert "sk-abcdefgh" not in key


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ChatRequest(messages=[]), "messages: no messages; give at least one"),
        (ChatRequest(messages=""), "messages[0]: an empty message"),
        (ChatRequest(messages=[system("s"), user()]), "messages[1]: an empty message"),
        (ChatRequest(messages="a", max_tokens=0), "max_tokens: must be 1 or more, found 0"),
        (EmbeddingRequest(texts=[]), "texts: no texts; give at least one"),
        (EmbeddingRequest(texts=["a", ""]), "texts[1]: an empty text; vendors refuse it"),
        (EmbeddingRequest(texts="a", dimensions=0), "dimensions: must be 1 or more, found 0"),
    ],
)
def test_what_every_vendor_refuses_is_refused_here(request_: Any, message: str) -> None:
    """Before anything is sent or paid."""
    assert [str(problem) for problem in check_request(request_)] == [message]


def deep(levels: int) -> Any:
    """A list in a list in a list..."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [math.nan, object(), {1, 2}, deep(250), deep(5000)])
def test_what_cannot_be_written_is_refused_here(value: Any) -> None:
    """Wherever it stands: planning would fail on it, without telling whose it is."""
    schema = {"type": "object", "odd": value}
    call = ToolCall(id="c", name="t", arguments={"a": value})
    fields = {
        "extra": ChatRequest(messages="a", extra={"a": value}),
        "tools[0].parameters": ChatRequest(messages="a", tools=[Tool(name="t", parameters=schema)]),
        "messages[0].parts[0].arguments": ChatRequest(messages=assistant(call)),
    }
    for field, request in fields.items():
        (problem,) = check_request(request)
        assert str(problem).startswith(f"{field}: this can't be written as JSON: ")
    (problem,) = check_request(EmbeddingRequest(texts="a", extra={"a": value}))
    assert problem.field == "extra"
    assert any("output_type" in fault for fault in faults({"messages": "a", "output_type": schema}))


def test_a_good_request_has_no_faults() -> None:
    """A picture alone is a message as well."""
    picture = user(Image(url="https://example.com/a.png"))

    assert check_request(ChatRequest(messages=picture)) == []
    assert check_request(EmbeddingRequest(texts="a")) == []


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    """Blank lines are nothing, and neither is a last line's missing end."""
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"messages": "a"}\n\n   \n{"messages": "b"}')

    for given in (path, str(path)):
        items = [read_request(item, 0) for item in items_of(given)]
        assert items == [ChatRequest(messages="a"), ChatRequest(messages="b")]


def test_a_file_that_is_not_there_is_told_of() -> None:
    """Who meant the string as a prompt learns what to write instead."""
    with pytest.raises(UsageError, match=r"'What is AI\?' cannot be read: No such file.*a list"):
        list(items_of("What is AI?"))


@pytest.mark.parametrize("single", [ChatRequest(messages="a"), {"messages": "a"}])
def test_a_single_request_is_no_list(single: Any) -> None:
    """A dict would be iterated by its keys, which nobody means."""
    with pytest.raises(UsageError, match="not a single request"):
        list(items_of(single))


def test_what_cannot_be_iterated_is_told_of() -> None:
    """The message names the type that was found."""
    with pytest.raises(UsageError, match=r"requests must be iterable.* not int"):
        list(items_of(5))  # type: ignore[arg-type]


def test_files_of_parts_are_read_in(tmp_path: Path) -> None:
    """The request that is kept holds the bytes."""
    path = tmp_path / "a.png"
    path.write_bytes(b"data")

    loaded = load_media(ChatRequest(messages=user("look", Image(path=path))))

    assert isinstance(loaded, ChatRequest)
    assert loaded.messages[0].parts[1] == Image(data=b"data", media_type="image/png")


def test_a_missing_file_of_a_part_is_a_fault_of_the_request(tmp_path: Path) -> None:
    """It is told with all others, before anything is sent."""
    problem = load_media(ChatRequest(messages=user(Image(path=tmp_path / "gone.png"))))

    assert isinstance(problem, Problem)
    assert "gone.png" in problem.message
    assert problem.field == "messages"
