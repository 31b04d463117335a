"""From a batch that ended to results on disk, with nothing unaccounted for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ai_batch.core.accounting import Account, Accountant
from ai_batch.core.closing import ShardCloser
from ai_batch.core.errors import ProviderError, ProviderUnavailable, VendorFault
from ai_batch.core.ledger import Ledger
from ai_batch.core.provider import Provider
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.results import ItemError
from ai_batch.core.rows import Source
from ai_batch.core.runtime import Runtime
from ai_batch.core.schedule import backoff
from ai_batch.core.shardfiles import halves, write_child
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import Shard, ShardState
from ai_batch.core.submission import submission_of
from ai_batch.core.telemetry import step_span

__all__ = ["Collector"]

logger = logging.getLogger("ai_batch.engine")

DOWNLOADS = 4
"""How often rows are downloaded while some are missing or can't be read: a connection that is
cut can end without any error where no length was announced."""

SECOND_LOOK = 2
"""How often rows of a batch that was cut short are downloaded where nobody tells how many there
are: what the first download lacks may have been lost on the way, and would be paid for again."""

SURELY_FOREIGN = 2
"""Rows of somebody else's, with none of ours, by which a batch is known to be another program's:
a single stray row was seen in batches of one's own."""

MAX_MENDED = 5
"""How often the rest of a batch is sent again after the vendor refused it for single lines."""

MISSING = {
    None: ItemError(
        code="missing_row", message="the provider gave no row for this request", retryable=True
    ),
    "expired": ItemError(
        code="batch_expired",
        message="the batch expired before this request was executed",
        retryable=True,
    ),
    "cancelled": ItemError(
        code="batch_cancelled", message="the batch was cancelled before this request was executed"
    ),
}


UNAVAILABLE = "results_unavailable"


