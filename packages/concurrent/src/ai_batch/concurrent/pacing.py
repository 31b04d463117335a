"""How many calls and tokens may go out in a minute. Pure: the time comes in, the wait comes out.

``aiolimiter`` and its like are leaky buckets: they let twice the limit through in the first
minute. Here no window of sixty seconds, wherever it begins, ever holds more than the limit.
"""

from __future__ import annotations

from collections import deque

__all__ = ["MINUTE", "Pace", "Window"]

MINUTE = 60.0

SLOTS = 600
"""Into which a minute is cut: what was spent is forgotten a tenth of a second late, at most."""

BURST = 1.0
"""Seconds' worth of calls that may go out at once, after a time in which fewer did."""

LEEWAY = 1e-6
"""Seconds that times may be off: those of today have no finer steps."""


class Window:
    """An amount that may be spent in any sixty seconds."""

    def __init__(self, limit: float) -> None:
        """``limit`` is what may be spent in a minute."""
        self.limit = limit
        self._spent: deque[list[float]] = deque()
        self._sum = 0.0
        self._even = 0.0
        self._seen = float("-inf")

    def wait(self, now: float, amount: float) -> float:
        """Seconds until ``amount`` may be spent; 0 when it may be now.

        An amount above the limit, which never fits, may be spent once nothing else is.
        """
        self._forget(now)
        wait = max(self._even - BURST - now, 0.0)
        missing = self._sum + min(amount, self.limit) - self.limit
        if missing <= 0.0:
            return wait
        for slot, spent in self._spent:
            missing -= spent
            if missing <= 0.0:
                return max(wait, slot + MINUTE / SLOTS + MINUTE - now)
        return max(wait, MINUTE)

    def spend(self, now: float, amount: float) -> None:
        """Count ``amount`` as spent now."""
        self._forget(now)
        slot = now - now % (MINUTE / SLOTS)
        if self._spent and self._spent[-1][0] >= slot:
            self._spent[-1][1] += amount
        else:
            self._spent.append([slot, amount])
        self._sum += amount
        self._even = max(self._even, now) + amount * MINUTE / self.limit

    def give_back(self, now: float, amount: float, at: float) -> None:
        """Of what was spent ``at`` that time, so much was not used; it may be forgotten already.

        Counted at any other time, it would raise the limit of the minutes in which it stands.
        """
        self._forget(now)
        for entry in reversed(self._spent):
            if entry[0] <= at:
                back = min(amount, entry[1])
                if at < entry[0] + MINUTE / SLOTS + LEEWAY:
                    entry[1] -= back
                    self._sum -= back
                    self._even -= back * MINUTE / self.limit
                return

    def _forget(self, now: float) -> None:
        if now < self._seen:
            # The clock was set back, and what was spent by it is as old as before.
            for entry in self._spent:
                entry[0] -= self._seen - now
            self._even -= self._seen - now
        self._seen = now
        while self._spent and self._spent[0][0] + MINUTE / SLOTS + MINUTE <= now + LEEWAY:
            self._sum -= self._spent.popleft()[1]
        if not self._spent:
            self._sum = 0.0


class Pace:
    """The limits of calls and of tokens together; None where there is no such limit."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        """Nothing has been spent yet."""
        self._calls = None if requests_per_minute is None else Window(requests_per_minute)
        self._tokens = None if tokens_per_minute is None else Window(tokens_per_minute)

    @property
    def counts_tokens(self) -> bool:
        """Whether the number of tokens matters at all."""
        return self._tokens is not None

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until a call of about so many tokens may go out."""
        calls = 0.0 if self._calls is None else self._calls.wait(now, 1)
        return calls if self._tokens is None else max(calls, self._tokens.wait(now, tokens))

    def spend(self, now: float, tokens: int) -> None:
        """Count a call that goes out now."""
        if self._calls is not None:
            self._calls.spend(now, 1)
        if self._tokens is not None:
            self._tokens.spend(now, tokens)

    def correct(self, now: float, tokens: int, at: float) -> None:
        """A call that went out ``at`` that time took so many tokens more than expected, or less."""
        if self._tokens is None:
            return
        if tokens > 0:
            self._tokens.spend(now, tokens)
        elif tokens < 0:
            self._tokens.give_back(now, -tokens, at)
