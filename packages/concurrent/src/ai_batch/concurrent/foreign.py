"""What the adapters of other libraries' models have in common."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from ai_batch.core import (
    ChatRequest,
    Message,
    Part,
    Problem,
)
from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import OutputSchema, output_schema
from ai_batch.core.results import FinishReason

__all__ = ["check_parts", "check_tool_choice", "digest", "finish_of", "schema_name", "schema_of"]

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",
    "tool_call": "tool_calls",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "refusal",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "stop_sequence": "stop_sequence",
    "pause_turn": "pause",
}
"""The vendors' words, which the libraries hand on as they are."""

_SECRET = re.compile(r"(?:key|token|password|secret|headers|credentials)$")


def finish_of(word: object) -> FinishReason | None:
    """Why the answer ended, by a vendor's word for it; None where there is no word."""
    if not isinstance(word, str) or not word:
        return None
    return _FINISHES.get(word.lower(), "other")


def schema_of(request: ChatRequest) -> OutputSchema | None:
    """The schema that the answer must have."""
    return None if request.output_type is None else output_schema(request.output_type)


def schema_name(schema: OutputSchema) -> str:
    """The schema's name as vendors take it: letters, digits, ``_`` and ``-``, at most 64."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", schema.name)[:64] or "output"


def check_parts(
    request: ChatRequest, allowed: Mapping[str, tuple[type[Part], ...]]
) -> Iterator[Problem]:
    """Parts that a message of their role can't have; ``allowed`` is by role."""
    for place, message in enumerate(request.messages):
        for part in message.parts:
            if not isinstance(part, allowed[message.role]):
                yield Problem(
                    f"a {message.role} message can't hold {part.type} here",
                    field=_field(place, message, part),
                )


def _field(place: int, message: Message, part: Part) -> str:
    return f"messages[{place}].parts[{message.parts.index(part)}]"


def check_tool_choice(request: ChatRequest) -> Iterator[Problem]:
    """A choice among tools that are not there."""
    choice = request.tool_choice
    names = [tool.name for tool in request.tools or ()]
    if choice in {None, "auto", "none"} or choice in names or (names and choice == "required"):
        return
    known = ", ".join(["auto", "none", *(["required"] if names else []), *names])
    yield Problem(f"must be one of {known}, found {choice!r}", field="tool_choice")


def digest(settings: Mapping[str, object]) -> str:
    """A short text that is the same for the same settings, in every process.

    Keys and the like do not change what is asked; objects have no text that stays the same.
    """
    kept = {
        name: value
        for name, value in settings.items()
        if value is not None and not _SECRET.search(name) and _is_plain(value)
    }
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        pairs = cast("JSONObject", value).items()
        return all(isinstance(key, str) and _is_plain(item) for key, item in pairs)
    return value is None or isinstance(value, str | int | float | bool)
