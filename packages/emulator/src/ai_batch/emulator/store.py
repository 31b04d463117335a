"""What the emulator keeps across restarts: small records in SQLite, contents as files."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
create table if not exists records (
    kind text not null, id text not null, data blob not null, primary key (kind, id)
) without rowid;
create table if not exists counters (name text primary key, value integer not null) without rowid;
create table if not exists settings (name text primary key, value text not null) without rowid;
"""
_ADD = (
    "insert into counters values (?, ?) "
    "on conflict (name) do update set value = value + excluded.value returning value"
)
_SERIAL = "serial"


class Store:
    """Records, counters and settings, safe against a kill at any moment.

    One connection behind one lock: every statement is short, and nobody else opens the file.
    `synchronous=off` is enough, because the process may die here but not the machine.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.contents = home / "contents"
        self.incoming = home / "incoming"
        self.items = home / "items"
        home.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            home / "emulator.sqlite3", isolation_level=None, check_same_thread=False, timeout=1.0
        )
        # A second emulator on the same home is told at once, and not when they have mixed.
        self._connection.execute("pragma locking_mode=exclusive")
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=off")
        self._connection.executescript(_SCHEMA)
        self._make_folders()

    def _make_folders(self) -> None:
        shutil.rmtree(self.incoming, ignore_errors=True)
        for folder in (self.contents, self.incoming, self.items):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make all changes inside happen together, or none of them."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Write a record, in place of the one that had this key."""
        with self._lock:
            self._connection.execute(
                "insert or replace into records values (?, ?, ?)", (kind, key, data)
            )

    def remove(self, kind: str, key: str) -> None:
        """Forget a record."""
        with self._lock:
            self._connection.execute("delete from records where kind = ? and id = ?", (kind, key))

    def records(self, kind: str) -> list[bytes]:
        """Return all records of a kind, in no order."""
        with self._lock:
            rows = self._connection.execute("select data from records where kind = ?", (kind,))
            return [data for (data,) in rows]

    def add(self, counter: str, amount: int = 1) -> int:
        """Raise a counter, and return its new value."""
        with self._lock:
            row = self._connection.execute(_ADD, (counter, amount)).fetchall()[0]
            return int(row[0])

    def counters(self) -> dict[str, int]:
        """Return every counter."""
        with self._lock:
            return dict(self._connection.execute("select name, value from counters").fetchall())

    def serial(self) -> int:
        """Return a number that was never returned before, even by an earlier process."""
        return self.add(_SERIAL)

    def setting(self, name: str) -> str | None:
        """Return a setting, or None."""
        with self._lock:
            query = "select value from settings where name = ?"
            row = self._connection.execute(query, (name,)).fetchone()
            return None if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        """Write a setting."""
        with self._lock:
            self._connection.execute("insert or replace into settings values (?, ?)", (name, value))

    def clear(self) -> None:
        """Forget everything but the serial number, so that no id ever comes twice."""
        with self._lock:
            self._connection.execute("delete from records")
            self._connection.execute("delete from settings")
            self._connection.execute("delete from counters where name != ?", (_SERIAL,))
            for folder in (self.contents, self.incoming, self.items):
                shutil.rmtree(folder)
            self._make_folders()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()
