"""The one loop: claims shards that are due, advances them, and waits for the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Protocol

from ai_batch.core.disk import of_disk
from ai_batch.core.errors import LeaseLost, LedgerError, LedgerUnavailable, NoRoom
from ai_batch.core.ledger import Ledger
from ai_batch.core.owners import is_gone, new_owner
from ai_batch.core.patience import LEDGER_WAITS, NO_ROOM_WAITS
from ai_batch.core.polling import Listener, Poller
from ai_batch.core.provider import RemoteStatus
from ai_batch.core.records import JobRecord
from ai_batch.core.runtime import Runtime
from ai_batch.core.state import TERMINAL, Shard, ShardState

__all__ = ["Engine", "ShardAdvancer"]

logger = logging.getLogger("ai_batch.engine")

LEASE = 120.0
"""Seconds for which a claimed shard is this process's; renewed while it is worked on."""

LONGEST_SLEEP = 30.0
"""Seconds after which the ledger is looked at in any case."""

SHORT_SLEEP = 2.0
"""The same while another process is seen to be at work: it may be about to end the job."""

CLAIMS = 1000
"""Shards on their way that are claimed at once."""

FULL_WAIT = 15.0
"""Seconds until an account's queue that was full is tried again; a batch that ends here frees it
at once."""

SENDING_LOOK = 0.05
"""Seconds between two looks whether all that was being sent has been."""

PARALLEL = 8
"""Uploads, creates and downloads at once; polls go together in one call."""

FREEING = frozenset({ShardState.ENDED, ShardState.COLLECTED, ShardState.FAILED})
"""States in which a shard has just given back its room in the queue."""


class ShardAdvancer(Protocol):
    """Takes shards from step to step."""

    @property
    def submits(self) -> bool:
        """Whether a shard's work goes on elsewhere once it has been sent."""
        ...

    async def advance(
        self, shard: Shard, *, cancelling: bool, status: RemoteStatus | None = None
    ) -> Shard:
        """Take the next step, which may be repeated after any crash.

        The shard that comes back is done, or due at its ``next_at``; the same one where there is
        no room for it now. ``status`` is what a poll for many shards found of this one.
        """
        ...

    def stop(self) -> None:
        """Begin nothing any more in steps that are under way: the job is being cancelled."""
        ...


