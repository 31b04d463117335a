"""What Gemini answers to a chat request: the fields that are used, and what they become."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ai_batch.core.messages import Thinking, ToolCall
from ai_batch.core.results import ChatResponse, FinishReason, ItemError
from ai_batch.core.wire_faults import invalid
from ai_batch.core.wire_parts import chat_response, tool_call
from ai_batch.gemini.wire_faults import blocked

__all__ = ["ChatBody", "ScannedBody", "chat_answer", "chat_fault", "chat_tokens"]

Tokens = tuple[int, int, int, int, int]


class _FunctionCall(msgspec.Struct, gc=False):
    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Usage(msgspec.Struct, rename="camel", gc=False):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None
    block_reason_message: str | None = None


class ChatBody(msgspec.Struct, rename="camel", gc=False):
    """A ``GenerateContentResponse``."""

    candidates: list[_Candidate] | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: _Feedback | None = None


class _Present(msgspec.Struct, gc=False):
    """An object, whatever is in it."""


class ScannedBody(msgspec.Struct, rename="camel", gc=False):
    """What of a ``GenerateContentResponse`` is needed to account for it."""

    candidates: Annotated[list[_Present], msgspec.Meta(min_length=1)]
    usage_metadata: _Usage | None = None


def chat_fault(body: ChatBody) -> ItemError | None:
    """Why a body is no answer; None where it is one.

    A candidate without content is one: its finish reason says what became of it.
    """
    if body.candidates:
        return None
    feedback = body.prompt_feedback
    if feedback is not None and feedback.block_reason:
        return blocked(feedback.block_reason, feedback.block_reason_message)
    return invalid("the vendor's answer has no candidates")


def chat_tokens(body: ChatBody | ScannedBody) -> Tokens:
    """Tokens in the order of ``Usage``'s fields: thoughts are output, tools' results input."""
    usage = body.usage_metadata
    if usage is None:
        return (0, 0, 0, 0, 0)
    thoughts = usage.thoughts_token_count or 0
    return (
        (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        (usage.candidates_token_count or 0) + thoughts,
        usage.cached_content_token_count or 0,
        0,
        thoughts,
    )


def chat_answer(body: ChatBody, raw: bytes) -> ChatResponse:
    """The answer in the first candidate."""
    candidate = (body.candidates or [_Candidate()])[0]
    parts = candidate.content.parts or () if candidate.content else ()
    rare: dict[str, Any] = {}
    if len(parts) == 1 and _is_plain(parts[0]):
        content = parts[0].text or ""
    else:
        content, rare = _parts_of(parts)
    return chat_response(
        chat_tokens(body),
        {
            "content": content,
            "finish_reason": _finish_reason(candidate.finish_reason, called="tool_calls" in rare),
            "model": body.model_version,
            "response_id": body.response_id,
            "body": raw,
            "body_at": (),
        },
        rare,
    )


def _is_plain(part: _Part) -> bool:
    return part.function_call is None and not part.thought and part.thought_signature is None


def _parts_of(parts: list[_Part] | tuple[()]) -> tuple[str, dict[str, Any]]:
    """The text, and the rarer fields of an answer that are there."""
    texts: list[str] = []
    thoughts: list[Thinking] = []
    calls: list[ToolCall] = []
    for part in parts:
        if part.thought:
            thoughts.append(Thinking(text=part.text or "", signature=part.thought_signature))
            continue
        if part.thought_signature:
            thoughts.append(Thinking(text="", signature=part.thought_signature))
        if part.function_call is not None:
            call = part.function_call
            calls.append(tool_call(len(calls), call.id, call.name, call.args))
        elif part.text:
            texts.append(part.text)
    rare: dict[str, Any] = {}
    if calls:
        rare["tool_calls"] = tuple(calls)
    if thoughts:
        rare |= {"thoughts": tuple(thoughts), "thinking": _joined(thoughts)}
    return "".join(texts), rare


def _joined(thoughts: list[Thinking]) -> str | None:
    return "".join(thought.text for thought in thoughts) or None


_FINISH_REASONS: dict[str | None, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
"""https://ai.google.dev/api/generate-content#FinishReason; all others are "other"."""


def _finish_reason(reason: str | None, *, called: bool) -> FinishReason:
    if called and reason == "STOP":
        return "tool_calls"
    return _FINISH_REASONS.get(reason, "other")
