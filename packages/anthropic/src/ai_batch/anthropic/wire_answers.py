"""What the model said: a message of the vendor's as an answer of ours."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_batch.anthropic.wire_turns import REDACTED
from ai_batch.core.messages import Thinking, ToolCall
from ai_batch.core.results import ChatResponse, FinishReason
from ai_batch.core.wire_parts import chat_response, tool_call

__all__ = ["MESSAGES", "MessageBody", "answer_of", "tokens_of"]


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | str | None = None


class _StopDetails(msgspec.Struct, gc=False):
    category: str | None = None
    explanation: str | None = None


class MessageBody(msgspec.Struct, gc=False):
    """A message of the vendor's: the fields that are used."""

    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: _Usage | None = None
    error: Any = None


MESSAGES = msgspec.json.Decoder(MessageBody)
"""Reads the body of a message."""

_FINISH_REASONS: dict[str | None, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "pause",
    "refusal": "refusal",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
}


def tokens_of(usage: _Usage | None) -> tuple[int, int, int, int, int]:
    """The tokens in the order of ``Usage``; the vendor counts cached input apart from input."""
    if usage is None:
        return (0, 0, 0, 0, 0)
    read = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details
    return (
        (usage.input_tokens or 0) + read + written,
        usage.output_tokens or 0,
        read,
        written,
        (details.thinking_tokens or 0) if details else 0,
    )


def answer_of(message: MessageBody, body: bytes, place: tuple[str, ...] = ()) -> ChatResponse:
    """The answer, which stands at ``place`` in ``body``.

    Blocks of the vendor's own tools are left in its ``raw``.
    """
    blocks = message.content or []
    reason = _FINISH_REASONS.get(message.stop_reason, "other")
    rare: dict[str, Any] = {}
    if len(blocks) == 1 and blocks[0].type == "text":
        content = blocks[0].text or ""
    else:
        content = "".join(block.text or "" for block in blocks if block.type == "text")
        rare = _rare(blocks)
    if reason == "refusal":
        rare["refusal"] = _refusal(message.stop_details, content)
    return chat_response(
        tokens_of(message.usage),
        {
            "content": content,
            "finish_reason": reason,
            "model": message.model,
            "response_id": message.id,
            "body": body,
            "body_at": place,
        },
        rare,
    )


def _rare(blocks: list[_Block]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if calls := _calls(blocks):
        found["tool_calls"] = calls
    if thoughts := tuple(_thought(block) for block in blocks if _is_thought(block)):
        found["thoughts"] = thoughts
        found["thinking"] = "".join(thought.text for thought in thoughts) or None
    return found


def _calls(blocks: list[_Block]) -> tuple[ToolCall, ...]:
    calls = [block for block in blocks if block.type == "tool_use"]
    return tuple(
        tool_call(place, call.id, call.name, call.input) for place, call in enumerate(calls)
    )


def _is_thought(block: _Block) -> bool:
    return block.type in ("thinking", "redacted_thinking")


def _thought(block: _Block) -> Thinking:
    if block.type == "redacted_thinking":
        return Thinking(text="", signature=f"{REDACTED}{block.data or ''}")
    return Thinking(text=block.thinking or "", signature=block.signature)


def _refusal(details: _StopDetails | None, content: str) -> str:
    if details is not None and details.explanation:
        return details.explanation
    if details is not None and details.category:
        return f"the model refused (category {details.category})"
    return content or "the model refused"
