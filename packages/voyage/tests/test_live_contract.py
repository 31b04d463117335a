"""What every live client has to be able to do, of Voyage's."""

from __future__ import annotations

from typing import Any

import pytest
from packages.voyage.tests.conftest import answer

from ai_batch.emulator.contract.live_subject import KEY, LiveSubject
from ai_batch.emulator.contract.live_suite import LiveContract
from ai_batch.voyage import VoyageEmbedder

# The SDK's own, of an answer that is cut in its middle.
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")


def make(url: str, **options: Any) -> VoyageEmbedder:
    """An embedder before a server."""
    return VoyageEmbedder(api_key=KEY, base_url=f"{url}/v1", **options)


def vectors(body: Any) -> Any:
    """A vector for each text, in another order."""
    reply = answer(body)
    return None if reply is None else reply[1]


class TestVoyageEmbedder(LiveContract):
    """Embeddings."""

    subject = LiveSubject(
        name="voyage",
        make=make,
        model="voyage-4",
        refusal=lambda _, words: {"detail": words},
        kind="embedding",
        vectors=vectors,
    )
