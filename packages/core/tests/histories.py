"""What the simulator is asked to live through: crashes, pauses, doubts, damage, and chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from packages.core.tests.simulation import LONG_PAUSES, MOMENTS, SETTLE_WAIT, SHORT_PAUSE, Plan

VARIANTS: dict[str, dict[str, Any]] = {
    "metadata and uploads": {"metadata": True, "uploads": True},
    "no metadata, no uploads": {"metadata": False, "uploads": False},
    "metadata, no uploads": {"metadata": True, "uploads": False},
    "no metadata, foreign batches": {"metadata": False, "uploads": False, "foreign": True},
}


PAUSES = [
    f"{moment} {call}" for call in ("upload", "create", "fetch", "cleanup") for moment in MOMENTS
]


def pauses() -> Iterator[Plan]:
    """Two programs, of which one is paused at a call; it wakes up late, or just too late."""
    for call in PAUSES:
        for seconds in (SHORT_PAUSE, SETTLE_WAIT + 30.0, LONG_PAUSES[-1]):
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
                deaths=[death],
            )


def crashes(**given: Any) -> Iterator[Plan]:
    """A crash at each point of a small job."""
    for place in range(1, 60):
        yield Plan(requests=2, deaths=[place], **given)


def damaged() -> Iterator[Plan]:
    """Damaged downloads, and nothing else."""
    for seed in range(1, 60):
        yield Plan(seed=seed, requests=3, damages=2)


def doubts() -> Iterator[Plan]:
    """Create calls of unknown outcome, at a vendor whose lists lag, with and without metadata."""
    for seed in range(1, 80):
        known = seed % 2 == 0
        yield Plan(
            seed=seed,
            requests=4,
            per_batch=1,
            metadata=known,
            uploads=known,
            deaths=[20 + seed],
            troubles=4,
            lag=40.0,
            latency=5.0,
        )


def foreign() -> Iterator[Plan]:
    """Crashes among batches of other programs, without metadata to tell them apart."""
    for seed in range(1, 60):
        yield Plan(seed=seed, metadata=False, uploads=False, foreign=True, deaths=[seed])


def draw(seed: int) -> Plan:
    """A random history."""
    rng = random.Random(seed)
    variant = rng.choice(list(VARIANTS.values()))
    some = rng.choice([0, 1, 1, 3])
    return Plan(
        seed=seed,
        requests=rng.choice([1, 2, 3, 5, 8]),
        per_batch=rng.choice([1, 2, 3]),
        deaths=[rng.randint(1, 120) for _ in range(rng.choice([0, 1, 1, 3]))],
        programs=rng.choice([1, 1, 1, 2]),
        one_machine=rng.choice([True, False]),
        pauses=rng.choice([0, 0, 1]),
        troubles=rng.choice([0, some, 4]),
        bad_fates=rng.choice([0, some]),
        damages=rng.choice([0, some]),
        losses=rng.choice([0, 0, 1]),
        lag=rng.choice([0.0, 0.0, 40.0]),
        latency=rng.choice([0.0, 0.1, 5.0, 30.0]),
        streams=rng.choice([False, False, True]),
        progress=rng.choice([False, False, True]),
        cancel_after=rng.choice([None, None, None, None, 5.0, 100.0]),
        max_batches=rng.choice([None, 1, 2]),
        poll_interval=rng.choice([None, 20.0, 60.0]),
        **variant,
    )
