"""Lives through many histories, on all processors."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.history import outcome_of
from tests.simulation.mix import provider_of
from tests.simulation.plan import draw

__all__ = ["Tally", "run", "run_block"]

BLOCK = 25
"""Seeds that a process is given at once."""


@dataclass(slots=True)
class Tally:
    """What some histories came to."""

    histories: Counter[str] = field(default_factory=Counter[str])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    incidents: Counter[str] = field(default_factory=Counter[str])
    failed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def add(self, other: Tally) -> None:
        """Sum up."""
        self.histories += other.histories
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.incidents += other.incidents
        self.failed += other.failed


def run_block(first: int, count: int, provider: str | None) -> Tally:
    """Live through some histories."""
    tally = Tally()
    for seed in range(first, first + count):
        name = provider or provider_of(seed)
        started = time.perf_counter()
        outcome = outcome_of(draw(seed, name))
        spent = time.perf_counter() - started
        tally.seconds[name] = tally.seconds.get(name, 0.0) + spent
        tally.histories[name] += 1
        tally.incidents.update(incident.key.partition("#")[0] for incident in outcome.incidents)
        if outcome.failure is not None:
            tally.failed.append((seed, name))
    return tally


def _blocks(first: int, seeds: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + seeds, BLOCK):
        yield start, min(BLOCK, first + seeds - start)


def _collect_rarely() -> None:
    """A history leaves little behind, and looking for it takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(first: int, seeds: int, provider: str | None, processes: int) -> Tally:
    """Live through all histories, in several processes."""
    total = Tally()
    if processes <= 1 or seeds <= BLOCK:
        for start, count in _blocks(first, seeds):
            total.add(run_block(start, count, provider))
        return total
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_collect_rarely) as pool:
        works = [
            pool.submit(run_block, start, count, provider) for start, count in _blocks(first, seeds)
        ]
        for work in works:
            total.add(work.result())
    return total
