"""A limit of calls that all processes of a ledger hold together: permits are taken in blocks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable

from ai_batch.concurrent.clients import LiveClient
from ai_batch.concurrent.pacing import LEEWAY
from ai_batch.core import LedgerUnavailable, Request
from ai_batch.core.ledger import Ledger
from ai_batch.core.permits import GOOD_FOR, MINUTE, Permits
from ai_batch.core.runtime import Runtime

__all__ = ["Share", "Shares"]

AWAY = 1.0
"""Seconds after which a ledger that was away is asked again. How long that may go on is up to the
engine, which needs the ledger as well."""

SPREAD = 0.5
"""Seconds over which those that were told to come again do. As long before its time a permit can
be had, so that the limit is reached all the same."""

WHOSE = frozenset({"client", "base_url", "system", "project", "location"})
"""Of what a client says of itself: what tells one account from another. How it asks does not."""


class Share:
    """What this process may call of one limit."""

    def __init__(self, take: Callable[[int], Permits], per_minute: float, runtime: Runtime) -> None:
        """``take`` asks the ledger for at most so many permits."""
        self.turn = asyncio.Lock()
        """Who holds it is the only one that waits for a permit."""
        self._take = take
        self._runtime = runtime
        self._largest = max(int(per_minute / MINUTE), 1)
        self._most = 1
        self._left = 0
        self._next = self._end = self._step = 0.0
        self._again = float("-inf")
        self._seen = float("-inf")
        self._lost = False

    def wait(self, now: float) -> float | None:
        """Seconds until a call may go out, or more can be asked for; None to ask for more now."""
        if now < self._seen:
            # The clock was set back, by which the permits would be good for longer.
            self._left, self._again = 0, now
        self._seen = now
        while self._left and self._end <= now:
            self._pass()
            self._lost = True
        if self._left:
            wait = self._next - now
        elif now + LEEWAY >= self._again:
            return None
        else:
            wait = self._again - now
        return wait if wait > LEEWAY else 0.0

    def spend(self) -> None:
        """A call goes out."""
        if self._left:
            self._pass()

    def _pass(self) -> None:
        self._left -= 1
        self._next += self._step
        self._end += self._step

    async def ask(self) -> None:
        """Ask for a block: a larger one than the last if that was used up, else a smaller one.

        What a process takes in vain the others lack.
        """
        self._most = max(self._most // 2, 1) if self._lost else min(self._most * 2, self._largest)
        before = self._runtime.clock()
        try:
            permits = await self._runtime.blocking(self._take, self._most)
        except LedgerUnavailable:
            self._again = self._runtime.clock() + AWAY
            return
        now = self._runtime.clock()
        if permits.count == 0:
            # Not all at the same moment: it would be the same one that is first each time.
            spread = self._runtime.random() * min(permits.step, SPREAD)
            self._again = now + permits.wait + spread
            return
        # The ledger gave them at some moment between: none is used too early, or too late.
        self._left, self._step, self._lost = permits.count, permits.step, False
        self._next = now + permits.wait
        self._end = min(before, now) + permits.wait + GOOD_FOR


class Shares:
    """The shares of one job: one for each client and model."""

    def __init__(self, ledger: Ledger, per_minute: float, runtime: Runtime) -> None:
        """``per_minute`` is what each of them may be called by all processes together."""
        self._ledger = ledger
        self._per_minute = per_minute
        self._runtime = runtime
        self._found: dict[tuple[int, str], Share] = {}

    def of(self, client: LiveClient, request: Request) -> Share:
        """The share of which a call is."""
        model = request.model or client.model
        key = (id(client), model)
        if key not in self._found:
            account = _account(client, model)

            def take(most: int) -> Permits:
                return self._ledger.permits(account, self._per_minute, most)

            self._found[key] = Share(take, self._per_minute, self._runtime)
        return self._found[key]


def _account(client: LiveClient, model: str) -> str:
    """The same in every process that asks this model of the same server."""
    whose = {name: value for name, value in client.identity.items() if name in WHOSE}
    told = json.dumps(whose, sort_keys=True).encode()
    return f"concurrent:{hashlib.blake2b(told, digest_size=8).hexdigest()}:{model}"
