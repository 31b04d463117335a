"""Histories of one kind each: crashes, pauses, doubts, damage. They catch what breaks one rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ai_batch.core.patience import CALLED_OFF
from tests.simulation.plan import LONG_PAUSES, SETTLE_WAIT, SHORT_PAUSE, Plan, kind_of

__all__ = ["crashes", "damaged", "doubts", "foreign", "last_words", "pauses", "real_pauses"]

PAUSES = [
    f"{moment} {call}"
    for call in ("upload", "create", "fetch", "cleanup")
    for moment in ("before", "after")
]


LENGTHS = (
    SHORT_PAUSE,
    SETTLE_WAIT + 30.0,
    # Just after the last look for a batch, and before what was uploaded for it is cleaned up.
    SETTLE_WAIT + CALLED_OFF + 30.0,
    SETTLE_WAIT + CALLED_OFF + 70.0,
    LONG_PAUSES[-1],
)
"""Seconds of a pause."""


def pauses() -> Iterator[Plan]:
    """Two programs, of which one is paused at a call; it wakes up late, or just too late."""
    for call in PAUSES:
        for seconds in LENGTHS:
            yield Plan(requests=3, programs=2, pauses_before=call, pauses_for=seconds)


def last_words() -> Iterator[Plan]:
    """A program is paused before its download, and dies soon after it has woken up."""
    for seed in range(1, 5):
        for death in range(26, 44):
            yield Plan(
                seed=seed,
                requests=3,
                per_batch=3,
                programs=2,
                pauses_before="before fetch",
                deaths=(death,),
            )


def crashes(provider: str = "fake", **given: Any) -> Iterator[Plan]:
    """A crash at each point of a small job."""
    for place in range(1, 60):
        yield Plan(**kind_of(provider), requests=2, deaths=(place,), **given)


def damaged(provider: str = "fake") -> Iterator[Plan]:
    """Damaged downloads, and nothing else."""
    for seed in range(1, 60):
        yield Plan(**kind_of(provider), seed=seed, requests=3, damages=2)


def doubts(provider: str = "fake-bare") -> Iterator[Plan]:
    """Create calls of unknown outcome, at a vendor whose lists lag, with and without metadata."""
    for seed in range(1, 80):
        fake = "fake" if seed % 2 == 0 else "fake-bare"
        yield Plan(
            **kind_of(fake if provider == "fake-bare" else provider),
            seed=seed,
            requests=4,
            per_batch=1,
            deaths=(20 + seed,),
            troubles=4,
            lag=40.0,
            latency=5.0,
        )


def foreign(provider: str = "fake-foreign") -> Iterator[Plan]:
    """Crashes among batches of other programs, without metadata to tell them apart."""
    for seed in range(1, 60):
        kind: dict[str, Any] = {**kind_of(provider), "foreign": True}
        yield Plan(**kind, seed=seed, deaths=(seed,), troubles=2)


def real_pauses(provider: str) -> Iterator[Plan]:
    """Like ``pauses``, by the names that the vendors' routes have."""
    calls = [f"{moment} batches.create" for moment in ("before", "after")]
    for seed in range(1, 8):
        for call in calls:
            for seconds in LENGTHS:
                yield Plan(
                    **kind_of(provider),
                    seed=seed,
                    requests=3,
                    programs=2,
                    pauses_before=call,
                    pauses_for=seconds,
                )
