"""What Anthropic cannot do is said before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from ai_batch.anthropic import wire
from ai_batch.core import (
    Audio,
    ChatRequest,
    Document,
    EmbeddingRequest,
    Image,
    Message,
    Problem,
    Text,
    Thinking,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)

ADD = Tool(name="add", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})
CALL = ToolCall(id="toolu_1", name="add", arguments={"a": 1})
PNG = b"\x89PNG\r\n\x1a\n"


def problems(*messages: Any, **fields: Any) -> list[Problem]:
    """The problems of a request."""
    return wire.check(ChatRequest(messages=messages or "hello", **fields))


def test_embeddings_are_refused_with_the_way_out() -> None:
    """The vendor has none, and the message says who has."""
    [problem] = wire.check(EmbeddingRequest(texts="x"))
    assert "no embeddings API" in problem.message
    assert "Voyage AI" in problem.message
    assert "ai-batch-openai" in problem.message


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_tokens": 10},
        {"temperature": 1.0, "top_p": 0.0},
        {"stop": ["END", " x"]},
        {"tools": [ADD], "tool_choice": "add"},
        {"tools": [ADD], "tool_choice": "required"},
        {"tool_choice": "auto", "extra": {"tools": [{"type": "web_search_20260209"}]}},
        {"reasoning_effort": "max"},
        {"extra": {"stream": False, "top_k": 3, "service_tier": "auto"}},
        {"output_type": {"type": "object", "properties": {}}},
    ],
)
def test_what_the_vendor_can_do_is_let_through(fields: dict[str, Any]) -> None:
    """No problem is made up."""
    assert problems(**fields) == []


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"temperature": 1.5}, "temperature", "1.5 is not within 0 and 1"),
        ({"top_p": -0.1}, "top_p", "-0.1 is not within 0 and 1"),
        ({"seed": 1}, "seed", "Anthropic has no seed"),
        ({"stop": ["END", "\n"]}, "stop", "white space"),
        (
            {"reasoning_effort": "minimal"},
            "reasoning_effort",
            "'minimal' is not one of low, medium, high, xhigh, max",
        ),
        ({"tool_choice": "auto"}, "tool_choice", "'auto' is given without any tools"),
        ({"tools": [ADD], "tool_choice": "sub"}, "tool_choice", "the name of a tool (add)"),
        ({"tools": [ADD, ADD]}, "tools[1]", "another tool is called 'add' too"),
        (
            {"tools": [Tool(name="x", parameters={"type": "string"})]},
            "tools[0].parameters",
            "must be of type 'object', found 'string'",
        ),
        (
            {"tools": [Tool(name="x", parameters={"type": "object"}, strict=True)]},
            "tools[0].parameters",
            "a strict tool can't have this schema",
        ),
        (
            {"tools": [Tool(name="x", parameters={"type": "object", "d": float("nan")})]},
            "tools[0].parameters",
            "can't be written as JSON",
        ),
        (
            {"output_type": {"type": "object", "properties": {}, "default": float("inf")}},
            "output_type",
            "can't be written as JSON",
        ),
        ({"extra": {"stream": True}}, "extra.stream", "batches cannot stream"),
        ({"extra": {"speed": "fast"}}, "extra.speed", "no fast mode"),
        ({"extra": {"model": "x"}}, "extra.model", "give the model as model"),
        ({"extra": {"betas": ["x"]}}, "extra.betas", "give betas= to the processor"),
        ({"extra": {"extra_headers": {}}}, "extra.extra_headers", "extra_headers= to the"),
        ({"extra": {"extra_body": {}}}, "extra.extra_body", "put what it holds into extra"),
        ({"extra": {"max_tokens": 0}}, "extra.max_tokens", "0 is too small"),
        ({"extra": {"x": float("nan")}}, "extra", "can't be written as JSON"),
        ({"max_tokens": 5, "extra": {"max_tokens": 6}}, "extra.max_tokens", "give one of them"),
        ({"tools": [ADD], "extra": {"tools": []}}, "extra.tools", "give one of them"),
    ],
)
def test_what_the_vendor_can_not_do_is_a_problem(
    fields: dict[str, Any], field: str, message: str
) -> None:
    """Each names the field, what was found and what is allowed."""
    [problem] = problems(**fields)
    assert problem.field == field
    assert message in problem.message


def test_a_system_prompt_is_not_replaced_without_a_word() -> None:
    """Either messages or ``extra`` may hold it."""
    [problem] = problems(system("a"), user("b"), extra={"system": []})
    assert problem.field == "extra.system"


GOOD = [
    [user("a"), assistant("b"), user("c")],
    [system("a"), system("b"), user("c")],
    [user("look", Image(data=PNG), Document(data=b"words"))],
    [user("a"), assistant(Document(data=b"words")), user("c")],
    [user("a"), assistant(Thinking(text="", signature="s"), "b"), user("c")],
    [user("a"), assistant("", CALL), tool_result("toolu_1", "2")],
    [user("a"), assistant(CALL), tool_result("toolu_1", ""), user("c"), system("d")],
    [user("a"), system("b"), assistant("c"), user("d")],
    [assistant("a"), user("b")],
]


@pytest.mark.parametrize("messages", GOOD, ids=range(len(GOOD)))
def test_good_conversations_are_let_through(messages: list[Message]) -> None:
    """Every kind of part where it belongs."""
    assert problems(*messages) == []


BAD: list[tuple[list[Message], str, str]] = [
    ([system("a")], "messages", "only system messages"),
    ([user("a"), assistant("b"), system("c")], "messages[2]", "must follow one of the user's"),
    ([user("a"), system("b"), user("c")], "messages[1]", "before one of the assistant's, or last"),
    ([user("listen", Audio(data=b"x"))], "messages[0].parts[1]", "Anthropic takes no audio"),
    (
        [user("a"), assistant(Image(data=PNG))],
        "messages[1].parts[0]",
        "Image can't be in a message of role assistant",
    ),
    ([system("a", Image(data=PNG)), user("b")], "messages[0].parts[1]", "only Text"),
    ([user(CALL)], "messages[0].parts[0]", "ToolCall can't be in a message of role user"),
    (
        [user("a"), assistant(Thinking(text="hm"), "b"), user("c")],
        "messages[1].parts[0]",
        "only thoughts that it has signed",
    ),
    ([user("a"), assistant(CALL)], "messages", "the tool call 'toolu_1' has no result"),
    (
        [user("a"), assistant(CALL), user("b")],
        "messages[2]",
        "the tool call 'toolu_1' has no result in the messages right after it",
    ),
    (
        [user("a"), tool_result("toolu_1", "2")],
        "messages[1]",
        "no tool call 'toolu_1' that wants a result",
    ),
    (
        [user("a"), assistant(CALL), tool_result("toolu_1", "2"), tool_result("toolu_1", "2")],
        "messages[3]",
        "no tool call 'toolu_1' that wants a result",
    ),
    (
        [user("a"), assistant(CALL, CALL), tool_result("toolu_1", "2")],
        "messages[1]",
        "two tool calls have the same id",
    ),
    (
        [user("a"), assistant(CALL.model_copy(update={"id": "a b"})), tool_result("a b", "2")],
        "messages[1].parts[0]",
        "the id 'a b' of a tool call must be made of letters",
    ),
    (
        [
            user("a"),
            assistant(CALL.model_copy(update={"raw_arguments": "{"})),
            tool_result("toolu_1", "2"),
        ],
        "messages[1].parts[0]",
        "the arguments are no JSON object",
    ),
    ([user("a"), Message(role="tool", parts=[])], "messages[1]", "needs a tool result"),
    (
        [user("a"), Message(role="tool", parts=[Text(text="2")])],
        "messages[1].parts[0]",
        "Text can't be in a message of role tool",
    ),
]


@pytest.mark.parametrize(("messages", "field", "message"), BAD, ids=range(len(BAD)))
def test_bad_conversations_are_a_problem(messages: list[Message], field: str, message: str) -> None:
    """The place is named, and what is wrong there."""
    [problem] = problems(*messages)
    assert problem.field == field
    assert message in problem.message


def test_a_tool_result_in_the_wrong_role_names_the_helper() -> None:
    """People put results into user messages, as the vendor's own format has it."""
    result = tool_result("toolu_1", "2").parts[0]
    found = problems(user("a"), assistant(CALL), Message(role="user", parts=[result]))
    assert any("use tool_result()" in problem.message for problem in found)


def test_all_faults_are_told_together() -> None:
    """One look is enough to mend everything."""
    found = problems(user("a", Audio(data=b"x")), seed=1, temperature=3.0, extra={"speed": "fast"})
    fields = {problem.field for problem in found}
    assert fields == {"messages[0].parts[1]", "seed", "temperature", "extra.speed"}
