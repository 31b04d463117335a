"""Conversations as they travel: the system prompt, turns, tools and thoughts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.anthropic import wire
from ai_batch.core import (
    ChatRequest,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool_result,
    user,
)


def params(*messages: Message, **fields: Any) -> dict[str, Any]:
    """The body of a request."""
    request = ChatRequest(messages=messages, **fields)
    body: dict[str, Any] = json.loads(wire.encode_params(request, "claude-x", max_tokens=7))
    return body


def test_a_plain_question_is_short() -> None:
    """A user's text is a string; the model and the limit on the answer are always named."""
    assert params(user("hello")) == {
        "model": "claude-x",
        "max_tokens": 7,
        "messages": [{"role": "user", "content": "hello"}],
    }


def test_the_system_message_is_a_field() -> None:
    """One text is a string."""
    body = params(system("be brief"), user("hello"))
    assert body["system"] == "be brief"
    assert body["messages"] == [{"role": "user", "content": "hello"}]


def test_several_system_texts_are_blocks() -> None:
    """Texts of several messages and parts stay apart."""
    body = params(system("one", "two"), system("three"), user("hello"))
    assert body["system"] == [{"type": "text", "text": text} for text in ("one", "two", "three")]
    assert len(body["messages"]) == 1


def test_a_later_system_message_stays_where_it_is() -> None:
    """Instructions within a conversation hold from there on."""
    body = params(user("a"), assistant("b"), user("c"), system("now in French"))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user", "system"]
    assert body["messages"][-1]["content"] == "now in French"
    assert "system" not in body


def test_several_parts_are_blocks_without_empty_ones() -> None:
    """Empty text beside other parts is left out: the vendor refuses it."""
    call = ToolCall(id="toolu_1", name="add", arguments={"a": 1})
    body = params(user("a", "b"), assistant("", call), tool_result("toolu_1", "2"))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    assert body["messages"][1] == {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}],
    }


def test_results_of_tools_are_one_turn_with_what_the_user_says_next() -> None:
    """All results stand at the beginning of one user message, in front of its text."""
    calls = [ToolCall(id=f"toolu_{n}", name="add") for n in range(3)]
    body = params(
        user("go"),
        assistant(*calls),
        tool_result("toolu_0", "zero"),
        Message(
            role="tool",
            parts=[
                ToolResult(id="toolu_1", content="one"),
                ToolResult(id="toolu_2", content="broken", is_error=True),
            ],
        ),
        user("and now?"),
        user("well?"),
    )
    assert body["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_0", "content": "zero"},
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"},
            {
                "type": "tool_result",
                "tool_use_id": "toolu_2",
                "content": "broken",
                "is_error": True,
            },
            {"type": "text", "text": "and now?"},
        ],
    }
    assert body["messages"][3] == {"role": "user", "content": "well?"}


def test_results_of_different_turns_stay_apart() -> None:
    """Between two rounds of tools stands the assistant."""
    first, second = ToolCall(id="a", name="f"), ToolCall(id="b", name="f")
    body = params(
        user("go"),
        assistant(first),
        tool_result("a", "1"),
        assistant(second),
        tool_result("b", "2"),
    )
    roles = [turn["role"] for turn in body["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_thoughts_go_back_as_they_came() -> None:
    """Signed thoughts, encrypted ones too, stand where they stood."""
    body = params(
        user("go"),
        assistant(
            Thinking(text="hm", signature="sig"),
            Thinking(text="", signature="sig2"),
            Thinking(text="", signature="redacted_thinking:blob"),
            "yes",
        ),
        user("why?"),
    )
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "thinking", "thinking": "", "signature": "sig2"},
        {"type": "redacted_thinking", "data": "blob"},
        {"type": "text", "text": "yes"},
    ]


def test_a_part_that_no_message_holds_is_an_error() -> None:
    """What ``check`` lets nobody send is not dropped here either."""
    from ai_batch.core import Audio

    with pytest.raises(ValueError, match="no block for a part of type 'audio'"):
        params(user("listen", Audio(data=b"x")))


_TEXT = st.text(min_size=1, max_size=20)
_TURNS = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), st.lists(_TEXT, min_size=1)),
    min_size=1,
    max_size=6,
)


@given(_TURNS)
def test_no_text_is_lost_or_moved(given_turns: list[tuple[Any, list[str]]]) -> None:
    """Whatever the order of the roles, all text is sent, in order and under its role."""
    messages = [Message(role=role, parts=texts) for role, texts in given_turns]
    body = params(*messages)
    heads: Any = [{"role": "system", "content": body["system"]}] if "system" in body else []
    sent = [
        (turn["role"], text)
        for turn in [*heads, *body["messages"]]
        for text in (
            [turn["content"]]
            if isinstance(turn["content"], str)
            else [block["text"] for block in turn["content"]]
        )
    ]
    assert sent == [
        (message.role, part.text)
        for message in messages
        for part in message.parts
        if isinstance(part, Text)
    ]