class Engine:
    """Drives one job to its end. Any number of engines may drive the same job."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        runtime: Runtime,
        advancer: ShardAdvancer,
        job_id: str,
        listener: Listener,
        poller: Poller | None = None,
    ) -> None:
        """``poller`` asks about many submitted shards at once.

        ``launched`` is set once nothing is left to do but to wait for the provider; where
        requests are answered one by one, as soon as that has begun.
        """
        self._ledger = ledger
        self._poller = poller
        self._runtime = runtime
        self._blocking = runtime.blocking
        self._advancer = advancer
        self._job_id = job_id
        self._listener = listener
        self._owner = new_owner()
        self._busy: dict[asyncio.Task[None], Sequence[Shard]] = {}
        self._slots = asyncio.Semaphore(PARALLEL)
        self._wake = asyncio.Event()
        self._full: dict[str, float] = {}
        self._sending = 0
        self._sends = True
        self._roomless = 0
        self._missed = 0
        self._holds_more = False
        self._cancelling = False
        self._deadline_at: float | None = None
        self.launched = asyncio.Event()

    def wake(self) -> None:
        """Have the ledger looked at now, such as after a cancel."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way here: all that is left waits for its time."""
        return self.launched.is_set() and not self._busy

    async def send_no_more(self, seconds: float) -> None:
        """Begin to send nothing any more, and wait at most so long for what is being sent.

        A create call that is cut has an unknown outcome, and whoever takes over has to wait.
        """
        self._sends = False
        until = self._runtime.clock() + seconds
        while self._sending and self._runtime.clock() < until:
            await self._runtime.sleep(SENDING_LOOK)

    async def run(self) -> JobRecord:
        """Work until every request has its result; the job as it ended.

        Raises the errors that only a person can mend; the job stays as it is and can be run
        again. Cancelling this coroutine leaves nothing running here and all on record.
        """
        heartbeat = asyncio.create_task(self._keep_leases())
        loop = asyncio.get_running_loop()
        try:
            with self._ledger.watch(self._job_id, lambda: loop.call_soon_threadsafe(self.wake)):
                return await self._rounds()
        finally:
            heartbeat.cancel()
            await self._stop()
            # Tasks that were cancelled before their first step have released nothing. Where this
            # can't be written, leases run out, or are those of a process that is known to be gone.
            with contextlib.suppress(NoRoom, LedgerUnavailable):
                self._ledger.set_free(self._job_id, self._owner)
            self.launched.set()

    async def _rounds(self) -> JobRecord:
        while True:
            try:
                if self._holds_more:
                    # What the ledger could not take back would be leased for ever.
                    await self._blocking(
                        self._ledger.set_free, self._job_id, self._owner, but=self._held()
                    )
                    self._holds_more = False
                if not await self._round():
                    return await self._blocking(self._finish)
                self._missed = 0
            except NoRoom as error:
                await self._without_room(error)
            except LedgerUnavailable as error:
                await self._without_ledger(error)

    def _held(self) -> list[Shard]:
        """The shards that are being worked on here."""
        return [shard for task, shards in self._busy.items() if not task.done() for shard in shards]

    async def _without_ledger(self, error: LedgerUnavailable) -> None:
        """Wait for the database; what is under way goes on, and stops where it needs it.

        What was cut goes on from the record then, as after a crash: its last write may have got
        there or not. Raises the error once that has been in vain for long.
        """
        if self._missed == len(LEDGER_WAITS):
            raise error
        wait = LEDGER_WAITS[self._missed]
        self._missed += 1
        logger.warning("%s; trying again in %.0f s", error, wait)
        self._holds_more = True
        await self._runtime.sleep(wait)

    async def _without_room(self, error: NoRoom) -> None:
        """Wait for room on the disk; then everything goes on from the record, as after a crash.

        Raises the error once that has been in vain for long, and at once where requests are
        answered one by one: answers that can't be kept are paid for in vain.
        """
        if self._roomless == len(NO_ROOM_WAITS) or not self._advancer.submits:
            raise error
        wait = NO_ROOM_WAITS[self._roomless]
        self._roomless += 1
        logger.warning("%s; trying again in %.0f s", error, wait)
        await asyncio.gather(*self._busy, return_exceptions=True)
        self._busy.clear()
        self._holds_more = True
        await self._runtime.sleep(wait)

    async def _round(self) -> bool:
        """Start what is due and wait for something to happen; False once all is done."""
        self._wake.clear()
        await self._refresh()
        claimed = await self._claimed()
        polls = [shard for shard in claimed if shard.state is ShardState.SUBMITTED]
        if polls and self._poller is not None:
            self._start(self._poll(self._poller, polls), *polls)
        for shard in claimed:
            if shard.state is ShardState.PLANNED:
                self._sending += 1
                self._start(self._send(shard), shard)
            elif shard.state is not ShardState.SUBMITTED:
                self._start(self._drive(shard, None), shard)
        due = await self._blocking(self._ledger.next_due, self._job_id, list(self._full))
        waits = [*self._full.values()] if due is None else [*self._full.values(), due]
        if due is None and not self._full and not self._busy:
            return False
        if self._deadline_at is not None:
            waits.append(self._deadline_at)
        due = min(waits, default=None)
        if not self._busy or not self._advancer.submits:
            self.launched.set()
        await self._wait(due, LONGEST_SLEEP if await self._alone() else SHORT_SLEEP)
        return True

    async def _alone(self) -> bool:
        """Whether no other process works on the job; what dead ones held is set free."""
        others = await self._blocking(self._ledger.owners, self._job_id) - {self._owner}
        gone = {owner for owner in others if is_gone(owner)}
        for owner in gone:
            logger.info("taking over what %s was working on when it ended", owner)
            await self._blocking(self._ledger.set_free, self._job_id, owner)
            self._wake.set()
        return others == gone

    async def _claimed(self) -> list[Shard]:
        now = self._ledger.now()
        self._full = {account: until for account, until in self._full.items() if until > now}
        if self._cancelling:
            self._full.clear()
        claim = asyncio.ensure_future(
            self._blocking(
                self._ledger.claim,
                self._job_id,
                self._owner,
                LEASE,
                limit=CLAIMS if len(self._busy) < CLAIMS else 0,
                new=self._new(),
                full=list(self._full),
            )
        )
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            # Its thread goes on: what it leases after the end of this engine would be nobody's.
            await asyncio.wait([claim])
            raise

    def _new(self) -> int:
        """How many shards that have yet to be sent may be claimed."""
        if not self._sends:
            return 0
        return CLAIMS if self._cancelling else max(PARALLEL - self._sending, 0)

    async def _refresh(self) -> None:
        job = await self._blocking(self._ledger.job, self._job_id)
        late = job.deadline_at is not None and self._ledger.now() >= job.deadline_at
        if late and job.state == "running":
            logger.warning("job %s has reached its deadline; cancelling what is left", job.id)
            job = await self._blocking(self._ledger.cancel_job, self._job_id)
        self._deadline_at = None if late else job.deadline_at
        self._cancelling = job.state == "cancelling"
        if self._cancelling:
            self._advancer.stop()

    def _start(self, work: Coroutine[object, object, None], *shards: Shard) -> None:
        self._busy[asyncio.create_task(work)] = shards

    async def _wait(self, due: float | None, longest: float) -> None:
        delay = longest if due is None else due - self._ledger.now()
        delay = min(max(delay, 0.0), longest)
        sleep = asyncio.ensure_future(self._runtime.sleep(delay))
        wake = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleep, wake, *self._busy}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            wake.cancel()
        self._reap()

    def _reap(self) -> None:
        finished = [task for task in self._busy if task.done()]
        for task in finished:
            del self._busy[task]
        # All are asked: several may have failed for the same reason.
        for error in [task.exception() for task in finished]:
            if error is not None:
                raise error

    async def _stop(self) -> None:
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        self._busy.clear()

    # -- one shard --------------------------------------------------------------------------

    async def _poll(self, poller: Poller, shards: Sequence[Shard]) -> None:
        # Tasks of their own: when one of them fails, the engine stops the others.
        for shard, status in await poller.poll(shards, cancelling=self._cancelling):
            self._start(self._drive(shard, status), shard)

    async def _send(self, shard: Shard) -> None:
        try:
            await self._drive(shard, None)
        finally:
            self._sending -= 1

    async def _drive(self, shard: Shard, status: RemoteStatus | None) -> None:
        """Advance one shard until it has to wait."""
        try:
            while True:
                before, shard = shard, await self._step(shard, status)
                status = None
                if shard is before:
                    self._full[shard.account] = self._ledger.now() + FULL_WAIT
                    break
                if shard.state in TERMINAL:
                    self._roomless = 0
                if shard.state in FREEING:
                    self._full.pop(shard.account, None)
                self._listener(shard)
                if shard.done or shard.next_at > self._ledger.now():
                    break
        except LeaseLost as lost:
            logger.warning("%s", lost)
        except FileNotFoundError:
            # Whoever took the shard over deletes its input once it has its results.
            if self._ledger.holds(shard):
                raise
            logger.warning("shard %s was taken over by another process", shard.name)
        except OSError as error:
            # The way to the provider fails with errors of ours: this is the disk.
            raise of_disk(error, shard.name) from error
        finally:
            self._ledger.release(shard)

    async def _step(self, shard: Shard, status: RemoteStatus | None) -> Shard:
        if shard.state is ShardState.SUBMITTED:
            return await self._advancer.advance(shard, cancelling=self._cancelling, status=status)
        async with self._slots:
            return await self._advancer.advance(shard, cancelling=self._cancelling)

    async def _keep_leases(self) -> None:
        while True:
            await self._runtime.sleep(LEASE / 4)
            try:
                await self._blocking(self._ledger.renew, self._job_id, self._owner, LEASE)
            except LedgerError as error:
                # Before they run out it is tried again; what stops the job is told elsewhere.
                logger.warning("leases can't be renewed: %s", error)

    def _finish(self) -> JobRecord:
        job = self._ledger.job(self._job_id)
        if job.finished_at is not None:
            return job
        state = "cancelled" if job.state == "cancelling" else "completed"
        return self._ledger.change_job(job.id, state=state, finished_at=self._ledger.now())
