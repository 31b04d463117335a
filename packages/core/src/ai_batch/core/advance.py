"""One shard, one step: may be repeated after any crash, from whatever state is on record.

Each step writes to the ledger what it is going to rely on before it acts, and what came of it
afterwards. The engine, a worker, or anything else only calls ``advance`` until it must wait.
"""

from __future__ import annotations

import logging
from typing import Any

from ai_batch.core.errors import (
    OutcomeUnknown,
    ProviderError,
    QueueFull,
    RemoteNotFound,
    RequestRefused,
    VendorFault,
)
from ai_batch.core.patience import (
    CALLED_OFF,
    CANCEL_AGAIN,
    LOST_AFTER,
    MAX_CLEANUP_FAILURES,
    MAX_FETCH_FAILURES,
    MAX_REFUSALS,
    MIN_MISSES,
    TOO_LARGE,
)
from ai_batch.core.provider import RemoteState, RemoteStatus
from ai_batch.core.shardfiles import sound_input
from ai_batch.core.state import Shard, ShardState
from ai_batch.core.steps import TRANSIENT, Steps
from ai_batch.core.submission import submission_of
from ai_batch.core.telemetry import step_span

__all__ = ["Advancer"]

logger = logging.getLogger("ai_batch.engine")

NOT_SENT = (ShardState.PLANNED, ShardState.RESERVED, ShardState.UPLOADED)

UNSEEN = "unseen"
"""The detail of a shard that says since when the vendor has not known its batch."""

SUSPECTS = "suspects"
"""The detail of a shard that names the batches which may be its, while others look at them."""

UNDER_WAY = (RemoteState.PENDING, RemoteState.RUNNING)


