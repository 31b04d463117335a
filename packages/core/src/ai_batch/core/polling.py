"""Asks the provider what became of many shards with one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ai_batch.core.advance import UNDER_WAY, Advancer
from ai_batch.core.errors import LeaseLost, ProviderError
from ai_batch.core.ledger import Ledger
from ai_batch.core.provider import Provider, RemoteStatus
from ai_batch.core.runtime import Runtime
from ai_batch.core.state import Shard
from ai_batch.core.steps import TRANSIENT

__all__ = ["Listener", "Poller"]

Listener: TypeAlias = Callable[[Shard], None]
"""Told of every shard that has moved."""

Moved: TypeAlias = list[tuple[Shard, RemoteStatus | None]]


class Poller:
    """Polls for the shards of one job."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        provider: Provider,
        runtime: Runtime,
        advancer: Advancer,
        listener: Listener,
    ) -> None:
        """Nothing is asked before ``poll``."""
        self._ledger = ledger
        self._provider = provider
        self._blocking = runtime.blocking
        self._advancer = advancer
        self._listener = listener

    async def poll(self, shards: Sequence[Shard], *, cancelling: bool) -> Moved:
        """Those with which there is more to do; what the others are doing is noted."""
        try:
            statuses = await self._provider.poll([shard.remote_id or "" for shard in shards])
        except TRANSIENT as error:
            await self._put_off(shards, error)
            return []
        except BaseException:
            for shard in shards:
                self._ledger.release(shard)
            raise
        quiet, moved = self._sorted(shards, statuses, cancelling=cancelling)
        await self._blocking(self._ledger.note, quiet)
        for shard, changes in quiet:
            self._listener(shard.evolve(**changes))
        return moved

    def _sorted(
        self,
        shards: Sequence[Shard],
        statuses: Mapping[str, RemoteStatus],
        *,
        cancelling: bool,
    ) -> tuple[list[tuple[Shard, dict[str, Any]]], Moved]:
        """Shards of which there is only to note that they go on, and those with more to do."""
        quiet: list[tuple[Shard, dict[str, Any]]] = []
        moved: Moved = []
        for shard in shards:
            status = statuses.get(shard.remote_id or "")
            if status is not None and status.state in UNDER_WAY and not cancelling:
                quiet.append((shard, self._advancer.observed(shard, status)))
            else:
                moved.append((shard, status))
        return quiet, moved

    async def _put_off(self, shards: Sequence[Shard], error: ProviderError) -> None:
        for shard in shards:
            try:
                await self._advancer.put_off(shard, error)
            except LeaseLost:
                continue
            self._ledger.release(shard)
