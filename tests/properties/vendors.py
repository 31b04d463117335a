"""Each vendor's ways to be asked: our own client and processor, and the bare body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ai_batch.anthropic import AnthropicChat
from ai_batch.anthropic import wire as anthropic
from ai_batch.core import ChatRequest, NativeProcessor
from ai_batch.core.provider import Route
from ai_batch.emulator import Emulator
from ai_batch.gemini import GeminiChat
from ai_batch.gemini.wire_chat import chat_body
from ai_batch.openai import OpenAIChat
from ai_batch.openai import wire as openai
from tests import subjects

__all__ = ["VENDORS", "Vendor"]

GPT = "gpt-4o-mini"
CLAUDE = "claude-haiku-4-5"
GEMINI = "gemini-2.5-flash"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One way to ask.

    ``stricter`` are parts of our own reasons for refusing what the emulator takes: rules that
    the emulator does not know, since the vendor's words for them are not known, or that are ours.
    """

    live: Callable[[Emulator], Any]
    batch: Callable[..., NativeProcessor]
    body: Callable[[ChatRequest], bytes]
    url: Callable[[Emulator], str]
    headers: Mapping[str, str]
    stricter: tuple[str, ...]


OURS = (
    "an empty message",
    "no messages; give at least one",
    "tools are called",
    "can't be in a message of role",
    "but no tools are",
    "required or the name of a tool",
    "is too small",
    "must be 1 or more",
)


def _openai(endpoint: str, *stricter: str) -> Vendor:
    route = Route("chat", endpoint, GPT)

    def batch(emulator: Emulator, **options: Any) -> NativeProcessor:
        return subjects.openai_chat(emulator, endpoint=endpoint, **options)

    return Vendor(
        live=lambda emulator: OpenAIChat(
            model=GPT, api_key="k", base_url=emulator.openai_url, endpoint=endpoint
        ),
        batch=batch,
        body=lambda request: openai.encode_body(request, route),
        url=lambda emulator: emulator.openai_url + endpoint.removeprefix("/v1"),
        headers={"Authorization": "Bearer k"},
        stricter=(*OURS, "is not one of none, minimal, low", "audio format", *stricter),
    )


VENDORS: dict[str, Vendor] = {
    "openai": _openai("/v1/chat/completions", "takes at most 4", "takes a document by URL"),
    "responses": _openai("/v1/responses", "/v1/responses does not have it"),
    "anthropic": Vendor(
        live=lambda emulator: AnthropicChat(
            model=CLAUDE, api_key="k", base_url=emulator.anthropic_url
        ),
        batch=subjects.anthropic_chat,
        body=lambda request: anthropic.encode_params(request, CLAUDE, max_tokens=4096),
        url=lambda emulator: f"{emulator.anthropic_url}/v1/messages",
        headers={"x-api-key": "k", "anthropic-version": "2023-06-01"},
        stricter=(
            *OURS,
            "a system message within the conversation",
            "Anthropic has no seed",
            "nothing but white space",
            "only thoughts that it has signed",
        ),
    ),
    "gemini": Vendor(
        live=lambda emulator: GeminiChat(model=GEMINI, api_key="k", base_url=emulator.gemini_url),
        batch=subjects.gemini,
        body=lambda request: msgspec.json.encode(chat_body(request, GEMINI, max_tokens=None)),
        url=lambda emulator: f"{emulator.gemini_url}/v1beta/models/{GEMINI}:generateContent",
        headers={"x-goog-api-key": "k"},
        stricter=(
            *OURS,
            "instructions of the system in front of all others",
            "takes at most 5",
            "is not within 0 and 1",
            "does not fit 32 bits",
            "must begin with a letter or an underscore",
            "give the sound's format",
            "no detail of a single picture",
            "each tool call needs its result",
        ),
    ),
}
"""By name."""
