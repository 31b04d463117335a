"""The contract that every provider fulfils, held against each of them."""

from __future__ import annotations

import pytest

from ai_batch.emulator.contract import ProviderContract
from ai_batch.emulator.contract.crash import CrashContract
from ai_batch.emulator.contract.crash_company import CompanyContract
from ai_batch.emulator.contract.fault_table import FaultTableContract
from tests import subjects

# These kinds make the very calls of their vendor's chats: what is killed, cut or fails at each of
# the calls is tested with those.
SAME_CALLS = frozenset(
    name
    for part in (CrashContract, CompanyContract, FaultTableContract)
    for name in vars(part)
    if name.startswith("test_")
) | {
    "test_every_call_may_be_cut",
    "test_every_call_may_fail_for_a_while",
}


class TestOpenAIChat(ProviderContract):
    """Chat completions."""

    subject = subjects.OPENAI_CHAT


@pytest.mark.exhaustive
class TestOpenAIResponses(ProviderContract):
    """The Responses API."""

    subject = subjects.OPENAI_RESPONSES
    leave_out = SAME_CALLS


@pytest.mark.exhaustive
class TestOpenAIEmbeddings(ProviderContract):
    """Embeddings."""

    subject = subjects.OPENAI_EMBEDDINGS
    leave_out = SAME_CALLS


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
    leave_out = SAME_CALLS


@pytest.mark.exhaustive
class TestVertexChat(ProviderContract):
    """Chats through Vertex AI."""

    subject = subjects.VERTEX_CHAT
    both_sides = False


@pytest.mark.exhaustive
class TestVertexEmbeddings(ProviderContract):
    """Embeddings through Vertex AI."""

    subject = subjects.VERTEX_EMBEDDINGS
    leave_out = SAME_CALLS


@pytest.mark.exhaustive
class TestVertexPredictions(ProviderContract):
    """Embeddings of older models through Vertex AI, matched by their texts."""

    subject = subjects.VERTEX_PREDICTIONS
    leave_out = SAME_CALLS
