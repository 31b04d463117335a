"""Google's providers as the contract is held against them."""

from __future__ import annotations

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
