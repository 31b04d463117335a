"""What is refused at planning, before anything is sent or paid."""

from pathlib import Path
from typing import Any

import pytest

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.requests import ChatRequest, EmbeddingRequest
from ai_batch.openai.wire import check

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
TOOL = Tool(name="f")
CALL = ToolCall(id="c", name="f")
LOOSE: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}


def _faults(endpoint: str = CHAT, **fields: Any) -> list[tuple[str | None, str]]:
    request = ChatRequest.model_validate({"messages": "Hi", **fields})
    return [(problem.field, problem.message) for problem in check(request, endpoint)]


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_tokens": 1, "temperature": 2, "top_p": 0, "reasoning_effort": "max"},
        {"tools": [TOOL], "tool_choice": "f"},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tool_choice": "f", "extra": {"tools": [{"type": "web_search"}]}},
        {"messages": [user("a"), assistant(CALL), tool_result("c", "x"), assistant("b")]},
        {"messages": [system("a", "b"), user("a", Image(data=b"x", detail="high"))]},
        {"messages": [user(Document(data=b"x")), assistant("So?"), user("Yes.")]},
        {"output_type": {"type": "object"}},
        {"extra": {"stream": False, "store": True}},
    ],
)
def test_what_is_fine(endpoint: str, fields: dict[str, Any]) -> None:
    """Whatever both endpoints can do passes without a word."""
    assert _faults(endpoint, **fields) == []


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"max_tokens": 0}, "max_tokens", "0 is too small"),
        ({"temperature": 2.1}, "temperature", "2.1 is not within 0 and 2"),
        ({"temperature": float("nan")}, "temperature", "nan is not within"),
        ({"top_p": -0.1}, "top_p", "-0.1 is not within 0 and 1"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "'huge' is not one of none, minimal"),
        ({"tool_choice": "auto"}, "tool_choice", "no tools are"),
        ({"tools": [TOOL], "tool_choice": "g"}, "tool_choice", "'g' is not auto"),
        ({"tools": [TOOL, TOOL]}, "tools", "2 tools are called 'f'"),
        (
            {"tools": [Tool(name="f", strict=True, parameters=LOOSE)]},
            "tools[0].parameters",
            "strict mode can't express",
        ),
        (
            {"tools": [Tool(name="f", parameters={"a": object()})]},
            "tools[0].parameters",
            "can't be written as JSON",
        ),
        ({"output_type": list[int]}, "output_type", "of type 'array'"),
        ({"output_type": {"$ref": "#/$defs/A"}}, "output_type", "points to nothing"),
        ({"output_type": {"type": "object", "x": float("inf")}}, "output_type", "as JSON"),
        ({"extra": {"stream": True}}, "extra.stream", "cannot stream"),
        ({"extra": {"model": "x"}}, "extra.model", "one model"),
        ({"extra": {"a": float("nan")}}, "extra", "as JSON"),
        ({"extra": {"a": "\ud800"}}, "extra", "as JSON"),
        (
            {"max_tokens": 5, "extra": {"max_completion_tokens": 6}},
            "extra.max_completion_tokens",
            "given too",
        ),
    ],
)
@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
def test_parameters(fields: dict[str, Any], field: str, message: str, endpoint: str) -> None:
    """A value that no model takes is refused, with its field and what is allowed."""
    [(found, text)] = _faults(endpoint, **fields)

    assert found == field
    assert message in text


