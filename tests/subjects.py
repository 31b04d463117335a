"""Every provider and kind of requests that the contract is held against."""

from __future__ import annotations

from typing import Any

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import NativeProcessor
from ai_batch.emulator.contract import Subject
from ai_batch.emulator.contract.subject import CHAT
from ai_batch.emulator.surface import Surface
from ai_batch.openai import OpenAIProcessor

OPENAI_SDK = ("openai.resources.batches", "openai.resources.files", "genai_prices")


def openai_chat(emulator: Surface, **options: Any) -> NativeProcessor:
    """Chat completions, and embeddings beside them."""
    return OpenAIProcessor(
        model="gpt-4o-mini",
        embedding_model="text-embedding-3-small",
        api_key="sk-contract",
        base_url=emulator.openai_url,
        **options,
    )


def openai_responses(emulator: Surface, **options: Any) -> NativeProcessor:
    """The Responses API."""
    return openai_chat(emulator, endpoint="/v1/responses", **options)


OPENAI_CHAT = Subject(
    name="openai",
    provider="openai",
    place="tests.subjects:OPENAI_CHAT",
    make=openai_chat,
    features=CHAT | {"embeddings", "fence", "refusal", "strays", "upload"},
    modules=OPENAI_SDK,
)
OPENAI_RESPONSES = Subject(
    name="openai-responses",
    provider="openai",
    place="tests.subjects:OPENAI_RESPONSES",
    make=openai_responses,
    features=CHAT | {"fence", "refusal", "strays", "upload"},
    modules=OPENAI_SDK,
)
OPENAI_EMBEDDINGS = Subject(
    name="openai-embeddings",
    provider="openai",
    place="tests.subjects:OPENAI_EMBEDDINGS",
    make=openai_chat,
    kind="embedding",
    features=frozenset({"fence", "priced", "refusal", "strays", "upload"}),
    modules=OPENAI_SDK,
)


def anthropic_chat(emulator: Surface, **options: Any) -> NativeProcessor:
    """Message Batches."""
    return AnthropicProcessor(
        model="claude-haiku-4-5",
        api_key="sk-contract",
        base_url=emulator.anthropic_url,
        **options,
    )


ANTHROPIC = Subject(
    name="anthropic",
    provider="anthropic",
    place="tests.subjects:ANTHROPIC",
    make=anthropic_chat,
    results="batches.results",
    modules=("anthropic.resources.messages.batches", "genai_prices"),
)
