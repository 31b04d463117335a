"""Tokens that answers report, added up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from ai_batch.emulator.json_types import JsonValue, decode


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens of one answer, or of many."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def plus(self, other: TokenUsage) -> TokenUsage:
        """Return the sum."""
        return TokenUsage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )

    def times(self, count: int) -> TokenUsage:
        """Return the usage of so many answers like this."""
        return TokenUsage(
            self.input * count, self.output * count, self.cached * count, self.reasoning * count
        )


UsageReader: TypeAlias = Callable[[JsonValue], TokenUsage]


class UsageSum:
    """Adds the usage of many answers; the same body again (a canned one) is not read again."""

    def __init__(self, read: UsageReader) -> None:
        self._read = read
        self._last = b""
        self._times = 0
        self._sum = TokenUsage()

    def add(self, body: bytes) -> None:
        """Add one answer's usage."""
        if body is not self._last:
            self._sum = self.total()
            self._last, self._times = body, 0
        self._times += 1

    def total(self) -> TokenUsage:
        """Return the sum."""
        if self._times == 0:
            return self._sum
        return self._sum.plus(self._read(decode(self._last)).times(self._times))
