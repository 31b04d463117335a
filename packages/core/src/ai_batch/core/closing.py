"""From rows on disk to a shard that is done, with every request accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ai_batch.core.accounting import Accountant, Check
from ai_batch.core.errors import VendorFault
from ai_batch.core.ledger import Ledger
from ai_batch.core.provider import Formats
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.results import ChatResponse, ItemError
from ai_batch.core.rows import UNREADABLE, Source
from ai_batch.core.runtime import Runtime
from ai_batch.core.shardfiles import write_child
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState
from ai_batch.core.structured import parse_answer
from ai_batch.core.telemetry import count_shard

__all__ = ["CANCELLED", "ShardCloser"]

REMOTE = (Source.OUTPUT, Source.ERRORS)

CANCELLED = ItemError(
    code="cancelled", message="the job was cancelled before this request was sent"
)


class ShardCloser:
    """Ends shards: with the rows that are on disk, or with errors of our own without them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        folder: JobFolder,
        formats: Formats,
        runtime: Runtime,
        max_attempts: int,
        types: Mapping[str, object] | None,
        retry_invalid: bool = False,
    ) -> None:
        """``types`` are the answers' Python types; None where no request has an output type.

        ``retry_invalid`` asks again where an answer does not fit its type.
        """
        self._ledger = ledger
        self._folder = folder
        self._formats = formats
        self._runtime = runtime
        self._blocking = runtime.blocking
        self._max_attempts = max_attempts
        self._types = types
        self._retry_invalid = retry_invalid

    def _guarded(self, shard: Shard) -> JobFolder:
        return self._folder.guarded(lambda: self._ledger.holding(shard))

    def _read(self, shard: Shard, *, cancelling: bool) -> Accountant:
        accountant = Accountant(
            self._guarded(shard),
            shard,
            self._formats,
            retries_left=shard.attempt < self._max_attempts and not cancelling,
            check=None if self._types is None else self._checker(shard),
        )
        for source in REMOTE:
            accountant.read(source)
        accountant.count_missing()
        return accountant

    def _checker(self, shard: Shard) -> Check:
        def check(row: bytes, index: int) -> ItemError | None:
            try:
                answer = self._formats.decode(row, shard.route)[1]
            except UNREADABLE as error:
                return ItemError(code="unreadable_row", message=f"the row cannot be read: {error}")
            if not isinstance(answer, ChatResponse):
                return None
            with RequestLog(self._folder) as log:
                parsed = parse_answer(answer, log.request(index), self._types or {})
            if not isinstance(parsed, ItemError):
                return None
            # One that was cut at max_tokens would be cut again.
            again = self._retry_invalid and answer.finish_reason != "length"
            return parsed.model_copy(update={"retryable": True}) if again else parsed

        return check

    def _end(
        self,
        shard: Shard,
        accountant: Accountant,
        to: ShardState,
        *,
        faults: Sequence[VendorFault] = (),
        released: bool = False,
        **child_changes: int,
    ) -> Shard:
        """``released`` leaves its batch to other shards, which may look whether it is theirs."""
        account = accountant.write()
        children = self._children(shard, accountant, child_changes) if account.retry else []
        retried = len(account.retry)
        changes = {"remote_id": None} if released else {}
        moved = self._ledger.move(
            shard,
            to,
            children=children,
            **changes,
            ok=account.ok,
            failed=account.failed,
            retried=retried,
            usage=tuple(account.usage),
            faults=tuple(faults),
            failures=0,
            next_at=self._ledger.now(),
        )
        count_shard(
            self._formats.name,
            shard.route,
            usage=account.usage,
            ok=account.ok,
            failed=account.failed,
            retried=retried,
        )
        return moved

    def _children(
        self, shard: Shard, accountant: Accountant, changes: dict[str, int]
    ) -> list[Shard]:
        mended = changes.get("mended", 0)
        suffix = f"-{changes['attempt']}" if not mended else f"-r{mended}"
        child = write_child(
            self._guarded(shard),
            shard,
            self._formats,
            self._ledger.store_id,
            accountant.account.retry,
            suffix=suffix,
            carried=accountant.carried(accountant.account.retry),
            next_at=self._ledger.now(),
            **changes,
        )
        return [child]

    async def close(self, shard: Shard, missing: ItemError) -> Shard:
        """End a shard whose rows are on disk; requests without one get the error ``missing``."""
        return await self._blocking(self._close, shard, missing)

    def _close(self, shard: Shard, missing: ItemError) -> Shard:
        accountant = self._read(shard, cancelling=True)
        accountant.fill(missing)
        return self._end(shard, accountant, ShardState.COLLECTED)

    async def give_up(self, shard: Shard) -> Shard:
        """End a shard of a cancelled job that was never sent."""
        return await self._blocking(self._fail_all, shard, CANCELLED)

    def _fail_all(
        self,
        shard: Shard,
        error: ItemError,
        to: ShardState = ShardState.FAILED,
        *,
        released: bool = False,
    ) -> Shard:
        accountant = self._accountant(shard)
        accountant.fill(error)
        return self._end(shard, accountant, to, released=released)

    def _accountant(self, shard: Shard) -> Accountant:
        return Accountant(self._guarded(shard), shard, self._formats, retries_left=False)
