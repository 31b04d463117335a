"""Reads requests that hold texts and numbers only, as nearly all do, in one go.

What such a line becomes is known to fit its models; any other line is for pydantic to judge. The
models themselves are made only where somebody wants to see them: planning a million requests
does without.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from ai_batch.core.messages import JSONObject, Message, Role, Text
from ai_batch.core.requests import ChatRequest
from ai_batch.core.unchecked import Unchecked

__all__ = ["PlainRequest", "PlainTurn", "read_plain_fields", "read_plain_line"]


class PlainTurn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of one text."""

    role: Role
    content: str


class PlainRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A chat request whose messages are texts; its fields are ``ChatRequest``'s.

    The texts of one that was no JSON may hold half a surrogate, which no text in UTF-8 does.
    """

    messages: str | list[PlainTurn]
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

    def request(self) -> ChatRequest:
        """The request that this is, all of whose texts must be such."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        turns = [
            _message({"role": turn.role, "parts": (_text({"text": turn.content}),)})
            for turn in self.turns()
        ]
        given["messages"] = (*turns,)
        return _request(given)

    def turns(self) -> list[PlainTurn]:
        """The messages, one by one."""
        messages = self.messages
        return [PlainTurn("user", messages)] if isinstance(messages, str) else messages


_read = msgspec.json.Decoder(PlainRequest).decode

_text, _message, _request = Unchecked(Text), Unchecked(Message), Unchecked(ChatRequest)


def read_plain_line(line: bytes) -> PlainRequest | None:
    """The chat request in a line of JSON; None where it has to be read field by field."""
    try:
        return _read(line)
    except (ValueError, RecursionError):
        return None


def read_plain_fields(fields: JSONObject) -> PlainRequest | None:
    """The chat request of these fields; None where they have to be read one by one."""
    try:
        return msgspec.convert(fields, PlainRequest)
    except (ValueError, RecursionError):
        return None
