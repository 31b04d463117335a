"""When to do the next thing. Pure: no clock, no sleep, randomness comes in as a number."""

from __future__ import annotations

import math

__all__ = ["aligned", "backoff", "poll_at", "poll_delay", "queue_delay"]

YOUNG = 30.0
"""Seconds during which a batch is polled more often: small batches may end at once."""

FIRST = 0.5
"""Seconds until a batch is asked for the first time, at least."""

FASTEST = 5.0
"""Seconds between two polls at least, once a batch is no longer young."""


def poll_delay(
    age: float, done: int = 0, total: int = 0, *, interval: float | None = None
) -> float:
    """Seconds until a batch that was submitted ``age`` seconds ago is asked for again.

    A fixed ``interval`` wins. Else half of the time that the remaining requests are expected
    to take, at most twice the square root of the age; the square root while nothing has moved.
    Over ages from a minute to a day this lags half as much behind as a fixed 30 seconds, with a
    third of the calls (``benchmarks/poll_schedules.py``).
    """
    if interval is not None:
        return interval
    age = max(age, 0.0)
    floor = FASTEST if age >= YOUNG else FIRST + age * (FASTEST - FIRST) / YOUNG
    if 0 < done <= total:
        expected = age * (total - done) / done
        return min(max(0.5 * expected, floor), max(2.0 * math.sqrt(age), floor))
    return max(math.sqrt(age), floor)


def aligned(now: float, wait: float, phase: float) -> float:
    """When to do what is to be done in ``wait`` seconds, so that it meets with its like.

    Batches that were made at different moments are polled at the same instants, and one call
    that lists them asks for all. That is at most a quarter of the wait later. ``phase``, from 0
    to 1, keeps different ledgers apart: not all the world's clients may call at once.
    """
    if wait <= 0.0:
        return now
    step = 2.0 ** math.floor(math.log2(wait / 4.0))
    return (math.ceil((now + wait) / step - phase) + phase) * step


def poll_at(
    now: float, age: float, done: int, total: int, *, interval: float | None, phase: float
) -> float:
    """When to poll next: exactly after a fixed interval, else when others are polled too."""
    wait = poll_delay(age, done, total, interval=interval)
    return now + wait if interval is not None else aligned(now, wait, phase)


def backoff(
    failures: int,
    random: float,
    *,
    base: float = 1.0,
    cap: float = 60.0,
    retry_after: float | None = None,
) -> float:
    """Seconds to wait after ``failures`` failures in a row.

    Full jitter above half of an exponential step: many shards that failed together must not
    come back together. What the vendor asked for (``retry_after``) is never undercut, and is
    jittered upwards for the same reason.
    """
    step = min(cap, base * 2.0 ** min(max(failures - 1, 0), 30))
    if retry_after is not None:
        return retry_after + random * min(step, 0.1 * retry_after)
    return step * (0.5 + 0.5 * random)


def queue_delay(refusals: int, random: float) -> float:
    """Seconds until a batch is sent again that the vendor's queue had no room for."""
    return backoff(refusals, random, base=15.0, cap=900.0)
