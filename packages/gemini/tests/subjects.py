"""Google's providers as the contract is held against them."""

from __future__ import annotations

import os
from typing import Any

from ai_batch.core import NativeProcessor
from ai_batch.emulator.contract import Subject
from ai_batch.emulator.contract.subject import CHAT
from ai_batch.emulator.surface import Surface
from ai_batch.gemini import GeminiProcessor

SDK = ("google.genai", "genai_prices")


def developer(emulator: Surface, **options: Any) -> NativeProcessor:
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
    os.environ["STORAGE_EMULATOR_HOST"] = emulator.gcs_url
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


DEVELOPER_CHAT = Subject(
    name="gemini",
    provider="gemini",
    place="packages.gemini.tests.subjects:DEVELOPER_CHAT",
    make=developer,
    features=CHAT | {"embeddings", "fence", "refusal", "strays", "upload"},
    modules=SDK,
)
DEVELOPER_EMBEDDINGS = Subject(
    name="gemini-embeddings",
    provider="gemini",
    place="packages.gemini.tests.subjects:DEVELOPER_EMBEDDINGS",
    make=developer,
    kind="embedding",
    features=frozenset({"fence", "priced", "refusal", "strays", "upload"}),
    modules=SDK,
)
VERTEX_CHAT = Subject(
    name="vertex",
    provider="vertex",
    place="packages.gemini.tests.subjects:VERTEX_CHAT",
    make=vertex,
    features=CHAT | {"embeddings", "fence", "refusal", "strays", "upload"},
    results="objects.download",
    modules=SDK,
)
VERTEX_EMBEDDINGS = Subject(
    name="vertex-embeddings",
    provider="vertex",
    place="packages.gemini.tests.subjects:VERTEX_EMBEDDINGS",
    make=vertex,
    kind="embedding",
    features=frozenset({"fence", "priced", "refusal", "strays", "upload"}),
    results="objects.download",
    modules=SDK,
)
VERTEX_PREDICTIONS = Subject(
    name="vertex-predictions",
    provider="vertex",
    place="packages.gemini.tests.subjects:VERTEX_PREDICTIONS",
    make=vertex_predictions,
    kind="embedding",
    features=frozenset({"fence", "refusal", "strays", "upload"}),
    results="objects.download",
    modules=SDK,
)