class Advancer(Steps):
    """Takes the shards of one job from step to step."""

    async def advance(
        self, shard: Shard, *, cancelling: bool, status: RemoteStatus | None = None
    ) -> Shard:
        """Take the next step. The shard that comes back is done, or due at its ``next_at``.

        A planned shard comes back as it is where its account's queue has no room now.

        ``status`` is what a poll for many shards has found of this one. Raises ``LeaseLost``
        when another process has taken over, and the errors that only a person can mend
        (``AuthenticationFailed``, ``QuotaExhausted``); all others are waited out.
        """
        if cancelling and shard.state in NOT_SENT:
            if shard.state is ShardState.RESERVED:
                shard = await self._maybe_uploaded(shard)
            return await self._collector.give_up(shard)
        if shard.state is ShardState.SUBMITTED:
            return await self._poll(shard, status, cancelling=cancelling)
        if shard.state is ShardState.INTENT:
            return await self._settle(shard, cancelling=cancelling)
        if shard.state is ShardState.ENDED:
            return await self._collect(shard, cancelling=cancelling)
        steps = {
            ShardState.PLANNED: self._reserve,
            ShardState.RESERVED: self._upload_again,
            ShardState.UPLOADED: self._create_later,
        }
        return await steps.get(shard.state, self._clean)(shard)

    @property
    def submits(self) -> bool:
        """A vendor works on batches by itself."""
        return True

    def stop(self) -> None:
        """Every step here is one call: the next one is told that the job is being cancelled."""

    async def put_off(self, shard: Shard, error: ProviderError) -> Shard:
        """Let a shard wait after a failure that passes, such as of a poll for many shards."""
        return await self._wait(shard, error)

    # -- to the provider --------------------------------------------------------------------

    async def _reserve(self, shard: Shard) -> Shard:
        reserved = await self._blocking(self._ledger.reserve, shard)
        return shard if reserved is None else await self._upload(reserved)

    async def _upload_again(self, shard: Shard) -> Shard:
        return await self._upload(await self._maybe_uploaded(shard))

    async def _maybe_uploaded(self, shard: Shard) -> Shard:
        """An earlier upload may have arrived although nobody knows its id: to be cleaned up."""
        if shard.token in shard.strays:
            return shard
        return await self._update(shard, strays=(*shard.strays, shard.token))

    async def _upload(self, shard: Shard) -> Shard:
        shard = await self._sound(shard)
        try:
            with step_span("upload", self._provider.name, shard):
                input_id = await self._provider.upload(self._submission(shard))
        except RequestRefused as error:
            return await self._refused_call(shard, error)
        except TRANSIENT as error:
            return await self._wait(shard, error)
        uploaded = await self._move(shard, ShardState.UPLOADED, input_id=input_id, failures=0)
        return await self._create(uploaded)

    async def _sound(self, shard: Shard) -> Shard:
        folder = self._guarded(shard)
        sound = await self._blocking(sound_input, folder, shard, self._provider)
        if sound is shard:
            return shard
        return await self._update(shard, bytes=sound.bytes, input_check=sound.input_check)

    async def _create_later(self, shard: Shard) -> Shard:
        """Create after a wait: where the input goes with the call, it has been on disk since."""
        return await self._create(await self._sound(shard) if shard.input_id is None else shard)

    async def _create(self, shard: Shard) -> Shard:
        try:
            mark = await self._provider.mark(self._submission(shard))
        except TRANSIENT as error:
            return await self._wait(shard, error)
        now = self._ledger.now()
        shard = await self._move(shard, ShardState.INTENT, intent_at=now, high_water=mark)
        # A machine that was suspended just here may wake up hours after another has taken over:
        # where an input can't be revoked, nothing but this keeps a late call from being paid.
        await self._blocking(self._ledger.confirm, shard)
        try:
            with step_span("create", self._provider.name, shard):
                remote_id = await self._provider.create(self._submission(shard))
        except OutcomeUnknown as error:
            return await self._wait(shard, error)
        except QueueFull as error:
            return await self._requeue(shard, error.retry_after)
        except RequestRefused as error:
            return await self._refused_call(shard, error)
        except ProviderError as error:
            return await self._not_created(shard, error)
        return await self._submitted(shard, remote_id)

    async def _refused_call(self, shard: Shard, error: RequestRefused) -> Shard:
        if error.status == TOO_LARGE and shard.count > 1:
            logger.warning("%s is too large for the provider: %s; halving it", shard.name, error)
            return await self._collector.split(shard)
        return await self._collector.refuse(shard, _fault_of(error))

    async def _not_created(self, shard: Shard, error: ProviderError) -> Shard:
        if isinstance(error, RemoteNotFound) and shard.failures >= MAX_REFUSALS:
            return await self._resubmit(shard)
        wait = self._backoff(shard, error)
        changes = {"failures": shard.failures + 1, "next_at": self._ledger.now() + wait}
        shard = await self._move(shard, ShardState.UPLOADED, **changes)
        if not error.retryable:
            raise error
        return shard

    async def _submitted(self, shard: Shard, remote_id: str) -> Shard:
        changes = self._submission_changes()
        return await self._blocking(self._ledger.submit, shard, remote_id, **changes)

    # -- a create of unknown outcome --------------------------------------------------------

    async def _settle(self, shard: Shard, *, cancelling: bool) -> Shard:
        """Look for the batch; create it again only once it certainly can't turn up any more."""
        waited = self._ledger.now() - (shard.intent_at or 0.0)
        try:
            if (found := await self._find(shard)) is not None:
                return found
            if waited < self._policy.settle_wait:
                wait = min(self._backoff(shard, None), self._policy.settle_wait - waited)
                changes = {"failures": shard.failures + 1, "next_at": self._ledger.now() + wait}
                return await self._update(shard, **changes)
            if shard.cancel_at is None:
                await self._provider.revoke(self._submission(shard))
                shard = await self._update(shard, cancel_at=self._ledger.now(), failures=0)
        except TRANSIENT as error:
            return await self._wait(shard, error)
        # A process that was asleep may have made it just now, and lists lag behind: look again.
        look_at = (shard.cancel_at or 0.0) + min(CALLED_OFF, self._policy.settle_wait)
        if self._ledger.now() < look_at:
            return await self._update(shard, next_at=look_at)
        return await self._not_found(shard, cancelling=cancelling)

    async def _not_found(self, shard: Shard, *, cancelling: bool) -> Shard:
        """Send it again, unless a batch that may have been its is gone."""
        try:
            suspects = await self._suspects(shard)
        except TRANSIENT as error:
            return await self._wait(shard, error)
        if suspects:
            gone = RemoteNotFound(f"{suspects} may have been its batch, and is not known any more")
            return await self._collector.lose(shard, gone, code="batch_lost")
        if cancelling:
            return await self._collector.give_up(shard)
        logger.warning("%s: its create call never took effect; sending it again", shard.name)
        return await self._resubmit(shard)

    async def _find(self, shard: Shard) -> Shard | None:
        rejected = await self._blocking(self._ledger.rejected, shard)
        submission = submission_of(self._folder, shard, rejected)
        candidates = await self._provider.find(submission)
        if not candidates:
            return None
        for other in candidates[1:]:
            if other.certain:
                await self._stop(other.remote_id)
        changes = self._submission_changes()
        found = await self._blocking(self._ledger.adopt, shard, candidates, **changes)
        if found is None:
            # Other shards are looking whether these are theirs: until they know, wait.
            suspects = _suspects_of(shard) | {candidate.remote_id for candidate in candidates}
            noted = {**shard.details, SUSPECTS: " ".join(sorted(suspects))}
            return await self._wait(shard, None, details=noted)
        logger.info("%s: found its batch %s at the provider", shard.name, found.remote_id)
        return found

    async def _suspects(self, shard: Shard) -> str:
        """The batches that may have been its and are gone, with nobody knowing whose they were."""
        rejected = await self._blocking(self._ledger.rejected, shard)
        suspects = _suspects_of(shard) - rejected
        # One that is still there has been looked at meanwhile, and holds another's requests.
        known = await self._provider.poll(sorted(suspects)) if suspects else {}
        return ", ".join(sorted(suspects - known.keys()))

    # -- at the provider --------------------------------------------------------------------

    async def _poll(self, shard: Shard, status: RemoteStatus | None, *, cancelling: bool) -> Shard:
        remote_id = shard.remote_id or ""
        try:
            if status is None:
                status = (await self._provider.poll([remote_id])).get(remote_id)
            if status is None:
                return await self._unknown(shard)
            # A batch that is not certainly ours is another program's until its rows are here.
            if cancelling and status.state in UNDER_WAY and not shard.adopted:
                shard = await self._cancel(shard, remote_id)
        except TRANSIENT as error:
            return await self._wait(shard, error)
        if status.state in UNDER_WAY:
            return await self._update(shard, **self.observed(shard, status))
        if status.state is RemoteState.ENDED:
            return await self._ended(shard, status)
        return await self._refused(shard, status)

    async def _refused(self, shard: Shard, status: RemoteStatus) -> Shard:
        if shard.adopted:
            return await self._blocking(self._ledger.reject, shard)
        if status.state is RemoteState.QUEUE_FULL:
            return await self._requeue(shard, None)
        if status.state is RemoteState.INPUT_LOST and shard.mended < MAX_REFUSALS:
            return await self._resubmit(shard, mended=shard.mended + 1)
        return await self._collector.refuse(shard, status.faults)

    async def _unknown(self, shard: Shard) -> Shard:
        """Wait for a batch that the vendor does not know, or not any more, and then give it up."""
        now = self._ledger.now()
        since = float(shard.details.get(UNSEEN) or now)
        hours = (now - since) / 3600
        gone = RemoteNotFound(f"it has not known batch {shard.remote_id} for {hours:.1f} h")
        if now - since <= LOST_AFTER or shard.failures < MIN_MISSES:
            return await self._wait(shard, gone, details={**shard.details, UNSEEN: str(since)})
        if shard.adopted and await self._has_others(shard):
            return await self._blocking(self._ledger.reject, shard)
        ended = await self._move(shard, ShardState.ENDED, ended_at=now, next_at=now)
        return await self._collector.lose(ended, gone, code="batch_lost")

    async def _has_others(self, shard: Shard) -> bool:
        """Whether another batch may be this shard's, where the one that it took for it is gone."""
        rejected = await self._blocking(self._ledger.rejected, shard)
        known = rejected | {shard.remote_id or ""}
        return bool(await self._provider.find(submission_of(self._folder, shard, known)))

    async def _cancel(self, shard: Shard, remote_id: str) -> Shard:
        now = self._ledger.now()
        if shard.cancel_at is not None and now - shard.cancel_at < CANCEL_AGAIN:
            return shard
        # On record first: a crash in between only repeats the call.
        shard = await self._update(shard, cancel_at=now)
        await self._stop(remote_id)
        return shard

    async def _stop(self, remote_id: str) -> None:
        try:
            await self._provider.cancel(remote_id)
        except RequestRefused as error:
            # It may just have ended; what has become of it the next poll tells.
            logger.warning("batch %s can't be cancelled: %s", remote_id, error)

    def observed(self, shard: Shard, status: RemoteStatus) -> dict[str, Any]:
        """What changes when a poll finds a shard's batch on its way."""
        now = self._ledger.now()
        done = status.completed + status.failed
        age = now - (shard.submitted_at or now)
        seen = {"details": {**shard.details, UNSEEN: None}} if shard.details.get(UNSEEN) else {}
        return {
            **seen,
            "live_completed": min(max(status.completed, shard.live_completed), shard.count),
            "live_failed": min(max(status.failed, shard.live_failed), shard.count),
            "failures": 0,
            "next_at": self._poll_at(now, age, done, status.total),
        }

    async def _ended(self, shard: Shard, status: RemoteStatus) -> Shard:
        now = self._ledger.now()
        return await self._move(
            shard,
            ShardState.ENDED,
            ended_at=now,
            next_at=now,
            failures=0,
            live_completed=min(status.completed, shard.count),
            live_failed=min(status.failed, shard.count),
            cut=status.cut,
            rows_expected=status.rows,
            details=status.details,
        )

    # -- from the provider ------------------------------------------------------------------

    async def _collect(self, shard: Shard, *, cancelling: bool) -> Shard:
        try:
            return await self._collector.collect(shard, cancelling=cancelling)
        except RemoteNotFound as error:
            # Results may show late; those that stay away have been deleted.
            age = self._ledger.now() - (shard.ended_at or 0.0)
            if age < LOST_AFTER or shard.failures < MAX_FETCH_FAILURES:
                return await self._wait(shard, error)
            return await self._collector.lose(shard, error)
        except TRANSIENT as error:
            return await self._wait(shard, error)
        except RequestRefused as error:
            if shard.failures < MAX_FETCH_FAILURES:
                return await self._wait(shard, error)
            return await self._collector.lose(shard, error)

    async def _clean(self, shard: Shard) -> Shard:
        loose = shard.input_id or shard.strays or any(shard.details.values())
        if self._policy.cleanup and loose:
            try:
                await self._provider.cleanup(self._submission(shard))
            except (*TRANSIENT, RequestRefused) as error:
                if shard.failures < MAX_CLEANUP_FAILURES:
                    return await self._wait(shard, error)
                logger.warning("%s: files stay at the provider: %s", shard.name, error)
        self._folder.file(shard.name, "input.jsonl").unlink(missing_ok=True)
        self._folder.sweep(shard.name)
        return await self._update(shard, cleaned=True)


def _suspects_of(shard: Shard) -> set[str]:
    return set((shard.details.get(SUSPECTS) or "").split())


def _fault_of(error: ProviderError) -> list[VendorFault]:
    return [*error.faults] or [VendorFault(error.message, code=error.code)]
