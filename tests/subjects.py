"""Every provider and kind of requests that the contract is held against."""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import patch

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import NativeProcessor
from ai_batch.emulator.contract import Subject
from ai_batch.emulator.contract.subject import CHAT, Feature
from ai_batch.emulator.surface import Surface
from ai_batch.gemini import GeminiProcessor
from ai_batch.openai import OpenAIProcessor

FILES: frozenset[Feature] = frozenset(("fence", "refusal", "strays", "upload"))
BESIDE: frozenset[Feature] = frozenset(("embeddings",))
RECURSIVE: frozenset[Feature] = frozenset(("recursive_types",))
FLAT: frozenset[Feature] = frozenset(("flat_types",))
PRICED: frozenset[Feature] = frozenset(("priced",))
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
    features=CHAT | RECURSIVE | BESIDE | FILES,
    modules=OPENAI_SDK,
)
OPENAI_RESPONSES = Subject(
    name="openai-responses",
    provider="openai",
    place="tests.subjects:OPENAI_RESPONSES",
    make=openai_responses,
    features=CHAT | RECURSIVE | FILES,
    modules=OPENAI_SDK,
)
OPENAI_EMBEDDINGS = Subject(
    name="openai-embeddings",
    provider="openai",
    place="tests.subjects:OPENAI_EMBEDDINGS",
    make=openai_chat,
    kind="embedding",
    features=PRICED | FILES,
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
    features=CHAT | FLAT,
    results="batches.results",
    modules=("anthropic.resources.messages.batches", "genai_prices"),
)

GOOGLE_SDK = ("google.genai", "genai_prices")


def gemini(emulator: Surface, **options: Any) -> NativeProcessor:
    """The Developer API, and embeddings beside chats."""
    return GeminiProcessor(
        model="gemini-2.5-flash",
        embedding_model="gemini-embedding-001",
        api_key="contract-key",
        base_url=emulator.gemini_url,
        **options,
    )


def vertex(emulator: Surface, **options: Any) -> NativeProcessor:
    """Vertex AI, its input and results in the emulator's storage."""
    # The official library of Cloud Storage is told so, and ours reads it when it is made.
    with patch.dict(os.environ, STORAGE_EMULATOR_HOST=emulator.gcs_url):
        return GeminiProcessor(
            backend="vertex",
            model="gemini-2.5-flash",
            embedding_model=options.pop("embedding_model", "gemini-embedding-001"),
            project="contract-project",
            location="us-central1",
            gcs_uri="gs://contract-bucket/batches",
            base_url=emulator.vertex_url,
            **options,
        )


def vertex_predictions(emulator: Surface, **options: Any) -> NativeProcessor:
    """Older models of embeddings, whose rows have no keys."""
    return vertex(emulator, **{"embedding_model": "text-embedding-005", **options})


GEMINI_CHAT = Subject(
    name="gemini",
    provider="gemini",
    place="tests.subjects:GEMINI_CHAT",
    make=gemini,
    features=CHAT | FLAT | BESIDE | FILES,
    modules=GOOGLE_SDK,
)
GEMINI_EMBEDDINGS = Subject(
    name="gemini-embeddings",
    provider="gemini",
    place="tests.subjects:GEMINI_EMBEDDINGS",
    make=gemini,
    kind="embedding",
    features=PRICED | FILES,
    modules=GOOGLE_SDK,
)
VERTEX_CHAT = Subject(
    name="vertex",
    provider="vertex",
    place="tests.subjects:VERTEX_CHAT",
    make=vertex,
    features=CHAT | FLAT | BESIDE | FILES,
    results="objects.download",
    modules=GOOGLE_SDK,
)
VERTEX_EMBEDDINGS = Subject(
    name="vertex-embeddings",
    provider="vertex",
    place="tests.subjects:VERTEX_EMBEDDINGS",
    make=vertex,
    kind="embedding",
    features=FILES,
    results="objects.download",
    modules=GOOGLE_SDK,
)
VERTEX_PREDICTIONS = Subject(
    name="vertex-predictions",
    provider="vertex",
    place="tests.subjects:VERTEX_PREDICTIONS",
    make=vertex_predictions,
    kind="embedding",
    features=FILES,
    results="objects.download",
    modules=GOOGLE_SDK,
)