class Collector(ShardCloser):
    """Ends shards whose batches are at a provider."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        folder: JobFolder,
        provider: Provider,
        runtime: Runtime,
        max_attempts: int,
        retry_invalid: bool,
        types: Mapping[str, object] | None,
    ) -> None:
        """``types`` are the answers' Python types; None where no request has an output type."""
        super().__init__(
            ledger=ledger,
            folder=folder,
            formats=provider,
            runtime=runtime,
            max_attempts=max_attempts,
            retry_invalid=retry_invalid,
            types=types,
        )
        self._provider = provider

    async def collect(self, shard: Shard, *, cancelling: bool) -> Shard:
        """Download, account for every request, and leave to a child what is to be asked again.

        Raises ``ProviderError`` while the rows can't be had; nothing has changed then.
        """
        accountant = await self._best(shard, cancelling)
        if shard.adopted and accountant.account.missing == shard.count:
            # It was adopted on suspicion and is another program's: look on.
            return await self._blocking(self._ledger.reject, shard)
        return await self._blocking(self._finish, shard, accountant)

    async def _best(self, shard: Shard, cancelling: bool) -> Accountant:  # noqa: FBT001
        """A whole download, or after several tries one as good as the best of them.

        What one download held is paid for: a later one that holds less is not settled for.
        """
        least: int | None = None
        for download in range(1, 3 * DOWNLOADS):
            accountant = await self._fetched(shard, cancelling)
            account = accountant.account
            harm = account.harm
            least = harm if least is None else min(harm, least)
            looks = _downloads(shard, account)
            if download >= looks and harm == least:
                return accountant
            if shard.adopted and account.foreign >= SURELY_FOREIGN and not account.rows:
                return accountant
            level = logging.WARNING if looks > SECOND_LOOK else logging.INFO
            logger.log(level, "%s: %s; downloading again", shard.name, _damage(account))
            await self._runtime.sleep(backoff(download, self._runtime.random(), cap=10.0))
        raise ProviderUnavailable(f"{shard.name}: every download of its rows is another one")

    async def _fetched(self, shard: Shard, cancelling: bool) -> Accountant:  # noqa: FBT001
        await self._download(shard)
        return await self._blocking(self._read, shard, cancelling=cancelling)

    async def _download(self, shard: Shard) -> None:
        files = [
            self._folder.file(shard.name, source.kind) for source in (Source.OUTPUT, Source.ERRORS)
        ]
        asides = [self._folder.aside(file) for file in files]
        try:
            with step_span("fetch", self._provider.name, shard):
                await self._provider.fetch(submission_of(self._folder, shard), *asides)
            await self._blocking(self._publish, self._guarded(shard), asides, files)
        finally:
            for aside in asides:
                aside.unlink(missing_ok=True)

    def _publish(self, folder: JobFolder, asides: Sequence[Path], files: Sequence[Path]) -> None:
        for aside, file in zip(asides, files, strict=True):
            if aside.exists():
                folder.sync(aside)
                folder.publish(aside, file)
            else:
                folder.withdraw(file)

    def _finish(self, shard: Shard, accountant: Accountant) -> Shard:
        if accountant.account.missing:
            accountant.fill(MISSING.get(shard.cut, MISSING[None]))
        return self._end(shard, accountant, ShardState.COLLECTED, attempt=shard.attempt + 1)

    # -- without the provider's rows --------------------------------------------------------

    async def refuse(self, shard: Shard, faults: Sequence[VendorFault]) -> Shard:
        """End a shard that the vendor refused as a whole; nothing of it was executed.

        Requests that the vendor names by line get their own error, and the others are sent again
        without them. Where it names none, the error is everybody's.
        """
        return await self._blocking(self._refuse, shard, faults)

    def _refuse(self, shard: Shard, faults: Sequence[VendorFault]) -> Shard:
        named = self._with_ids(shard, [fault for fault in faults if fault.line])
        accountant = self._accountant(shard)
        accountant.blame(named)
        mended = 0
        if named and accountant.count_missing() and shard.mended < MAX_MENDED:
            mended = shard.mended + 1
            accountant.ask_again()
        else:
            accountant.fill(_refusal(faults))
        known = [*named, *(fault for fault in faults if not fault.line)]
        return self._end(
            shard,
            accountant,
            ShardState.FAILED,
            faults=known,
            attempt=shard.attempt,
            mended=mended,
        )

    def _with_ids(self, shard: Shard, faults: Sequence[VendorFault]) -> list[VendorFault]:
        members = members_of(self._folder, shard)
        named: list[VendorFault] = []
        with RequestLog(self._folder) as log:
            for fault in faults:
                position = (fault.line or 0) - 1
                if 0 <= position < len(members):
                    index = members[position]
                    named.append(replace(fault, id=log.id(index), index=index))
        return named

    async def lose(self, shard: Shard, error: ProviderError, code: str = UNAVAILABLE) -> Shard:
        """End a shard whose results the vendor does not hand out any more.

        They may have been paid for: what is lost is not asked again by itself. A batch that the
        shard had taken for its own on suspicion stays under suspicion: it may be another's.
        """
        logger.error("%s: the results of batch %s are lost: %s", shard.name, shard.remote_id, error)
        lost = ItemError(
            code=code,
            message=f"the provider no longer has the results of this batch: {error}",
            status=error.status,
            request_id=error.request_id,
        )
        to = ShardState.FAILED if shard.state is ShardState.INTENT else ShardState.COLLECTED
        return await self._blocking(self._fail_all, shard, lost, to, released=shard.adopted)

    async def split(self, shard: Shard) -> Shard:
        """Leave a shard that is too large for the vendor's queue to two halves of it."""
        return await self._blocking(self._split, shard)

    def _split(self, shard: Shard) -> Shard:
        accountant = self._accountant(shard)
        accountant.ask_again()
        account = accountant.write()
        children = [
            write_child(
                self._guarded(shard),
                shard,
                self._provider,
                self._ledger.store_id,
                part,
                suffix=suffix,
                carried=accountant.carried(part),
                next_at=shard.next_at,
            )
            for part, suffix in zip(halves(account.retry), ("-a", "-b"), strict=True)
        ]
        return self._ledger.move(
            shard,
            ShardState.FAILED,
            children=children,
            retried=shard.count,
            next_at=self._ledger.now(),
        )


def _downloads(shard: Shard, account: Account) -> int:
    """How often rows like these are downloaded before they are taken for all that there are."""
    if account.unreadable or account.doubtful:
        return DOWNLOADS
    if not account.missing:
        return 1
    promised = shard.rows_expected
    if promised is None:
        # No promise, as a cut batch's counts may be wrong, but worth another look.
        promised = shard.live_completed + shard.live_failed
    if shard.cut is None or account.rows < promised:
        return DOWNLOADS
    return SECOND_LOOK if shard.rows_expected is None else 1


def _damage(account: Account) -> str:
    unreadable = account.unreadable + account.doubtful
    return f"{account.missing} rows are missing and {unreadable} can't be read"


def _refusal(faults: Sequence[VendorFault]) -> ItemError:
    general = [fault for fault in faults if not fault.line] or list(faults)
    if not general:
        return ItemError(code="batch_refused", message="the provider refused the batch")
    first = general[0]
    return ItemError(
        code=first.code or "batch_refused",
        message=f"the provider refused the batch: {first.message}",
    )
