"""What Gemini cannot do is found before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from ai_batch.core import (
    Audio,
    ChatRequest,
    Document,
    EmbeddingRequest,
    Image,
    Text,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.messages import Message, ToolResult
from ai_batch.gemini import wire

NOW = Tool(name="now")
CALL = ToolCall(id="c", name="now")
FLASH = "gemini-2.5-flash"


def faults(request: ChatRequest | EmbeddingRequest, model: str = FLASH, **given: Any) -> list[str]:
    """The fields of all problems, each with its message."""
    return [f"{p.field}: {p.message}" for p in wire.check(request, model, **given)]


POSSIBLE: list[Any] = [
    {},
    {"temperature": 2.0, "top_p": 1.0, "stop": ["a"] * 5, "seed": -5, "max_tokens": 9},
    {"reasoning_effort": "none"},
    {"tools": [NOW], "tool_choice": "now"},
    {"tool_choice": "auto", "extra": {"tools": [{"googleSearch": {}}]}},
    {"output_type": int},
    {"extra": {"safetySettings": [], "labels": {"a": "b"}}},
]


@pytest.mark.parametrize(
    "given",
    POSSIBLE,
    ids=str,
)
def test_what_gemini_can_do_has_no_problem(given: dict[str, Any]) -> None:
    """Limits are reached and not passed."""
    assert faults(ChatRequest(messages="Hello", **given)) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"temperature": 2.1}, "temperature: 2.1 is not within 0 and 2"),
        ({"top_p": -0.1}, "top_p: -0.1 is not within 0 and 1"),
        ({"seed": 2**31}, "seed: 2147483648 does not fit 32 bits"),
        ({"stop": ["a"] * 6}, "stop: 6 sequences; Gemini takes at most 5"),
        ({"reasoning_effort": "xhigh"}, "reasoning_effort: 'xhigh' is not one of"),
        ({"tool_choice": "now"}, "tool_choice: 'now' is given, but no tools are"),
        ({"tools": [NOW], "tool_choice": "then"}, "tool_choice: 'then' is not auto"),
        ({"tools": [NOW, NOW]}, "tools: 2 tools are called 'now'"),
        ({"tools": [Tool(name="1st")]}, "tools: '1st' must begin with a letter"),
        ({"output_type": dict[str, int]}, "output_type: Gemini can't express the schema"),
        ({"extra": {"contents": []}}, "extra.contents: give it as messages"),
        ({"extra": {"model": "m"}}, "extra.model: give it as model"),
        ({"extra": {"x": float("nan")}}, "extra: this can't be written as JSON"),
        ({"extra": {"labels": {"ai_batch_key": "x"}}}, "extra.labels.ai_batch_key"),
        (
            {"tools": [Tool(name="odd", parameters={"x": {1, 2}})]},
            "tools[0].parameters: this can't be written as JSON",
        ),
    ],
    ids=str,
)
def test_options_that_gemini_does_not_have(given: dict[str, Any], problem: str) -> None:
    """One problem each, with the field and what is allowed."""
    [found] = faults(ChatRequest(messages="Hello", **given))

    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("model", "effort", "problem"),
    [
        ("gemini-2.0-flash", "low", "gemini-2.0-flash does not think"),
        ("gemini-1.5-pro", "low", "does not think"),
        ("gemini-2.5-pro", "none", "can't do without thoughts"),
        ("gemini-3-pro", "none", "'none' is not one of minimal, low, medium, high"),
        ("gemini-flash-latest", "max", "'max' is not one of"),
    ],
)
def test_efforts_depend_on_the_model(model: str, effort: str, problem: str) -> None:
    """Some do not think, some can't but think, and each family has words of its own."""
    [found] = faults(ChatRequest(messages="Hello", reasoning_effort=effort), model)

    assert problem in found


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([system("x")], "messages: Gemini wants a message beside those of the system"),
        ([user("x"), system("y")], "messages[1]: Gemini takes instructions of the system in front"),
        (
            [Message(role="system", parts=[Image(data=b"x")]), user("y")],
            "messages[0].parts[0]: a Image can't be in a message of role system, only Text",
        ),
        (
            [user(CALL)],
            "messages[0].parts[0]: a ToolCall can't be in a message of role user",
        ),
        (
            [Message(role="user", parts=[ToolResult(id="c", content="x", name="now")])],
            "messages[0].parts[0]: a ToolResult can't be in a message of role user",
        ),
        (
            [user("x"), Message(role="tool", parts=[Text(text="y")])],
            "messages[1].parts[0]: a Text can't be in a message of role tool, only ToolResult",
        ),
        ([user("x"), Message(role="tool", parts=[])], "messages[1]: the message has no parts"),
        (
            [user("x"), tool_result("c", "y")],
            "messages[1].parts[0]: no earlier message has a tool call with the id 'c'",
        ),
        (
            [
                user("x"),
                assistant(ToolCall(id="c", name="now", raw_arguments="[")),
                tool_result("c", "y"),
            ],
            "messages[1].parts[0]: the call's arguments are no JSON object",
        ),
        ([user("x"), assistant(CALL)], "messages: each tool call needs its result"),
        (
            [user("x"), assistant(CALL), user("y"), tool_result("c", "z")],
            "messages: each tool call needs its result",
        ),
        (
            [user("x"), assistant(CALL, CALL), tool_result("c", "z")],
            "messages: each tool call needs its result",
        ),
        ([user(Image(data=b"x", detail="high"))], "messages[0].parts[0]: Gemini has no detail"),
        ([user(Audio(data=b"x"))], "messages[0].parts[0]: give the sound's format"),
        ([user(Image(url="https://x.test/a"))], "messages[0].parts[0]: the URL does not tell"),
        ([user(Image(url="data:image/png,x"))], "messages[0].parts[0]: a data: URL must be base64"),
        ([user(Image(url="data:;base64,x"))], "messages[0].parts[0]: the data: URL does not tell"),
    ],
    ids=str,
)
def test_conversations_that_gemini_does_not_take(messages: list[Message], problem: str) -> None:
    """What would be left out or refused is told, with its place."""
    [found] = faults(ChatRequest(messages=messages))

    assert found.startswith(problem)


