"""The contract that every provider fulfils, held against Google's."""

from __future__ import annotations

from packages.gemini.tests import subjects

from ai_batch.emulator.contract import ProviderContract


class TestDeveloperChat(ProviderContract):
    """Chats through the Developer API."""

    subject = subjects.DEVELOPER_CHAT


class TestDeveloperEmbeddings(ProviderContract):
    """Embeddings through the Developer API."""

    subject = subjects.DEVELOPER_EMBEDDINGS
    both_sides = False


class TestVertexChat(ProviderContract):
    """Chats through Vertex AI."""

    subject = subjects.VERTEX_CHAT


class TestVertexEmbeddings(ProviderContract):
    """Embeddings through Vertex AI."""

    subject = subjects.VERTEX_EMBEDDINGS
    both_sides = False


class TestVertexPredictions(ProviderContract):
    """Embeddings of older models through Vertex AI, matched by their texts."""

    subject = subjects.VERTEX_PREDICTIONS
    both_sides = False
