"""Requests as items of a batch: every option, and what ``extra`` adds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_batch.anthropic import wire
from ai_batch.core import ChatRequest, Tool
from ai_batch.core.provider import Route

ROUTE = Route("chat", "/v1/messages", "claude-x", "2026-10-21")

ADD = Tool(
    name="add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
)


def params(**fields: Any) -> dict[str, Any]:
    """The body of a request, beyond what every body has."""
    request = ChatRequest(messages="hello", **fields)
    body: dict[str, Any] = json.loads(wire.encode_params(request, "claude-x", max_tokens=7))
    base = {
        "model": "claude-x",
        "max_tokens": 7,
        "messages": [{"role": "user", "content": "hello"}],
    }
    return {key: value for key, value in body.items() if base.get(key) != value}


def test_an_item_is_one_line_without_spaces() -> None:
    """Its id, and the params; line ends within texts are escaped, and nothing else is."""
    request = ChatRequest(id="q1", messages="a\nb\u2028ü", metadata={"team": "x"})
    assert wire.encode(request, ROUTE, "token-0", max_tokens=4096).decode() == (
        '{"custom_id":"token-0","params":{"model":"claude-x","max_tokens":4096,'
        '"messages":[{"role":"user","content":"a\\nb\u2028ü"}]}}'
    )


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"max_tokens": 100}, {"max_tokens": 100}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"stop": ["END", "###"]}, {"stop_sequences": ["END", "###"]}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"reasoning_effort": "xhigh"}, {"output_config": {"effort": "xhigh"}}),
        ({"metadata": {"team": "x"}}, {}),
        ({"temperature": None, "stop": None, "tools": None}, {}),
    ],
)
def test_options_have_their_names(fields: dict[str, Any], sent: dict[str, Any]) -> None:
    """Each option travels under the vendor's name; metadata stays here."""
    assert params(**fields) == sent


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("add", {"type": "tool", "name": "add"}),
    ],
)
def test_tools_and_the_choice_of_them(choice: str, sent: dict[str, Any]) -> None:
    """``required`` is called ``any``, and a tool is chosen by its name."""
    body = params(tools=[ADD], tool_choice=choice)
    assert body["tool_choice"] == sent
    assert body["tools"] == [
        {"name": "add", "input_schema": ADD.parameters, "description": "Adds."}
    ]


def test_a_strict_tool_has_a_schema_to_be_strict_about() -> None:
    """Strictness is sent, and no keys beyond the named ones are left open."""
    [tool] = params(tools=[ADD.model_copy(update={"strict": True})])["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    [tool] = params(tools=[Tool(name="now", strict=False)])["tools"]
    assert (tool["strict"], "description" in tool) == (False, False)


def test_extra_is_merged_in_last() -> None:
    """Objects within objects too; nothing else is touched."""
    extra = {
        "thinking": {"type": "adaptive"},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "metadata": {"user_id": "u1"},
        "output_config": {"task": 1},
        "max_tokens": 50,
    }
    assert params(reasoning_effort="low", extra=extra) == {
        **extra,
        "output_config": {"effort": "low", "task": 1},
    }


def test_the_choice_of_tools_can_be_refined() -> None:
    """What has no field of its own is added to the object that the field makes."""
    extra = {"tool_choice": {"disable_parallel_tool_use": True}}
    body = params(tools=[ADD], tool_choice="auto", extra=extra)
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
