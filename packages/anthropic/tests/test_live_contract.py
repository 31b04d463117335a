"""What every live client has to be able to do, of Anthropic's."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from ai_batch.anthropic import AnthropicChat
from ai_batch.emulator.contract.live_chats import LiveChatContract
from ai_batch.emulator.contract.live_subject import KEY, LiveSubject
from ai_batch.emulator.json_types import JsonObject

MODEL = "claude-haiku-4-5"


def chat(url: str, **options: Any) -> AnthropicChat:
    """A chat client before a server."""
    return AnthropicChat(model=MODEL, api_key=KEY, base_url=url, **options)


def refusal(status: int, words: str) -> JsonObject:
    """The body of an error."""
    return {"type": "error", "error": {"type": f"error_{status}", "message": words}}


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if aiohttp were not installed."""

    def missing(**_: object) -> None:
        raise RuntimeError("install the extra")

    monkeypatch.setattr(anthropic, "DefaultAioHttpClient", missing)


class TestAnthropicChat(LiveChatContract):
    """Messages."""

    subject = LiveSubject(
        name="anthropic",
        make=chat,
        model=MODEL,
        refusal=refusal,
        endpoint="/v1/messages",
        plain=plain,
    )
