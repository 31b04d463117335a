"""Damage on disk is found before it becomes a wrong result, named, and mended where it can be."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    ItemError,
    Job,
    Ledger,
    LedgerError,
    NativeProcessor,
    RemoteNotFound,
    Request,
    Result,
)
from ai_batch.core.database import SMALL, SQLiteDatabase
from ai_batch.core.provider import Submission
from ai_batch.core.seals import SpoolDamaged
from ai_batch.core.testing import FakeBatch, FakeProvider, FakeVendor, Fate

FAILS = "never answered"

OLD = 1_700_000_000
"""A time of files that have left the memory long ago."""


def asked(name: str) -> list[Request]:
    """Six requests on three routes: shards are no plain ranges, and one batch expires."""
    return [
        ChatRequest(id="a", messages=f"{name} one", metadata={"row": "1"}),
        ChatRequest(id="b", messages=f"{name} two", model="other"),
        ChatRequest(id="c", messages=f"{name} three, {FAILS}"),
        ChatRequest(id="d", messages=f"{name} four", model="other"),
        EmbeddingRequest(id="e", texts=[f"{name} five"]),
        ChatRequest(id="f", messages=f"{name} six"),
    ]


def answer(text: str, times: int) -> str | ItemError:
    """An error for one of them."""
    return ItemError(code="no", message="no") if FAILS in text else f"{text} #{times}"


def fate(batch: FakeBatch) -> Fate:
    """A batch of three expires when two are done."""
    return Fate(executed=0.7 if len(batch.requests) == 3 else 1.0)


class Store:
    """A home with two jobs that are done, and what can be done to its files."""

    def __init__(self, home: Path) -> None:
        """Both jobs are answered; nobody has read them."""
        self.bench = Bench(home, FakeVendor(fate=fate, answer=answer))
        self.job_id = self.bench.run(lambda processor: done(processor, "mine"))
        self.other_id = self.bench.run(lambda processor: done(processor, "other"))
        self.folder = home / "jobs" / self.job_id
        self.other = home / "jobs" / self.other_id
        self.right = self.read()
        self.paid = dict(self.bench.vendor.executed)

    def read(self) -> list[Result]:
        """The first job's results."""
        return self.bench.run(lambda processor: results_of(processor.attach(self.job_id)))

    def check(self) -> set[str]:
        """The names of the files that are found to be damaged."""

        async def script(processor: NativeProcessor) -> set[str]:
            return {damage.path.name for damage in processor.attach(self.job_id).check()}

        return self.bench.run(script)

    def repair(self) -> list[str]:
        """Repair the job; what is damaged still."""

        async def script(processor: NativeProcessor) -> list[str]:
            return [str(damage) for damage in await processor.attach(self.job_id).arepair()]

        return self.bench.run(script)


async def done(processor: NativeProcessor, name: str) -> str:
    """Answer a job's requests; its id."""
    return (await processor.aprocess(asked(name))).job_id


async def results_of(job: Job) -> list[Result]:
    """All results, with what was asked."""
    results = [result async for result in job.aresults()]
    for result in results:
        assert result.request.id == result.id
    return results


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two jobs that are done."""
    return Store(tmp_path / "home")


def flip(path: Path, other: Path) -> None:
    """One bit in the middle, of anything but the end of a line."""
    del other
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle if data[middle] != ord("\n") else middle + 1] ^= 4
    path.write_bytes(data)


def cut(path: Path, other: Path) -> None:
    """The last third is gone."""
    del other
    data = path.read_bytes()
    path.write_bytes(data[: -(len(data) // 3) - 1])


def zero(path: Path, other: Path) -> None:
    """Zeros where the last third was, as after a cut of the power."""
    del other
    data = path.read_bytes()
    size = len(data) // 3 + 1
    path.write_bytes(data[:-size] + bytes(size))


def lose(path: Path, other: Path) -> None:
    """No file."""
    del other
    path.unlink()


def swap(path: Path, other: Path) -> None:
    """Another job's file of the same name."""
    path.write_bytes((other / path.name).read_bytes())


HARMS = [flip, cut, zero, lose, swap]
RESULTS = ["0001.rows", "0001.output.jsonl", "0002.rows", "0002.output.jsonl", "0001-2.rows"]
FILES = ["requests.jsonl", "requests.offsets", "0001.members", "0002.members", *RESULTS]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", FILES)
def test_damage_is_named_and_never_read(
    store: Store, name: str, harm: Callable[[Path, Path], None]
) -> None:
    """The error has the file's path, what is wrong with it, and what to do."""
    harm(store.folder / name, store.other)

    # Lines that are not where they should be: either file may be the one.
    stem = "requests" if name.startswith("requests") else name
    assert any(found.startswith(stem) for found in store.check())
    with pytest.raises(SpoolDamaged, match=r"is damaged: .+; .+") as raised:
        store.read()
    assert raised.value.path.parent == store.folder
    assert raised.value.path.name.startswith(stem)


