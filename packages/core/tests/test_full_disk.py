"""A disk that is full: it is waited for, told of, and costs nothing."""

from __future__ import annotations

import errno
import logging
import os
import resource
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import BatchResponse, LedgerError, NativeProcessor, NoRoom
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.patience import NO_ROOM_WAITS
from ai_batch.core.provider import Submission
from ai_batch.core.spool import Spool
from ai_batch.core.state import Shard
from ai_batch.core.testing import FakeProvider
from ai_batch.core.transfers import private_file


@contextmanager
def limited(size: int) -> Generator[None, None, None]:
    """No file of this process may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Disk:
    """Has no room for the first downloads."""

    def __init__(self, full: int) -> None:
        self.full = full
        self.tries = 0

    def provider(self) -> type[FakeProvider]:
        """A provider whose downloads go to this disk."""
        disk = self

        class OnDisk(FakeProvider):
            async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
                disk.tries += 1
                if disk.tries <= disk.full:
                    with private_file(Path("/dev/full")) as file:
                        file.write(b"the rows")
                await super().fetch(submission, output, errors)

        return OnDisk


def bench_on(tmp_path: Path, disk: Disk) -> Bench:
    """A bench whose downloads go to the disk."""
    bench = Bench(tmp_path / "home")
    bench.make = disk.provider()
    return bench


async def ask(processor: NativeProcessor) -> list[str]:
    """Answers to two questions."""
    response: BatchResponse = await processor.aprocess(["one", "two"])
    return [result.chat.content for result in response if result.chat]


def test_a_download_waits_for_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk is told of and tried again; the job ends without anybody's help."""
    disk = Disk(full=3)
    bench = bench_on(tmp_path, disk)

    with caplog.at_level(logging.WARNING):
        found = bench.run(ask)

    assert found == ["answer to one #1", "answer to two #1"]
    told = [record.getMessage() for record in caplog.records if "no room" in record.getMessage()]
    assert [text.rpartition("again in ")[2] for text in told] == ["1 s", "2 s", "5 s"]
    assert "/dev/full" in told[0]
    assert len(bench.vendor.batches) == 1


def test_a_disk_that_stays_full_ends_the_wait_but_not_the_job(tmp_path: Path) -> None:
    """After some minutes an error says what to do; with room, the same call asks nothing anew."""
    disk = Disk(full=1000)
    bench = bench_on(tmp_path, disk)

    with pytest.raises(NoRoom, match="make room and run the same again") as raised:
        bench.run(ask)
    tries, waited = disk.tries, bench.elapsed
    disk.full = 0
    found = bench.run(ask)

    assert tries == len(NO_ROOM_WAITS) + 1
    assert sum(NO_ROOM_WAITS) <= waited < sum(NO_ROOM_WAITS) + 200
    assert any("attach(" in note for note in raised.value.__notes__)
    assert found == ["answer to one #1", "answer to two #1"]
    assert len(bench.vendor.batches) == 1
    assert not list((tmp_path / "home").rglob("*.tmp"))


def test_room_that_was_found_makes_patience_new(tmp_path: Path) -> None:
    """Each batch that finds room starts the waits from the first again."""
    disk = Disk(full=0)
    full = len(NO_ROOM_WAITS)

    class Often(disk.provider()):  # type: ignore[misc]
        async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
            disk.full = disk.tries + 1 if (disk.tries + 1) % full else 0
            await super().fetch(submission, output, errors)

    bench = Bench(tmp_path / "home", max_requests=1)
    bench.make = Often

    assert bench.run(ask) == ["answer to one #1", "answer to two #1"]
    assert disk.tries == 2 * full
    assert len(bench.vendor.batches) == 2


def fill(database: SQLiteDatabase) -> None:
    """Let the database's file grow no further, as on a full disk."""
    connection: sqlite3.Connection = database._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def grow(database: SQLiteDatabase) -> None:
    """Write more than one page."""
    with database.transaction() as tx:
        tx.execute("CREATE TABLE IF NOT EXISTS big (text TEXT)")
        tx.execute("INSERT INTO big VALUES (?)", ("x" * 100_000,))


def test_a_ledger_without_room_says_so(tmp_path: Path) -> None:
    """A full disk below the ledger is a NoRoom that names it; with room it goes on."""
    database = SQLiteDatabase(tmp_path / "ledger.db")
    with database.transaction() as tx:
        tx.execute("CREATE TABLE small (text TEXT)")
    fill(database)

    with pytest.raises(NoRoom, match=r"no room left .*ledger\.db"):
        grow(database)
    database._connection.execute("PRAGMA max_page_count = 1000000")
    grow(database)

    with database.transaction() as tx:
        assert tx.execute("SELECT COUNT(*) FROM big") == [(1,)]
    database.close()


