"""Brings back results that the disk has damaged, without asking any model again.

A batch's rows are downloaded again where the provider still has them. Where it has not, the rows
that are whole are kept, and each of the others becomes an error of its request.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

from ai_batch.core.accounting import Account, Accountant
from ai_batch.core.checkup import damage_of_shard, is_sound
from ai_batch.core.errors import RemoteNotFound, RequestRefused
from ai_batch.core.ledger import Ledger
from ai_batch.core.provider import Formats, Provider
from ai_batch.core.reader import ShardRows
from ai_batch.core.results import ItemError
from ai_batch.core.rows import UNREADABLE, Source, split_rows
from ai_batch.core.runtime import Runtime
from ai_batch.core.seals import SpoolDamaged
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import TERMINAL, Shard
from ai_batch.core.submission import submission_of

__all__ = ["Repair"]

logger = logging.getLogger("ai_batch.engine")

REMOTE = (Source.OUTPUT, Source.ERRORS)

LOST = ItemError(
    code="damaged_row",
    message="the answer was damaged on this machine's disk, and the provider no longer has it",
)


class Repair:
    """Repairs the batches of one job that have been collected."""

    def __init__(
        self, *, ledger: Ledger, folder: JobFolder, formats: Formats, runtime: Runtime
    ) -> None:
        """``formats`` is the provider itself where rows can be downloaded from it."""
        self._ledger = ledger
        self._folder = folder
        self._formats = formats
        self._runtime = runtime

    async def run(self, shards: Sequence[Shard]) -> int:
        """Repair what is damaged; how many batches that were.

        Raises ``ProviderError`` where the provider can't be asked now; the same call then goes
        on. Raises ``SpoolDamaged`` for what can't be repaired.
        """
        repaired = 0
        for shard in shards:
            if shard.state in TERMINAL and any(damage_of_shard(self._folder, shard)):
                members_of(self._folder, shard)
                with self._folder.alone():
                    await self._repair(shard, shards)
                repaired += 1
        return repaired

    async def _repair(self, shard: Shard, shards: Sequence[Shard]) -> None:
        blocking = self._runtime.blocking
        fetched = await self._fetched(shard)
        await blocking(self._write, shard, shards, fetched)

    async def _fetched(self, shard: Shard) -> bool:
        """Download the rows again; False where the provider does not have them any more."""
        provider: Formats = self._formats
        if shard.remote_id is None or not hasattr(provider, "fetch"):
            return False
        provider = cast("Provider", provider)
        files = [self._folder.file(shard.name, source.kind) for source in REMOTE]
        asides = [self._folder.aside(file) for file in files]
        try:
            await provider.fetch(submission_of(self._folder, shard), *asides)
            self._publish(asides, files)
        except (RemoteNotFound, RequestRefused) as error:
            logger.warning("%s: its rows can't be had again: %s", shard.name, error)
            return False
        finally:
            for aside in asides:
                aside.unlink(missing_ok=True)
        return True

    def _publish(self, asides: Sequence[Path], files: Sequence[Path]) -> None:
        for aside, file in zip(asides, files, strict=True):
            if aside.exists():
                self._folder.sync(aside)
                self._folder.publish(aside, file)
            else:
                self._folder.withdraw(file)

    def _write(self, shard: Shard, shards: Sequence[Shard], fetched: bool) -> None:  # noqa: FBT001
        children = [other for other in shards if other.parent == shard.seq]
        again = {index for child in children for index in members_of(self._folder, child)}
        restored = _Restored(self._folder, shard, self._formats, again)
        account, lost = restored.write(fetched=fetched)
        self._ledger.recount(shard, ok=account.ok, failed=account.failed)
        logger.warning("%s: repaired; %d of %d answers are lost", shard.name, lost, shard.count)


class _Restored:
    """The account of a shard that has had one already."""

    def __init__(self, folder: JobFolder, shard: Shard, formats: Formats, again: set[int]) -> None:
        """``again`` are the requests that child shards have asked again."""
        self._folder = folder
        self._shard = shard
        self._accountant = Accountant(folder, shard, formats, retries_left=False)
        self._again = again

    def write(self, *, fetched: bool) -> tuple[Account, int]:
        """Write the table and what belongs to it; the counts, and how many answers are lost.

        ``fetched`` rows are the provider's own.
        """
        accountant, known = self._accountant, self._known()
        if fetched or known is None:
            for source in REMOTE:
                accountant.read(source)
            accountant.count_missing()
            self._take_local(known)
        else:
            self._take_sound(known)
        accountant.leave(self._again)
        lost = accountant.count_missing()
        accountant.fill(LOST)
        return accountant.write(), lost

    def _known(self) -> ShardRows | None:
        try:
            return ShardRows(self._folder, self._shard)
        except SpoolDamaged:
            return None

    def _take_local(self, known: ShardRows | None) -> None:
        """Take errors of our own, which no provider has."""
        path = self._folder.file(self._shard.name, Source.LOCAL.kind)
        if known is None:
            rows = [row for _, row in split_rows(path)] if path.exists() else []
        else:
            with closing(known):
                rows = [
                    known.row(place)
                    for place in known.places()
                    if place.source == Source.LOCAL and not place.retried and is_sound(known, place)
                ]
        for row in rows:
            with suppress(*UNREADABLE):
                self._accountant.blame_row(row)

    def _take_sound(self, known: ShardRows) -> None:
        """Take the rows that are what was written."""
        with closing(known):
            for position, place in enumerate(known.places()):
                if place.retried or not is_sound(known, place):
                    continue
                row = known.row(place)
                if place.source == Source.LOCAL:
                    self._accountant.blame_row(row)
                else:
                    self._accountant.keep(position, place, row)
