"""The power is cut while SQLite writes: every transaction that had returned is there, and whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from packages.core.tests.sqlite_disk import watched_syncs

from ai_batch.core import database as database_module
from ai_batch.core.database import SQLiteDatabase

PAIRS = 6
"""Transactions; each writes two rows that belong together."""

FILLING = "x" * 3000


class Moment(NamedTuple):
    """What is safe of each file, what it holds, and how many transactions have returned."""

    safe: dict[str, bytes]
    now: dict[str, bytes]
    done: int


class Recorder:
    """Keeps account of the files of one folder while SQLite syncs them."""

    def __init__(self, folder: Path) -> None:
        """Nothing is safe yet."""
        self.done = 0
        self.moments: list[Moment] = []
        self._folder = folder
        self._safe: dict[str, bytes] = {}

    def note(self) -> None:
        """The power may be cut now."""
        now = {path.name: path.read_bytes() for path in self._folder.iterdir()}
        self.moments.append(Moment(dict(self._safe), now, self.done))

    def syncing(self, path: Path) -> None:
        """Everything that was written is about to be safe."""
        self.note()
        self._safe[path.name] = path.read_bytes()


def left_over(moment: Moment) -> Iterator[dict[str, bytes]]:
    """What may be found after a cut: of each file what was safe, what it held, or a part of it."""
    names = [name for name in moment.now if not name.endswith("-shm")]
    found: list[list[bytes | None]] = []
    for name in names:
        safe, now = moment.safe.get(name), moment.now[name]
        half = len(now) // 2 // 512 * 512
        mixed = now[:half] + (safe or b"")[half:]
        found.append(list(dict.fromkeys([safe, now, mixed])))
    for contents in product(*found):
        yield {name: held for name, held in zip(names, contents, strict=True) if held is not None}


def write(folder: Path, recorder: Recorder) -> None:
    """Write pairs of rows, and change those that are there."""
    with watched_syncs(recorder.syncing):
        database = SQLiteDatabase(folder / "ledger.db")
        with database.transaction() as tx:
            tx.execute("CREATE TABLE pair (number BIGINT, side TEXT, version BIGINT, text TEXT)")
        for number in range(1, PAIRS + 1):
            with database.transaction() as tx:
                rows = [(number, side, number, FILLING) for side in ("left", "right")]
                tx.execute_many("INSERT INTO pair VALUES (?, ?, ?, ?)", rows)
                tx.execute("UPDATE pair SET version = ?", (number,))
            recorder.done = number
            recorder.note()
        database.close()


@pytest.fixture(params=["wal", "truncate"], autouse=True)
def _journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to keep a journal, whichever this SQLite is trusted with."""

    def is_safe(_version: object) -> bool:
        return bool(request.param == "wal")

    monkeypatch.setattr(database_module, "wal_is_safe", is_safe)


def test_a_cut_within_any_transaction_loses_none_that_had_returned(tmp_path: Path) -> None:
    """Whatever was left of the database and of its journal: all of a transaction, or nothing."""
    folder = tmp_path / "ledger"
    folder.mkdir()
    recorder = Recorder(folder)
    write(folder, recorder)

    seen = set[int]()
    for number, moment in enumerate(recorder.moments):
        if not moment.done:
            continue
        for variant, files in enumerate(left_over(moment)):
            home = tmp_path / f"{number}-{variant}"
            home.mkdir()
            for name, content in files.items():
                (home / name).write_bytes(content)
            database = SQLiteDatabase(home / "ledger.db")
            with database.transaction() as tx:
                rows = tx.execute("SELECT number, side, version FROM pair ORDER BY number, side")
            database.close()
            count = len(rows) // 2
            assert count in {moment.done, moment.done + 1}
            assert rows == [
                (n, side, count) for n in range(1, count + 1) for side in ("left", "right")
            ]
            seen.add(count)

    assert seen == set(range(1, PAIRS + 1))
    assert len(recorder.moments) > 3 * PAIRS


def test_what_returned_is_safe_at_once(tmp_path: Path) -> None:
    """Nothing that SQLite has written is still to be synced when a transaction returns."""
    recorder = Recorder(tmp_path)
    write(tmp_path, recorder)

    returned = [
        moment
        for before, moment in zip(recorder.moments, recorder.moments[1:], strict=False)
        if moment.done > before.done
    ]
    assert len(returned) == PAIRS
    for moment in returned:
        journals = [name for name in moment.now if name.endswith("-wal")]
        # In WAL mode only the log is synced; the database follows at a checkpoint.
        for name in journals or ["ledger.db", "ledger.db-journal"]:
            assert moment.safe[name] == moment.now[name]