@pytest.mark.parametrize("step", ["any", "reserved", "uploaded", "submitted", "collected"])
def test_a_ledger_that_is_full_for_a_while_holds_the_job_up(tmp_path: Path, step: str) -> None:
    """Whichever move the ledger has no room for, nothing is sent twice, and the job ends."""
    bench = Bench(tmp_path / "home", max_requests=1)
    failures = iter([True] * 3)

    async def script(processor: NativeProcessor) -> list[str]:
        ledger = processor._jobs.ledger
        move = ledger._move

        def failing(tx: object, shard: object, to: str, *rest: object) -> object:
            if step in {to, "any"} and next(failures, False):
                raise NoRoom("no room left on the disk for the ledger")
            return move(tx, shard, to, *rest)  # type: ignore[arg-type]

        ledger._move = failing  # type: ignore[assignment,method-assign]
        return await ask(processor)

    assert bench.run(script) == ["answer to one #1", "answer to two #1"]
    assert next(failures, None) is None
    assert len(bench.vendor.batches) == 2
    assert bench.vendor.executed == {"one": 1, "two": 1}


def test_leases_that_a_full_ledger_has_not_taken_back_hold_nothing_up(tmp_path: Path) -> None:
    """A shard whose download and whose release had no room goes on as soon as there is some."""
    disk = Disk(full=1)
    bench = bench_on(tmp_path, disk)
    refusals = iter([True] * 3)

    async def script(processor: NativeProcessor) -> list[str]:
        ledger = processor._jobs.ledger
        release, set_free = ledger.release, ledger.set_free

        def full() -> None:
            if disk.tries and next(refusals, False):
                raise NoRoom("no room left on the disk for the ledger")

        def releasing(shard: Shard) -> None:
            full()
            release(shard)

        def freeing(job_id: str, owner: str, *, but: Collection[Shard] = ()) -> None:
            full()
            set_free(job_id, owner, but=but)

        ledger.release, ledger.set_free = releasing, freeing  # type: ignore[method-assign]
        return await ask(processor)

    assert bench.run(script) == ["answer to one #1", "answer to two #1"]
    assert next(refusals, None) is None
    assert bench.elapsed < 100


def test_a_plan_without_room_leaves_nothing(tmp_path: Path) -> None:
    """Planning on a full disk is an error of the records; there is no job, and nothing is sent."""
    bench = Bench(tmp_path / "home")

    async def long(processor: NativeProcessor) -> None:
        await processor.aprocess([f"{n} " + "x" * 900_000 for n in range(3)])

    with limited(2_000_000), pytest.raises(LedgerError, match="may not grow further"):
        bench.run(long)
    bench.run(lambda processor: _nothing(processor, long))

    assert list((tmp_path / "home" / "jobs").iterdir()) != []
    assert sum(bench.vendor.executed.values()) == 3


async def _nothing(processor: NativeProcessor, then: Callable[[NativeProcessor], object]) -> None:
    assert processor.jobs() == []
    await then(processor)  # type: ignore[misc]


def test_the_users_own_errors_stay_what_they_are(tmp_path: Path) -> None:
    """An input that can't be read is no trouble of the records."""
    bench = Bench(tmp_path / "home")

    def requests() -> Iterator[str]:
        yield "one"
        raise OSError(errno.EIO, "the input's disk is broken")

    async def script(processor: NativeProcessor) -> None:
        await processor.aprocess(requests())

    with pytest.raises(OSError, match="the input's disk"):
        bench.run(script)


def test_a_download_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A disk that takes a part of what it is given takes the rest, or it is an error."""
    path = tmp_path / "rows"
    with limited(1500), private_file(path) as file:
        assert file.write(b"x" * 1000) == 1000
        with pytest.raises(LedgerError, match="may not grow further"):
            file.write(b"y" * 1000)
        assert path.stat().st_size == 1500

    with private_file(path) as file:
        assert file.write(b"x" * 2000) == 2000


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.ENOSPC, NoRoom, "make room"),
        (errno.EDQUOT, NoRoom, "make room"),
        (errno.EFBIG, LedgerError, "ulimit -f"),
        (errno.EROFS, LedgerError, "AI_BATCH_HOME"),
        (errno.EACCES, LedgerError, "AI_BATCH_HOME"),
        (errno.EIO, LedgerError, "mend that"),
    ],
)
def test_each_fault_of_the_disk_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type, advice: str
) -> None:
    """The error names the place and what helps."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    spool = Spool(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(LedgerError, match=advice) as raised:
            spool.create("job_1")

    assert type(raised.value) is kind
    assert str(tmp_path) in str(raised.value)
