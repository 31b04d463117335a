"""The contract that every provider fulfils, held against each of them."""

from __future__ import annotations

from ai_batch.emulator.contract import ProviderContract
from tests import subjects


class TestOpenAIChat(ProviderContract):
    """Chat completions."""

    subject = subjects.OPENAI_CHAT


class TestOpenAIResponses(ProviderContract):
    """The Responses API."""

    subject = subjects.OPENAI_RESPONSES
    both_sides = False


class TestOpenAIEmbeddings(ProviderContract):
    """Embeddings."""

    subject = subjects.OPENAI_EMBEDDINGS
    both_sides = False


class TestAnthropic(ProviderContract):
    """Message Batches."""

    subject = subjects.ANTHROPIC