@pytest.mark.parametrize("name", FILES)
def test_no_bit_anywhere_changes_a_result(store: Store, name: str) -> None:
    """Wherever a bit is turned, results are right, or there is an error that names a file."""
    path = store.folder / name
    data = path.read_bytes()
    for place in range(0, len(data), max(len(data) // 40, 1)):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        try:
            found = store.read()
        except SpoolDamaged:
            continue
        assert found == store.right, f"byte {place}"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", RESULTS)
def test_results_are_downloaded_again_and_not_paid_again(
    store: Store, name: str, harm: Callable[[Path, Path], None]
) -> None:
    """Where the provider still has them; what came out before comes out again."""
    harm(store.folder / name, store.other)

    assert store.repair() == []

    assert store.read() == store.right
    assert store.bench.vendor.executed == store.paid


class Forgetful(FakeProvider):
    """A vendor that hands out no results any more."""

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """Nothing is here."""
        raise RemoteNotFound("the file is gone", status=404)


def test_what_the_provider_has_no_more_becomes_errors_of_single_requests(store: Store) -> None:
    """Whole answers stay; the others can be asked again, knowingly."""
    path = store.folder / "0001.output.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    changed = next(line for line in lines if b"mine one" in line)
    path.write_bytes(b"".join(lines).replace(changed, changed.replace(b"one", b"two")))
    store.bench.make = Forgetful

    assert store.repair() == []

    found = store.read()
    assert found[0].error is not None
    assert (found[0].error.code, found[0].id) == ("damaged_row", "a")
    assert found[1:] == store.right[1:]


def test_a_lost_table_is_made_again_without_the_provider(store: Store) -> None:
    """From the rows, our own errors, and what child batches were given."""
    (store.folder / "0001.rows").unlink()
    store.bench.make = Forgetful

    assert store.repair() == []
    assert store.read() == store.right


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["requests.jsonl", "requests.offsets"])
def test_the_same_call_brings_damaged_requests_back(
    store: Store, name: str, harm: Callable[[Path, Path], None]
) -> None:
    """They are the same bytes: nothing is sent, and the results are read."""
    harm(store.folder / name, store.other)

    async def again(processor: NativeProcessor) -> list[Result]:
        return (await processor.aprocess(asked("mine")))[:]

    assert store.bench.run(again, reuse=True) == store.right
    assert store.bench.vendor.executed == store.paid
    assert store.check() == set()


@pytest.mark.parametrize("harm", [flip, cut, zero, lose])
@pytest.mark.parametrize("uploads", [True, False])
def test_a_damaged_input_is_written_again_before_it_is_sent(
    tmp_path: Path, uploads: bool, harm: Callable[[Path, Path], None]
) -> None:
    """A changed question would be paid for, and its answer look like any other."""
    bench = Bench(tmp_path / "home", FakeVendor(answer=answer), uploads=uploads)

    async def plan(processor: NativeProcessor) -> str:
        job = await processor._jobs.aplanned(asked("mine"))
        assert job is not None
        return job.id

    job_id = bench.run(plan)
    for path in (tmp_path / "home/jobs" / job_id).glob("*.input.jsonl"):
        harm(path, path)
        if path.exists():
            os.utime(path, (OLD, OLD))

    results = bench.run(lambda processor: results_of(processor.attach(job_id)))

    assert [result.ok for result in results] == [True, True, False, True, True, True]
    assert set(bench.vendor.executed) == {
        f"mine {number}" for number in ("one", "two", "four", "five", "six")
    }


def test_a_job_that_is_whole_has_no_damage(store: Store) -> None:
    """Also after a repair, which then does nothing."""
    before = {path: path.read_bytes() for path in store.folder.iterdir()}

    assert store.check() == set()
    assert store.repair() == []
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == before


# -- the ledger -----------------------------------------------------------------------------------


def header(path: Path) -> None:
    """The first bytes are not SQLite's."""
    data = path.read_bytes()
    path.write_bytes(b"x" * 16 + data[16:])


def shorten(path: Path) -> None:
    """Whole pages are gone."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 // 4096 * 4096])


def garble(path: Path) -> None:
    """A page is another one."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(4096) + data[8192:])


def drop(path: Path) -> None:
    """A table is gone."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE event")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("harm", [header, shorten, garble, drop])
def test_a_damaged_ledger_is_named(store: Store, harm: Callable[[Path], None]) -> None:
    """The message has its path and what to do, and the file is not touched."""
    path = store.bench.home / "ledger.db"
    harm(path)
    before = path.read_bytes()

    with pytest.raises(LedgerError, match=r"ledger.db .*damaged.*backup"):
        Ledger(SQLiteDatabase(path))

    assert path.read_bytes() == before


def delete(path: Path) -> None:
    """There is none."""
    path.unlink()


def empty(path: Path) -> None:
    """There is nothing in it."""
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [delete, empty])
def test_a_ledger_that_was_lost_is_not_begun_anew(
    store: Store, harm: Callable[[Path], None]
) -> None:
    """It would know nothing of batches that are under way, and have them paid for again."""
    path = store.bench.home / "ledger.db"
    harm(path)

    with pytest.raises(LedgerError, match=r"ledger.db is empty or gone, but there are jobs"):
        store.read()


def test_a_large_ledger_is_checked_when_asked_or_after_a_crash(tmp_path: Path) -> None:
    """Not at each opening, which would take long."""
    path = tmp_path / "ledger.db"
    ledger = Ledger(SQLiteDatabase(path))
    with ledger._database.transaction() as tx:
        rows = [(1.0, "job", number, 1, "a", "b", "x" * 200) for number in range(12_000)]
        tx.execute_many("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    ledger.close()
    assert path.stat().st_size > SMALL
    data = path.read_bytes()
    page = path.stat().st_size // 2 // 4096 * 4096
    path.write_bytes(data[:page] + bytes(4096) + data[page + 4096 :])

    database = SQLiteDatabase(path)
    with pytest.raises(LedgerError, match="is damaged"):
        database.check()
    database.close()
    (tmp_path / "ledger.db-journal").write_bytes(b"cut")
    with pytest.raises(LedgerError, match="is damaged"):
        SQLiteDatabase(path)