@pytest.mark.parametrize(
    "messages",
    [
        [system("x"), user("y"), assistant("z"), user("?")],
        [user("x"), assistant(CALL), tool_result("c", "y")],
        [user("x"), assistant(CALL), tool_result("c", "y"), assistant("z"), user("?")],
        [user("x", Image(url="https://x.test/a.png"), Document(data=b"%PDF"))],
        [user(Audio(data=b"x", format="wav"), Audio(data=b"x", media_type="audio/ogg"))],
        [user(Document(url="https://www.youtube.com/watch?v=1"), "Summarise it.")],
        [user(Image(url="data:image/png;base64,eA=="))],
        [user(Image(url="gs://bucket/picture", media_type="image/png"))],
    ],
    ids=str,
)
def test_conversations_that_gemini_takes(messages: list[Message]) -> None:
    """Pictures, documents, sounds, and turns with tools."""
    assert faults(ChatRequest(messages=messages)) == []


@pytest.mark.parametrize(
    ("given", "model", "problem"),
    [
        (
            {"task": "poetry"},
            "gemini-embedding-001",
            "task: 'poetry' is not one of RETRIEVAL_QUERY",
        ),
        ({"task": "query"}, "gemini-embedding-2", "task: gemini-embedding-2 wants the task told"),
        ({"extra": {"model": "m"}}, "gemini-embedding-001", "extra.model: give it as model"),
    ],
)
def test_embeddings_that_gemini_does_not_have(
    given: dict[str, Any], model: str, problem: str
) -> None:
    """Tasks are a list of the vendor's, and newer models have none."""
    [found] = faults(EmbeddingRequest(texts="x", **given), model)

    assert found.startswith(problem)


def test_older_models_have_no_choice_of_dimensions() -> None:
    """A batch of theirs holds texts alone."""
    request = EmbeddingRequest(texts="x", dimensions=256)

    [found] = faults(request, "text-embedding-005", predict=True)

    assert found.startswith("dimensions: batches of text-embedding-005 have no choice")
    assert faults(request, "gemini-embedding-001") == []
