"""A ledger whose database breaks off: at any transaction, before or after it has become durable."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import LedgerUnavailable, NativeProcessor
from ai_batch.core.database import SQLiteDatabase, Transaction
from ai_batch.core.patience import LEDGER_WAITS
from tests.properties.in_memory import new_folder

TEXTS = ["one", "two", "three"]
ANSWERS = ["answer to one #1", "answer to two #1", "answer to three #1"]

begin = SQLiteDatabase.transaction


class Outage:
    """The database is away for some transactions, counted from the beginning."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *away: int, late: bool = False) -> None:
        """``late`` lets the transactions happen, and only their confirmations get lost."""
        self.count = 0
        self.away = away
        self.late = late
        outage = self

        @contextmanager
        def transaction(database: SQLiteDatabase) -> Generator[Transaction, None, None]:
            outage.count += 1
            strikes = outage.count in outage.away
            if strikes and not outage.late:
                raise LedgerUnavailable("the connection is lost")
            with begin(database) as tx:
                yield tx
            if strikes:
                raise LedgerUnavailable("the connection is lost; who knows what has happened")

        monkeypatch.setattr(SQLiteDatabase, "transaction", transaction)


async def ask(processor: NativeProcessor) -> list[str | None]:
    """What a user's script does; it is run again where it ends with such an error."""
    response = await processor.aprocess(TEXTS)
    return [result.chat.content if result.chat else None for result in response]


def answers(bench: Bench) -> tuple[list[str | None], int]:
    """The answers, and how often the script had to be run again for them."""
    for again in range(9):
        try:
            return bench.run(ask), again
        except LedgerUnavailable:
            continue
    raise AssertionError("it never ends")


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: a hundred jobs would wait for a disk otherwise."""
    folder = new_folder()
    yield folder
    shutil.rmtree(folder)


def transactions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many transactions such a job takes."""
    folder.mkdir()
    outage = Outage(monkeypatch)
    assert answers(Bench(folder / "home", max_requests=2)) == (ANSWERS, 0)
    return outage.count


@pytest.mark.parametrize("late", [False, True], ids=["undone", "outcome unknown"])
@pytest.mark.parametrize("length", [1, 3])
def test_a_connection_that_is_lost_anywhere_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, length: int, *, late: bool
) -> None:
    """Each request has its answer and was executed once; what was planned is never begun anew."""
    total = transactions(folder / "first", monkeypatch)
    assert total > 20
    runs_again = 0

    for first in range(1, total + 1):
        place = folder / f"at-{first}"
        place.mkdir()
        Outage(monkeypatch, *range(first, first + length), late=late)
        bench = Bench(place / "home", max_requests=2)

        found, again = answers(bench)

        assert found == ANSWERS, first
        assert sorted(bench.vendor.executed.values()) == [1, 1, 1], first
        runs_again += again
    # Planning, and reading what is done, end with the error; nothing in between does.
    assert runs_again < total / 2


def test_an_outage_of_minutes_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step is lost, and nothing is asked of the vendor again."""
    Outage(monkeypatch, *range(15, 24))
    bench = Bench(tmp_path, max_requests=2)

    assert answers(bench) == (ANSWERS, 0)
    assert bench.elapsed > sum(LEDGER_WAITS[:3])


def test_an_outage_without_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After half an hour; the job is kept, and the same script goes on with it."""
    outage = Outage(monkeypatch, *range(15, 10_000))
    bench = Bench(tmp_path, max_requests=2)

    with pytest.raises(LedgerUnavailable, match="connection is lost") as caught:
        bench.run(ask)

    assert 1700 < bench.elapsed < 2100
    assert "is kept" in "".join(caught.value.__notes__)
    outage.away = ()
    assert answers(bench) == (ANSWERS, 0)
    assert sorted(bench.vendor.executed.values()) == [1, 1, 1]