@pytest.mark.parametrize(
    ("messages", "field", "message"),
    [
        ([assistant(Thinking(text="Hm"))], "messages[0].parts[0]", "remove the Thinking part"),
        ([user(Thinking(text="Hm"))], "messages[0].parts[0]", "remove the Thinking part"),
        ([assistant("a", Image(data=b"x"))], "messages[0].parts[1]", "only Text, ToolCall"),
        ([system(Image(data=b"x"))], "messages[0].parts[0]", "only Text"),
        ([user(ToolCall(id="c", name="f"))], "messages[0].parts[0]", "can't be in a message"),
        ([Message(role="tool", parts=(Text(text="x"),))], "messages[0].parts[0]", "ToolResult"),
        ([Message(role="tool", parts=())], "messages[0]", "needs a tool result"),
        ([tool_result("", "x")], "messages[0].parts[0]", "must not be empty"),
        ([user("a"), tool_result("c", "x")], "messages[1]", "no earlier message"),
        ([assistant(CALL), user("a")], "messages", "the tool call 'c' has no result"),
        ([user(Image(data=b"x", detail="max"))], "messages[0].parts[0]", "'max' is not one of"),
    ],
)
@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
def test_messages(messages: list[Message], field: str, message: str, endpoint: str) -> None:
    """A part that a role cannot hold, or a call and a result that do not meet, is refused."""
    [(found, text)] = [
        fault for fault in _faults(endpoint, messages=messages) if "no result" not in fault[1]
    ] or _faults(endpoint, messages=messages)

    assert found == field
    assert message in text


def test_a_result_among_the_users_words() -> None:
    """Tool results belong to the role tool; the message says how to make one."""
    messages = [assistant(CALL), user(ToolResult(id="c", content="x"))]

    assert "use tool_result()" in _faults(messages=messages)[0][1]


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_calls_may_be_at_the_vendor(name: str) -> None:
    """A conversation that began at the vendor has its tool calls there."""
    found = _faults(RESPONSES, messages=[tool_result("c", "x")], extra={name: "resp_1"})

    assert found == []


@pytest.mark.parametrize(
    ("part", "on_chat", "on_responses"),
    [
        (Document(url="https://example.com/a.pdf"), "only /v1/responses takes", None),
        (Document(url="data:application/pdf;base64,AAAA"), None, None),
        (Audio(url="https://example.com/a.wav"), "no audio by URL", "takes no audio"),
        (Audio(data=b"x", format="ogg"), "'ogg' is not one of wav, mp3", "takes no audio"),
        (Audio(data=b"x"), "None is not one of wav, mp3", "takes no audio"),
        (Audio(data=b"x", format="mp3"), None, "takes no audio"),
        (Audio(path=Path("a.wav")), None, "takes no audio"),
    ],
)
def test_media(part: Document | Audio, on_chat: str | None, on_responses: str | None) -> None:
    """What one endpoint can do and the other cannot is told with the way out."""
    for endpoint, expected in ((CHAT, on_chat), (RESPONSES, on_responses)):
        found = _faults(endpoint, messages=[user(part)])
        if expected is None:
            assert found == []
        else:
            assert found[0][0] == "messages[0].parts[0]"
            assert expected in found[0][1]


def test_stop_sequences() -> None:
    """Chat completions take four; /v1/responses takes none, nor a seed."""
    assert _faults(stop=["a", "b", "c", "d"], seed=1) == []
    assert _faults(stop=["a", "b", "c", "d", "e"])[0][0] == "stop"
    assert [field for field, _ in _faults(RESPONSES, stop="a", seed=0)] == ["stop", "seed"]


def test_all_faults_are_told_together() -> None:
    """Nobody has to run the call five times to find five faults."""
    found = _faults(max_tokens=0, temperature=9, top_p=9, reasoning_effort="x", tool_choice="f")

    assert len(found) == 5


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"texts": ["a"] * 2049}, "texts"),
        ({"task": "search"}, "task"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 5, "model": "text-embedding-ada-002"}, "dimensions"),
        ({"extra": {"model": "x"}}, "extra.model"),
    ],
)
def test_embeddings(fields: dict[str, Any], field: str) -> None:
    """Too many texts, a task, impossible dimensions: OpenAI has none of them."""
    [problem] = check(EmbeddingRequest.model_validate({"texts": ["a"], **fields}), CHAT)

    assert problem.field == field


def test_fine_embeddings() -> None:
    """2048 texts and a number of dimensions pass."""
    assert check(EmbeddingRequest(texts=("a",) * 2048, dimensions=1), CHAT) == []
