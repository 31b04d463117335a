"""Which API version and betas a request travels under: a batch has one of each for all.

The version of 2026-10-21 refuses sampling parameters and documents in the model's own turns,
which the one before it still takes; both are served.
https://platform.claude.com/docs/en/api/migration-2026-10-21
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_batch.core.errors import Problem
from ai_batch.core.messages import Document
from ai_batch.core.requests import ChatRequest

__all__ = ["CURRENT", "FORMER", "headers_of", "variant_of", "version_for", "version_problems"]

CURRENT = "2026-10-21"

FORMER = "2023-06-01"

SAMPLING = ("temperature", "top_p", "top_k")
"""What a request may not hold since ``CURRENT``, be it in ``extra``."""

_PLAIN = frozenset({"id", "messages", "model", "metadata", "max_tokens"})


def variant_of(version: str, betas: Sequence[str]) -> str:
    """Version and betas as a route's variant: what separates the batches, and makes the headers."""
    return " ".join([version, *sorted(set(betas))])


def headers_of(variant: str) -> dict[str, str]:
    """The headers that a batch of this variant is created with."""
    version, *betas = variant.split()
    headers = {"anthropic-version": version}
    if betas:
        headers["anthropic-beta"] = ",".join(betas)
    return headers


def version_for(request: ChatRequest) -> str:
    """The newest version under which the request is allowed."""
    for message in request.messages:
        if message.role == "assistant" and any(type(part) is Document for part in message.parts):
            return FORMER
    if request.model_fields_set <= _PLAIN:
        return CURRENT
    return FORMER if any(_sampling(request)) else CURRENT


def _sampling(request: ChatRequest) -> Iterator[str]:
    for name in SAMPLING:
        if getattr(request, name, None) is not None:
            yield name
        elif name in (request.extra or ()):
            yield f"extra.{name}"


def version_problems(request: ChatRequest, version: str) -> Iterator[Problem]:
    """Why a request can't be sent under the version that the user has fixed."""
    if version < CURRENT or version_for(request) == CURRENT:
        return
    names = [*_sampling(request)] or ["messages"]
    for name in names:
        what = "a Document in an assistant message" if name == "messages" else "this"
        hint = f"leave api_version out, or set it to {FORMER}"
        yield Problem(f"API version {version} does not take {what}; {hint}", field=name)
