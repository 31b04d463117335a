"""The real providers: how each is made, and what its vendor is like."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import anthropic
import httpx2
import openai
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import NativeProcessor, Options
from ai_batch.core.provider import Limits
from ai_batch.emulator.anthropic.vendor import AnthropicVendor
from ai_batch.emulator.faults import Quirk
from ai_batch.emulator.gemini.vendor import GeminiVendor
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.openai.vendor import OpenAIVendor
from ai_batch.emulator.options import AnthropicLimits, GeminiLimits
from ai_batch.emulator.options import Limits as OpenAILimits
from ai_batch.emulator.route import Vendor
from ai_batch.emulator.vertex.vendor import VertexVendor
from ai_batch.emulator.world import World as EmulatorWorld
from ai_batch.gemini import GeminiProcessor
from ai_batch.openai import OpenAIProcessor
from tests.simulation.cabling import MemoryTransport

__all__ = ["SUBJECTS", "Subject"]

HERE = "http://127.0.0.1:1"

MAX_BYTES = 1 << 20


def _http() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=MemoryTransport(), follow_redirects=True)


def _given(options: Options) -> dict[str, Any]:
    names = ("home", "ledger", "runtime", "max_batches_in_flight", "settle_wait", "max_attempts")
    return {name: getattr(options, name) for name in (*names, "poll_interval", "on_progress")}


# One client for all histories of a process: it takes longer to make one than to live through some.


@cache
def _openai_client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="sk-sim", base_url=f"{HERE}/v1", http_client=_http())


@cache
def _anthropic_client() -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        api_key="sk-sim", base_url=f"{HERE}/anthropic", http_client=_http()
    )


@cache
def _google_client(vertex: bool) -> genai.Client:
    options = types.HttpOptions(
        base_url=f"{HERE}/{'vertex' if vertex else 'gemini'}", httpx_async_client=_http()
    )
    if not vertex:
        return genai.Client(vertexai=False, api_key="key-sim", http_options=options)
    credentials: Any = Credentials
    return genai.Client(
        vertexai=True,
        project="sim",
        location="us-central1",
        credentials=credentials("none"),
        http_options=options,
    )


def _openai(per_batch: int, options: Options) -> NativeProcessor:
    return OpenAIProcessor(
        model="gpt-4o-mini",
        client=_openai_client(),
        limits=Limits(max_requests=per_batch, max_bytes=MAX_BYTES),
        **_given(options),
    )


def _anthropic(per_batch: int, options: Options) -> NativeProcessor:
    return AnthropicProcessor(
        model="claude-haiku-4-5",
        client=_anthropic_client(),
        limits=Limits(max_requests=per_batch, max_bytes=MAX_BYTES),
        **_given(options),
    )


def _gemini(per_batch: int, options: Options) -> NativeProcessor:
    return GeminiProcessor(
        model="gemini-2.5-flash",
        client=_google_client(vertex=False),
        limits=Limits(max_requests=per_batch, max_bytes=MAX_BYTES),
        **_given(options),
    )


def _vertex(per_batch: int, options: Options) -> NativeProcessor:
    with patch.dict(os.environ, STORAGE_EMULATOR_HOST=HERE):
        return GeminiProcessor(
            backend="vertex",
            model="gemini-2.5-flash",
            client=_google_client(vertex=True),
            gcs_uri="gs://sim/batches",
            limits=Limits(max_requests=per_batch, max_bytes=MAX_BYTES),
            **_given(options),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A real provider. ``results`` are the routes of its results' downloads.

    ``tight`` are the emulator's options with which its queue is soon full, ``quirks`` what it may
    do to a batch that is asked about, ``refusing`` what it may do to one that is made.
    """

    make: Callable[[int, Options], NativeProcessor]
    vendor: Callable[[EmulatorWorld], Vendor]
    results: str
    tight: Mapping[str, Any] = field(default_factory=dict[str, Any])
    quirks: tuple[Quirk, ...] = ("unknown_status",)
    refusing: tuple[Quirk, ...] = ()
    item_error: Callable[[int], JsonObject]


def _openai_error(status: int) -> JsonObject:
    return {"error": {"message": f"status {status}", "type": "server_error", "code": None}}


def _anthropic_error(status: int) -> JsonObject:
    kind = "overloaded_error" if status >= 500 else "invalid_request_error"
    return {"type": "error", "error": {"type": kind, "message": f"status {status}"}}


def _google_error(status: int) -> JsonObject:
    word = "UNAVAILABLE" if status >= 500 else "INVALID_ARGUMENT"
    return {"error": {"code": status, "message": f"status {status}", "status": word}}


SUBJECTS: dict[str, Subject] = {
    "openai": Subject(
        make=_openai,
        vendor=OpenAIVendor,
        results="files.content",
        tight={"limits": OpenAILimits(enqueued_tokens=40)},
        refusing=("cannot_find_file",),
        item_error=_openai_error,
    ),
    "anthropic": Subject(
        make=_anthropic,
        vendor=AnthropicVendor,
        results="batches.results",
        tight={"anthropic_limits": AnthropicLimits(queued_requests=4)},
        item_error=_anthropic_error,
    ),
    "gemini": Subject(
        make=_gemini,
        vendor=GeminiVendor,
        results="files.download",
        tight={"gemini_limits": GeminiLimits(concurrent_batches=1)},
        refusing=("failed_job",),
        item_error=_google_error,
    ),
    "vertex": Subject(
        make=_vertex,
        vendor=VertexVendor,
        results="objects.download",
        refusing=("failed_job", "partially_succeeded", "several_files"),
        item_error=_google_error,
    ),
}
