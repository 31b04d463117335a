"""What a shard's steps have in common: waiting, moving, sending again under a new token."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ai_batch.core.collect import Collector
from ai_batch.core.errors import (
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    RateLimited,
    RemoteNotFound,
)
from ai_batch.core.ledger import Ledger
from ai_batch.core.patience import SPLIT_AFTER, WORTH_TELLING
from ai_batch.core.policy import Policy
from ai_batch.core.provider import Provider, Submission
from ai_batch.core.runtime import Runtime
from ai_batch.core.schedule import backoff, poll_at, queue_delay
from ai_batch.core.shardfiles import renewal, write_input
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState, token_for
from ai_batch.core.submission import submission_of

__all__ = ["TRANSIENT", "Steps"]

logger = logging.getLogger("ai_batch.engine")

TRANSIENT = (ProviderUnavailable, RateLimited, QueueFull, OutcomeUnknown, RemoteNotFound)
"""Errors that are waited out."""


class Steps:
    """A shard's ledger, folder and provider, and what is done with them at several steps."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        folder: JobFolder,
        provider: Provider,
        runtime: Runtime,
        policy: Policy,
        types: Mapping[str, object] | None = None,
    ) -> None:
        """``types`` are the answers' Python types; None where no request has an output type."""
        self._ledger = ledger
        self._folder = folder
        self._provider = provider
        self._runtime = runtime
        self._policy = policy
        self._blocking = runtime.blocking
        self._collector = Collector(
            ledger=ledger,
            folder=folder,
            provider=provider,
            runtime=runtime,
            max_attempts=policy.max_attempts,
            retry_invalid=policy.retry_invalid,
            types=types,
        )

    def _submission_changes(self) -> dict[str, Any]:
        now = self._ledger.now()
        due = self._poll_at(now, 0.0)
        return {"submitted_at": now, "cancel_at": None, "failures": 0, "next_at": due}

    def _poll_at(self, now: float, age: float, done: int = 0, total: int = 0) -> float:
        interval, phase = self._policy.poll_interval, self._ledger.phase
        return poll_at(now, age, done, total, interval=interval, phase=phase)

    async def _resubmit(self, shard: Shard, **changes: Any) -> Shard:
        """Back to planned under a new token, with the input encoded anew."""
        renewed = await self._renewed(shard)
        fields: dict[str, Any] = {**renewal(shard, renewed), "failures": 0, **changes}
        fields.setdefault("next_at", self._ledger.now())
        return await self._move(shard, ShardState.PLANNED, **fields)

    async def _renewed(self, shard: Shard) -> Shard:
        submission = shard.submission + 1
        token = token_for(self._ledger.store_id, shard.job_id, shard.name, submission)
        renewed = shard.evolve(token=token, submission=submission)
        return await self._blocking(write_input, self._guarded(shard), renewed, self._provider)

    async def _requeue(self, shard: Shard, retry_after: float | None) -> Shard:
        """Wait for room in the provider's queue; alone and refused again, come in two halves."""
        try:
            await self._provider.revoke(self._submission(shard))
        except TRANSIENT as error:
            return await self._wait(shard, error)
        wait = max(queue_delay(shard.refusals + 1, self._runtime.random()), retry_after or 0.0)
        renewed = await self._renewed(shard)
        changes = renewal(shard, renewed)
        shard, alone = await self._blocking(self._ledger.refuse, shard, wait, **changes)
        logger.warning("%s: no room in the provider's queue, waiting %.0f s", shard.name, wait)
        if alone and shard.refusals >= SPLIT_AFTER and shard.count > 1:
            return await self._collector.split(shard)
        return shard

    def _guarded(self, shard: Shard) -> JobFolder:
        return self._folder.guarded(lambda: self._ledger.holding(shard))

    def _submission(self, shard: Shard) -> Submission:
        return submission_of(self._folder, shard)

    def _backoff(self, shard: Shard, error: ProviderError | None) -> float:
        retry_after = None if error is None else error.retry_after
        return backoff(shard.failures + 1, self._runtime.random(), retry_after=retry_after)

    async def _wait(self, shard: Shard, error: ProviderError | None, **changes: Any) -> Shard:
        wait = self._backoff(shard, error)
        failures = shard.failures + 1
        # Seen without any set-up of logging, but ever more rarely while it lasts.
        loud = failures >= WORTH_TELLING and not failures & (failures - 1)
        level = logging.WARNING if loud else logging.INFO
        logger.log(level, "%s (%s): %s; again in %.1f s", shard.name, shard.state, error, wait)
        changes |= {"failures": failures, "next_at": self._ledger.now() + wait}
        return await self._update(shard, **changes)

    async def _update(self, shard: Shard, **changes: Any) -> Shard:
        return await self._blocking(self._ledger.update, shard, **changes)

    async def _move(self, shard: Shard, to: ShardState, **changes: Any) -> Shard:
        return await self._blocking(self._ledger.move, shard, to, **changes)
