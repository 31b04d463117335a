"""Reads lines that hold texts and numbers only, as nearly all do, in one go.

What such a line becomes is known to fit its models; any other line is for pydantic to judge.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from ai_batch.core.messages import Message, Role, Text
from ai_batch.core.requests import ChatRequest
from ai_batch.core.unchecked import Unchecked

__all__ = ["read_plain_line"]


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Role
    content: str


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: list[_Turn]
    id: str | None = None
    model: str | None = None
    metadata: dict[str, str] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    tool_choice: str | None = None
    reasoning_effort: str | None = None


_read = msgspec.json.Decoder(_Line).decode

_text, _message, _request = Unchecked(Text), Unchecked(Message), Unchecked(ChatRequest)


def read_plain_line(line: bytes) -> ChatRequest | None:
    """The chat request in a line of JSON; None where it has to be read field by field."""
    try:
        found = _read(line)
    except (ValueError, RecursionError):
        return None
    given = {name: value for name, value in asdict(found).items() if value is not None}
    turns = [
        _message({"role": turn.role, "parts": (_text({"text": turn.content}),)})
        for turn in found.messages
    ]
    given["messages"] = (*turns,)
    return _request(given)
