"""A disk that fails at its first operation, its second, its third ... until a run passes.

Whatever fails, there is an error of ours that says what to do, or none; once the disk is well the
same script ends with every answer, and nothing was sent that the ledger does not know, or twice.
"""

from __future__ import annotations

import errno
import io
import os
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import ChatRequest, EmbeddingRequest, LedgerError, NativeProcessor, Request
from ai_batch.core import database as database_module
from ai_batch.core import spool as spool_module
from ai_batch.core.testing import FakeBatch, FakeVendor, Fate

REQUESTS: list[Request] = [
    ChatRequest(id="a", messages="one"),
    EmbeddingRequest(id="b", texts=["two"]),
    ChatRequest(id="c", messages="three"),
]

FAULTS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE]

IN_SQLITE = {
    errno.ENOSPC: (sqlite3.SQLITE_FULL, "database or disk is full"),
    errno.EIO: (sqlite3.SQLITE_IOERR, "disk I/O error"),
    errno.EROFS: (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    errno.EACCES: (sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
    errno.EMFILE: (sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
}

PARTS = 4
"""Of the operations, for as many processes that test."""


class BadDisk:
    """Fails at one operation, or at all from one on until it is mended."""

    def __init__(self, fails_at: int, kind: int, *, stays: bool = False) -> None:
        """``fails_at`` counts from 1."""
        self.count = 0
        self.failed = ""
        self._fails_at = fails_at
        self._kind = kind
        self._stays = stays

    @property
    def _due(self) -> bool:
        self.count += 1
        return self.count == self._fails_at or (self._stays and self.count > self._fails_at)

    def touch(self, operation: str, path: object) -> None:
        """One operation on a file."""
        if self._due:
            self.failed = f"{operation} {path}"
            raise OSError(self._kind, os.strerror(self._kind), str(path))

    def touch_ledger(self, sql: str) -> None:
        """One statement of SQLite."""
        if self._due:
            self.failed = sql
            code, text = IN_SQLITE[self._kind]
            error = sqlite3.OperationalError(text)
            error.sqlite_errorcode = code
            raise error

    @contextmanager
    def in_use(self, home: Path) -> Generator[None, None, None]:
        """Everything of the home goes through this disk."""
        with pytest.MonkeyPatch.context() as patch:
            self._patch_files(patch, home)
            patch.setattr(database_module, "_SQLiteTransaction", self._transaction())
            yield

    def _patch_files(self, patch: pytest.MonkeyPatch, home: Path) -> None:
        def watched(owner: Any, name: str, place: Callable[..., object]) -> None:
            really = getattr(owner, name)

            def call(*given: Any, **named: Any) -> Any:
                where = place(*given)
                if str(where).startswith(f"{home}/"):
                    self.touch(name, where)
                return really(*given, **named)

            patch.setattr(owner, name, call)

        def itself(path: object, *_: object) -> object:
            return path

        def of_descriptor(descriptor: int, *_: object) -> object:
            return Path(f"/proc/self/fd/{descriptor}").resolve()

        for name in ("mkdir", "rename", "replace", "open"):
            watched(Path, name, itself)
        watched(os, "open", itself)
        watched(os, "fsync", of_descriptor)
        watched(os, "pread", of_descriptor)
        really_open = spool_module.open_private

        def open_private(path: Path) -> IO[bytes]:
            raw = Raw(really_open(path).detach(), self, path)  # type: ignore[attr-defined]
            return io.BufferedWriter(raw, 1 << 20)

        for module in ("spool", "requestlog", "inputs"):
            patch.setattr(f"ai_batch.core.{module}.open_private", open_private)

    def _transaction(self) -> type[database_module._SQLiteTransaction]:
        disk = self

        class Transaction(database_module._SQLiteTransaction):
            def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
                disk.touch_ledger(sql)
                return super().execute(sql, parameters)

            def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
                disk.touch_ledger(sql)
                return super().change(sql, parameters)

        return Transaction


class Raw(io.RawIOBase):
    """A file whose writes go through a bad disk."""

    def __init__(self, raw: io.FileIO, disk: BadDisk, path: Path) -> None:
        """``raw`` is the file itself."""
        self._raw = raw
        self._disk = disk
        self._path = path

    def write(self, data: Any, /) -> int:
        """As the file does it, or not."""
        self._disk.touch("write", self._path)
        return self._raw.write(data)

    def writable(self) -> bool:
        """Nothing else."""
        return True

    def fileno(self) -> int:
        """The file's own."""
        return self._raw.fileno()

    def close(self) -> None:
        """Close the file as well."""
        super().close()
        self._raw.close()


def fate(batch: FakeBatch) -> Fate:
    """The batch of chats expires when half of it is done."""
    return Fate(executed=0.5 if len(batch.requests) == 2 else 1.0)


async def ask(processor: NativeProcessor) -> list[str]:
    """Run the script."""
    response = await processor.aprocess(REQUESTS)
    return ["vector" if result.embedding else result.chat.content for result in response]  # type: ignore[union-attr]


ANSWERS = ["answer to one #1", "vector", "answer to three #1"]


def bench_at(home: Path) -> Bench:
    """A bench whose vendor makes sure that the ledger knows of each create call."""

    async def gate(call: str, moment: Literal["before", "after"]) -> None:
        if (call, moment) != ("create", "before"):
            return
        ledger = sqlite3.connect(home / "ledger.db")
        known = ledger.execute("SELECT COUNT(*) FROM shard WHERE state = 'intent'").fetchone()
        ledger.close()
        assert known[0], "a batch was created without an intent on record"

    return Bench(home, FakeVendor(fate=fate), gate=gate)


def survive(home: Path, disk: BadDisk) -> bool:
    """One run on the bad disk, and where it fails a second one; whether it has failed."""
    bench = bench_at(home)
    bench.home.mkdir()
    found: list[str] | None = None
    told = f"{home}: well"
    with disk.in_use(home):
        try:
            found = bench.run(ask)
        except LedgerError as error:
            told = str(error)
    if found is None:
        bench.elapsed += 1000.0
        found = bench.run(ask)
    assert str(home) in told, f"{told} does not name what failed: {disk.failed}"
    assert ": " in told, f"{told} does not say what to do about {disk.failed}"
    assert found == ANSWERS, disk.failed
    assert set(bench.vendor.executed.values()) == {1}, f"paid twice after {disk.failed}"
    return disk.count >= 1 and bool(disk.failed)


def fail_at_each(folder: Path, first: int, step: int) -> None:
    """Every ``step``-th operation, until a run passes."""
    for number in range(first, 2000, step):
        kind = FAULTS[number % len(FAULTS)]
        if not survive(folder / str(number), BadDisk(number, kind)):
            assert number > 400, "the disk is hardly used"
            return
    pytest.fail("there is no end of operations")


@pytest.mark.parametrize("part", range(PARTS))
def test_single_faults_of_the_disk_are_survived(tmp_path: Path, part: int) -> None:
    """One operation of a dozen, from the first to the last."""
    fail_at_each(tmp_path, 1 + 13 * part, 13 * PARTS)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(PARTS))
def test_any_single_fault_of_the_disk_is_survived(tmp_path: Path, part: int) -> None:
    """The first operation, the second, the third ... until a run passes."""
    fail_at_each(tmp_path, 1 + part, PARTS)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_disk_that_stays_bad_is_told_of_and_survived(tmp_path: Path, kind: int) -> None:
    """From some operation on nothing works any more, until somebody mends it."""
    for number in range(1, 200, 27):
        survive(tmp_path / str(number), BadDisk(number, kind, stays=True))
