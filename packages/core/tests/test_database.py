"""SQLite as the ledger wants it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_batch.core import Ledger, LedgerError
from ai_batch.core import database as module
from ai_batch.core.database import SQLiteDatabase, file_system, wal_is_safe
from ai_batch.core.migrations import MIGRATIONS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLiteDatabase]:
    """A new database with one table."""
    found = SQLiteDatabase(tmp_path / "ledger.db")
    with found.transaction() as tx:
        tx.execute("CREATE TABLE t (n BIGINT PRIMARY KEY)")
    yield found
    found.close()


def numbers(database: SQLiteDatabase) -> list[int]:
    """What is in the table."""
    with database.transaction() as tx:
        return [row[0] for row in tx.execute("SELECT n FROM t ORDER BY n")]


def test_the_file_is_private(database: SQLiteDatabase) -> None:
    """So are the files that SQLite puts beside it."""
    with database.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (1)")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in database.path.parent.iterdir()}

    assert modes == {0o600}


def test_a_block_that_raises_changes_nothing(database: SQLiteDatabase) -> None:
    """All of it, or nothing."""

    def fail() -> None:
        with database.transaction() as tx:
            tx.execute_many("INSERT INTO t VALUES (?)", [(1,), (2,)])
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()

    assert numbers(database) == []


def test_an_error_of_the_database_becomes_ours(database: SQLiteDatabase) -> None:
    """With the ledger's path, and the transaction undone."""

    def fail() -> None:
        with database.transaction() as tx:
            tx.execute("INSERT INTO t VALUES (1)")
            tx.execute("INSERT INTO t VALUES (1)")

    with pytest.raises(LedgerError, match=r"ledger.db failed: UNIQUE constraint"):
        fail()

    assert numbers(database) == []


def test_two_processes_see_the_same(database: SQLiteDatabase) -> None:
    """What one has committed the other one reads."""
    other = SQLiteDatabase(database.path)
    with database.transaction() as tx:
        assert tx.change("INSERT INTO t VALUES (?)", (7,)) == 1

    assert numbers(other) == [7]
    other.close()


def test_a_closed_database_opens_again_for_the_last_word(database: SQLiteDatabase) -> None:
    """A job is marked as delivered when the program ends, whatever was closed before."""
    database.close()
    with database.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (3)")

    assert numbers(database) == [3]


def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "ledger.db").write_text("no database, but a long enough text to be taken for one")

    with pytest.raises(LedgerError, match=r"ledger.db .*: file is not a database"):
        Ledger(SQLiteDatabase(tmp_path / "ledger.db"))


def test_a_folder_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    """Instead of a traceback out of sqlite3."""
    with pytest.raises(LedgerError, match=r"ledger.db can't be read or written \(No such file"):
        SQLiteDatabase(tmp_path / "gone" / "ledger.db")


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_it_cannot_lose_commits(
    version: tuple[int, ...], safe: bool
) -> None:
    """The fix of the WAL-reset bug and its back-ports."""
    assert wal_is_safe(version) is safe


@pytest.mark.parametrize(("safe", "journal"), [(True, "wal"), (False, "truncate")])
def test_the_journal_fits_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, safe: bool, journal: str
) -> None:
    """Else a rollback journal that syncs the folder as well."""

    def is_safe(_version: object) -> bool:
        return safe

    monkeypatch.setattr(module, "wal_is_safe", is_safe)
    database = SQLiteDatabase(tmp_path / "ledger.db")

    found = database._connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = database._connection.execute("PRAGMA synchronous").fetchone()[0]

    database.close()
    assert (found, synchronous) == (journal, 2 if safe else 3)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /data nfs4 rw 0 0
/dev/sdb1 /data/local ext4 rw 0 0
share /mnt/with\\040space cifs rw 0 0
proc /proc proc rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/data", "nfs4"),
        ("/data/jobs", "nfs4"),
        ("/database", "ext4"),
        ("/data/local/jobs", "ext4"),
        ("/mnt/with space/jobs", "cifs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(
    tmp_path: Path, folder: str, kind: str
) -> None:
    """A local disk below a network share is local, and names are compared by whole parts."""
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)

    assert file_system(Path(folder), mounts) == kind


def test_where_the_system_does_not_tell_nothing_is_known(tmp_path: Path) -> None:
    """On macOS there is no such file."""
    assert file_system(tmp_path, tmp_path / "gone") is None


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do instead, and before any file is made."""

    def kind(_folder: object) -> str:
        return "nfs4"

    monkeypatch.setattr(module, "file_system", kind)

    with pytest.raises(LedgerError, match=r"network file system \(nfs4\).*AI_BATCH_HOME"):
        SQLiteDatabase(tmp_path / "ledger.db")

    assert list(tmp_path.iterdir()) == []


# -- migrations -----------------------------------------------------------------------------------


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    """An old program must not write what it does not understand."""
    path = tmp_path / "ledger.db"
    Ledger(SQLiteDatabase(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    connection.commit()
    connection.close()
    database = SQLiteDatabase(path)

    with pytest.raises(LedgerError, match=r"has schema 999.*pip install -U ai-batch-core"):
        Ledger(database)

    database.close()


def test_a_ledger_keeps_its_id(tmp_path: Path) -> None:
    """Tokens are derived from it: it must not change when the ledger is opened again."""
    ids: set[str] = set()
    for _ in range(3):
        ledger = Ledger(SQLiteDatabase(tmp_path / "ledger.db"))
        ids.add(ledger.store_id)
        ledger.close()
    other = Ledger(SQLiteDatabase(tmp_path / "other.db"))

    assert len(ids) == 1
    assert other.store_id not in ids
    other.close()


def test_steps_run_once_each_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of the version before gets just what it lacks."""
    Ledger(SQLiteDatabase(tmp_path / "ledger.db")).close()
    step = ("CREATE TABLE extra (n BIGINT)", "INSERT INTO extra VALUES (1)")
    monkeypatch.setattr("ai_batch.core.migrations.MIGRATIONS", (*MIGRATIONS, step))

    for _ in range(2):
        ledger = Ledger(SQLiteDatabase(tmp_path / "ledger.db"))
        with ledger._database.transaction() as tx:
            assert tx.execute("SELECT n FROM extra") == [(1,)]
            version = tx.execute("SELECT value FROM meta WHERE key = 'schema_version'")
        ledger.close()
        assert version == [(str(len(MIGRATIONS) + 1),)]


def test_a_step_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first half of a step is never there alone."""
    Ledger(SQLiteDatabase(tmp_path / "ledger.db")).close()
    step = ("CREATE TABLE extra (n BIGINT)", "CREATE TABLE job (n BIGINT)")
    with monkeypatch.context() as patch:
        patch.setattr("ai_batch.core.migrations.MIGRATIONS", (*MIGRATIONS, step))
        database = SQLiteDatabase(tmp_path / "ledger.db")
        with pytest.raises(LedgerError, match="already exists"):
            Ledger(database)
        database.close()

    ledger = Ledger(SQLiteDatabase(tmp_path / "ledger.db"))
    with ledger._database.transaction() as tx:
        tables = tx.execute("SELECT name FROM sqlite_master WHERE name = 'extra'")
    ledger.close()
    assert tables == []
