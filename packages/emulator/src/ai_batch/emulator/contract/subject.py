"""Who is tested: how its processors are made, and what its vendor can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ai_batch.core import NativeProcessor
from ai_batch.core.requests import ChatRequest, EmbeddingRequest

__all__ = ["CHAT", "Feature", "Kind", "Subject"]

Kind: TypeAlias = Literal["chat", "embedding"]

Feature: TypeAlias = Literal[
    "documents",
    "embeddings",
    "fence",
    "flat_types",
    "images",
    "priced",
    "recursive_types",
    "refusal",
    "strays",
    "structured",
    "tools",
    "upload",
]
"""What a provider may be able to do.

``documents``, ``images``, ``structured`` and ``tools`` in chats; ``embeddings`` beside chats, in
the same job. ``recursive_types``: an answer's type may hold itself; ``flat_types``: it may not, and
such a request is refused before it is sent. ``upload``: the input is a file of its own;
``fence``: without it a late create executes nothing; ``strays``: a batch of a token that was given
up can be found and cancelled. ``refusal``: a batch of a model that does not exist is refused as a
whole, and not row by row. ``priced``: the model has a known price.
"""

CHAT: frozenset[Feature] = frozenset({"documents", "images", "priced", "structured", "tools"})
"""What chat providers can usually do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A provider under test, with one kind of requests.

    ``provider`` is the name in its entry point. ``make(emulator, **options)`` gives a processor
    before an emulator, with a model set, and these options of it; it is also called in other
    processes, which find the subject at ``place``, as ``"package.module:NAME"``. ``modules`` are
    those that a first call imports: processes that are killed early need not wait for them.
    ``results`` is the emulated route that gives the rows.
    """

    name: str
    provider: str
    place: str
    make: Callable[..., NativeProcessor]
    kind: Kind = "chat"
    features: frozenset[Feature] = CHAT
    results: str = "files.content"
    modules: tuple[str, ...] = ()

    def request(self, id: str, text: str) -> ChatRequest | EmbeddingRequest:
        """A request of the subject's kind."""
        if self.kind == "chat":
            return ChatRequest(id=id, messages=text)
        return EmbeddingRequest(id=id, texts=text)
