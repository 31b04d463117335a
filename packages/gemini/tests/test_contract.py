"""The contract that every provider fulfils, held against Google's."""

from __future__ import annotations

import pytest
from packages.gemini.tests import subjects

from ai_batch.emulator.contract import ProviderContract


@pytest.mark.usefixtures("only_inputs_count")
class TestDeveloperChat(ProviderContract):
    """Chats through the Developer API."""

    subject = subjects.DEVELOPER_CHAT


@pytest.mark.usefixtures("only_inputs_count")
class TestDeveloperEmbeddings(ProviderContract):
    """Embeddings through the Developer API."""

    subject = subjects.DEVELOPER_EMBEDDINGS
    both_sides = False
