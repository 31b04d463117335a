"""The contract that every provider fulfils, held against each of them."""

from __future__ import annotations

import pytest

from ai_batch.emulator.contract import ProviderContract
from tests import subjects

# These make the very calls of their vendor's chats, which are killed at each step.
SWEEPS = frozenset(
    {
        "test_a_script_goes_on_wherever_it_was_killed",
        "test_a_script_that_is_killed_again_goes_on",
    }
)


class TestOpenAIChat(ProviderContract):
    """Chat completions."""

    subject = subjects.OPENAI_CHAT


@pytest.mark.exhaustive
class TestOpenAIResponses(ProviderContract):
    """The Responses API."""

    subject = subjects.OPENAI_RESPONSES
    leave_out = SWEEPS


@pytest.mark.exhaustive
class TestOpenAIEmbeddings(ProviderContract):
    """Embeddings."""

    subject = subjects.OPENAI_EMBEDDINGS
    leave_out = SWEEPS


@pytest.mark.exhaustive
class TestAnthropic(ProviderContract):
    """Message Batches."""

    subject = subjects.ANTHROPIC
    both_sides = False


@pytest.mark.exhaustive
class TestGeminiChat(ProviderContract):
    """Chats through the Developer API."""

    subject = subjects.GEMINI_CHAT
    both_sides = False


@pytest.mark.exhaustive
class TestGeminiEmbeddings(ProviderContract):
    """Embeddings through the Developer API."""

    subject = subjects.GEMINI_EMBEDDINGS
    leave_out = SWEEPS


@pytest.mark.exhaustive
class TestVertexChat(ProviderContract):
    """Chats through Vertex AI."""

    subject = subjects.VERTEX_CHAT
    both_sides = False


@pytest.mark.exhaustive
class TestVertexEmbeddings(ProviderContract):
    """Embeddings through Vertex AI."""

    subject = subjects.VERTEX_EMBEDDINGS
    leave_out = SWEEPS


@pytest.mark.exhaustive
class TestVertexPredictions(ProviderContract):
    """Embeddings of older models through Vertex AI, matched by their texts."""

    subject = subjects.VERTEX_PREDICTIONS
    leave_out = SWEEPS
