"""What the ledger needs of a database, and SQLite's way to give it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ai_batch.core.disk import of_disk
from ai_batch.core.errors import LedgerError, NoRoom
from ai_batch.core.privacy import open_own

__all__ = ["Alone", "Database", "Row", "SQLiteDatabase", "Tells", "Transaction"]

Row: TypeAlias = tuple[Any, ...]

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "ceph", "lustre", "gpfs", "glusterfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "beegfs"}
)

BUSY_SECONDS = 60.0
"""How long a process waits for another one's transaction."""

SMALL = 1 << 21
"""Bytes up to which a ledger is checked whenever it is opened: some ten milliseconds. A larger one
is, where whoever wrote to it last has not come to its end."""

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

OF_DISK = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)

MISSING = ("no such table", "no such column")
"""What SQLite says of tables that are not what they should be; it has no code for that."""


class Transaction(Protocol):
    """One open transaction. SQL uses ``?`` for parameters.

    What is read may be changed by others before it is written, unless it was locked first; in
    which order, ``locks`` says.
    """

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a statement; the rows that it gives."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once per row of parameters."""
        ...

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        ...

    def lock(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Keep the rows of a query, in its order, from all others until the transaction ends."""
        ...

    def take(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows of a query that nobody else has locked; nobody else gets them now."""
        ...

    def turn(self, name: str) -> None:
        """Wait for whoever else is at what goes by this name, until the transaction ends."""
        ...

    def tell(self, job_id: str) -> None:
        """Wake those who watch this job, wherever they are, once the transaction is durable."""
        ...


class Alone:
    """The locks of a transaction during which there is no other one: it needs none."""

    def lock(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Nobody else is there."""

    def take(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of a query."""
        return self.execute(sql, parameters)

    def turn(self, name: str) -> None:
        """Nobody else is there."""

    def tell(self, job_id: str) -> None:
        """Nobody can be told."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """As in ``Transaction``."""
        raise NotImplementedError


class Database(Protocol):
    """Transactions that are durable when they return, and one clock for all that share them."""

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """Commit at the end of the block, roll back on an exception."""
        ...

    def now(self) -> float:
        """The database's time in Unix seconds, by which leases are judged."""
        ...

    def close(self) -> None:
        """Give up the connection."""
        ...


@runtime_checkable
class Tells(Protocol):
    """A database that can wake those who wait for a job to change."""

    def watch(
        self, job_id: str, wake: Callable[[], object]
    ) -> contextlib.AbstractContextManager[object]:
        """Within the block, ``wake`` is called from any thread after what ``tell`` tells of."""
        ...


class _SQLiteTransaction(Alone):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._connection.execute(sql, tuple(parameters)).rowcount


class SQLiteDatabase:
    """A SQLite file that several processes of one machine may share.

    The file is made with mode 0600 before SQLite sees it, since SQLite gives its side files the
    same mode. Raises ``LedgerError`` on network file systems, whose locks SQLite can't trust, and
    for a file that is damaged, or that is empty where it must have held jobs.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives Unix seconds."""
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        _refuse_network(path.parent)
        _refuse_lost(path)
        self._connection = self._connect(os.O_CREAT)
        self._open = True

    def _connect(self, flags: int = 0) -> sqlite3.Connection:
        suspect = _was_cut(self.path)
        try:
            os.close(open_own(self.path, flags | os.O_RDWR))
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            _choose_journal(connection)
            if suspect or self.path.stat().st_size <= SMALL:
                self._examine(connection, "quick_check")
        except OSError as error:
            raise of_disk(error, self.path) from error
        except sqlite3.Error as error:
            raise self._failed("cannot be opened", error) from error
        # Programs need not close what they use; Python 3.13 warns of connections left open.
        weakref.finalize(self, connection.close)
        return connection

    @contextlib.contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        """A write transaction, alone in this process and across processes.

        Opens the file again where it was closed: a job's delivery is marked at the very end.
        """
        with self._lock:
            if not self._open:
                self._connection = self._connect()
                self._open = True
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield _SQLiteTransaction(self._connection)
                    self._connection.execute("COMMIT")
                finally:
                    # Also after a failed COMMIT (disk full): the transaction is still open then.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise self._failed("failed", error) from error

    def check(self) -> None:
        """Read the whole file. Raises ``LedgerError`` where it is damaged, and says how."""
        with self._lock:
            try:
                self._examine(self._connection, "integrity_check")
            except sqlite3.Error as error:
                raise self._failed("failed", error) from error

    def _examine(self, connection: sqlite3.Connection, how: str) -> None:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA {how}(5)")]
        if found != ["ok"]:
            raise self._damaged("; ".join(found))

    def _damaged(self, found: str) -> LedgerError:
        return LedgerError(
            f"the ledger {self.path} is damaged: {' '.join(found.split())}; bring it back from a "
            f'backup, or save what can be read: sqlite3 "{self.path}" .recover | sqlite3 new.db. '
            "The results are in the jobs' folders beside it"
        )

    def _failed(self, what: str, error: sqlite3.Error) -> LedgerError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return NoRoom(
                f"no room left on the disk for the ledger {self.path} ({error}): make room and "
                "run the same again; nothing is lost"
            )
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in DAMAGED or str(error).startswith(MISSING):
            return self._damaged(str(error))
        remedy = "; mend that and run the same again, nothing is lost" if code in OF_DISK else ""
        return LedgerError(f"the ledger {self.path} {what}: {error}{remedy}")

    def now(self) -> float:
        """Unix seconds: all processes that share a SQLite file share the machine's clock."""
        return self._clock()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
            self._open = False


def _was_cut(path: Path) -> bool:
    """Whether a transaction, or a checkpoint, has not come to its end."""
    journals = [path.with_name(f"{path.name}-{kind}") for kind in ("journal", "wal")]
    return any(journal.exists() and journal.stat().st_size for journal in journals)


def _refuse_lost(path: Path) -> None:
    """Refuse to begin a new ledger where there are jobs: their batches would be paid for again."""
    if path.exists() and path.stat().st_size:
        return
    jobs = [folder for folder in (path.parent / "jobs").glob("job_*") if folder.is_dir()]
    if jobs:
        raise LedgerError(
            f"the ledger {path} is empty or gone, but there are jobs in {jobs[0].parent}, such as "
            f"{jobs[0].name}: bring the ledger back from a backup, or move the jobs away to begin "
            "anew. Their batches may still be running at the provider"
        )


def _choose_journal(connection: sqlite3.Connection) -> None:
    # WAL can lose commits with two connections before 3.51.3 and its back-ports
    # (sqlite.org/wal.html#walresetbug); TRUNCATE with EXTRA syncs the folder as well.
    if wal_is_safe(sqlite3.sqlite_version_info):
        pragmas = ("journal_mode=WAL", "synchronous=FULL")
    else:
        pragmas = ("journal_mode=TRUNCATE", "synchronous=EXTRA")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite has the WAL-reset fix: 3.51.3, or its back-ports 3.44.6 and 3.50.7."""
    if version[:2] in {(3, 44), (3, 50)}:
        return version[2] >= {44: 6, 50: 7}[version[1]]
    return version >= (3, 51, 3)


def _refuse_network(folder: Path) -> None:
    kind = file_system(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        raise LedgerError(
            f"{folder} is on a network file system ({kind}), on which SQLite can lose data: set "
            "AI_BATCH_HOME, or home=, to a local folder, or share a PostgreSQL ledger"
        )


def file_system(folder: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the file system that holds the folder; None where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    target = str(folder.resolve())
    best, kind = "", None
    for line in lines:
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
