"""Limits per minute of the live endpoints, for each model on its own.

A limit is a bucket that is refilled without a pause, as Anthropic documents it
(https://platform.claude.com/docs/en/api/rate-limits) and as OpenAI's messages show: the time to
wait is the part that is too much, divided by the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from ai_batch.emulator.clock import Clock
from ai_batch.emulator.options import PerModel, limit_of

_MINUTE = 60.0
# A bucket that is full after a minute of waiting must not be short of a rounding error.
_TINY = 1e-6


class Level(NamedTuple):
    """What is told of a limit: its size, what is left, and the seconds until all of it is back."""

    limit: int
    left: int
    reset: float


class Exceeded(NamedTuple):
    """The limit that refuses a call: for how many seconds (for ever if infinite)."""

    name: str
    level: Level
    asked: int
    wait: float


class Bucket:
    """So much per minute of the emulator's clock."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._used = 0.0
        self._at = clock.now()

    def _refill(self) -> None:
        now = self._clock.now()
        self._used = max(0.0, self._used - max(0.0, now - self._at) * self._limit / _MINUTE)
        self._at = now

    def wait(self, amount: int) -> float:
        """Return in how many seconds there is room for this amount: 0 if now, or infinity."""
        self._refill()
        if amount > self._limit:
            return math.inf
        excess = self._used + amount - self._limit
        return excess * _MINUTE / self._limit if excess > _TINY else 0.0

    def take(self, amount: int) -> None:
        """Use up some, more than there is if need be; a negative amount is given back."""
        self._refill()
        self._used = max(0.0, self._used + amount)

    def level(self) -> Level:
        """Return what is told of the limit now."""
        self._refill()
        left = max(0, math.floor(self._limit - self._used + _TINY))
        return Level(self._limit, left, self._used * _MINUTE / self._limit if self._limit else 0.0)


class Allowance:
    """The limits of one model, by name; those that are off are not there."""

    def __init__(self, clock: Clock, limits: Mapping[str, int | None]) -> None:
        self._buckets = {
            name: Bucket(clock, limit) for name, limit in limits.items() if limit is not None
        }

    def take(self, amounts: Mapping[str, int]) -> Exceeded | None:
        """Use up these amounts, or none of them if that would be too much of one."""
        for name, amount in amounts.items():
            bucket = self._buckets.get(name)
            wait = 0.0 if bucket is None else bucket.wait(amount)
            if bucket is not None and wait > 0:
                return Exceeded(name, bucket.level(), amount, wait)
        for name, amount in amounts.items():
            self.use(name, amount)
        return None

    def use(self, name: str, amount: int) -> None:
        """Use up an amount that was known too late to refuse it."""
        if name in self._buckets:
            self._buckets[name].take(amount)

    def counts(self, *names: str) -> bool:
        """Tell whether one of these limits is on."""
        return any(name in self._buckets for name in names)

    def level(self, name: str) -> Level | None:
        """Return what is told of a limit, or None if it is off."""
        return self._buckets[name].level() if name in self._buckets else None


class RateLimits:
    """The allowances of all models of one vendor."""

    def __init__(self, clock: Clock, limits: Mapping[str, PerModel]) -> None:
        self._clock = clock
        self._limits = limits
        self._allowances: dict[str, Allowance] = {}

    def of(self, model: str) -> Allowance:
        """Return a model's allowance."""
        found = self._allowances.get(model)
        if found is None:
            limits = {name: limit_of(limit, model) for name, limit in self._limits.items()}
            found = self._allowances[model] = Allowance(self._clock, limits)
        return found

    def clear(self) -> None:
        """Forget what was used up."""
        self._allowances.clear()
