"""A PostgreSQL server of the tests' own: on a Unix socket, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

__all__ = ["Server", "find_binaries"]

SYSTEM_USER = "postgres"
"""Who runs the server where the tests are run by root, whom it refuses."""


def find_binaries() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None where there is no PostgreSQL."""
    found = shutil.which("initdb")
    if found is not None and shutil.which("pg_ctl", path=str(Path(found).parent)):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    return installed[-1].parent if installed else None


def _version(initdb: Path) -> int:
    name = initdb.parents[1].name
    return int(name) if name.isdecimal() else 0


class Server:
    """A server that can be stopped as a crash does it, and started again."""

    def __init__(self, binaries: Path) -> None:
        """Makes a new cluster and starts it."""
        self._binaries = binaries
        self._user = SYSTEM_USER if os.geteuid() == 0 else None
        # Not below pytest's folder: the way to it is closed to other users, and its name too long.
        self.folder = Path(tempfile.mkdtemp(prefix="aib-pg-", dir="/tmp"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._data = self.folder / "data"
        self._run("initdb", "--no-sync", "--auth=trust", "--username=tests", "--encoding=UTF8")
        settings = (
            "listen_addresses = ''",
            f"unix_socket_directories = '{self.folder}'",
            "max_connections = 200",
            "shared_buffers = 32MB",
        )
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in settings)
        self.start()

    @property
    def url(self) -> str:
        """The address of its database."""
        return f"postgresql://tests@/postgres?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, "-D", self._data, *arguments],
            user=self._user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self._run("pg_ctl", "start", "--wait", "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop as a crash does: nothing is told to anybody, nothing is written any more."""
        self._run("pg_ctl", "stop", "--wait", "-m", "immediate")

    def restart(self) -> None:
        """Crash, and come back at once."""
        self.stop()
        self.start()

    def execute(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a statement as somebody else."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
