"""The spool: one folder per job with its requests, and with the provider's rows as they came.

    jobs/<job id>/
        requests.jsonl          every request, normalised, in order
        requests.offsets        where each of them begins, and its CRC: 12 bytes per request
        0001.members            which requests the shard holds, where they are not a plain range
        0001.input.jsonl        what is sent; deleted once the shard is collected
        0001.output.jsonl       what came back, byte for byte
        0001.errors.jsonl
        0001.local.jsonl        errors that the provider gave no row for
        0001.joined.jsonl       rows of requests that took several lines, one for each request
        0001.carried.jsonl      rows of such requests that an earlier shard has paid for
        0001.rows               where each request's row is, and its CRC: 20 bytes per request

Files appear by renaming, complete and synced, or not at all. Folders have mode 0700 and files
0600: prompts and answers are private.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import secrets
import shutil
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Self, TypeAlias

from ai_batch.core.disk import of_disk
from ai_batch.core.errors import LedgerError
from ai_batch.core.privacy import NO_LINK, check_folder, private_folder
from ai_batch.core.seals import SpoolDamaged, claim_places, seal, unseal
from ai_batch.core.state import Shard

__all__ = ["JobFolder", "LineWriter", "Spool", "members_of", "write_members"]

Guard: TypeAlias = Callable[[], contextlib.AbstractContextManager[None]]
"""Held while a file is put in place; raises where that must not happen any more."""

WRITE_BUFFER = 1 << 20

LINES_HELD = 1 << 17

UNBORN = 3600.0
"""Seconds after which a folder that has not been put in place is nobody's."""

PLANNING = "planning.lock"
"""Locked in a job's folder while a process plans it."""


_MEMBERS = b"aibmemb2"

_FROM_BACKUP = "bring the file back from a backup; nothing else tells which requests were sent"


def _little(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_private(path: Path) -> IO[bytes]:
    """A new file for writing, with mode 0600 and a large buffer."""
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | NO_LINK, 0o600)
    return os.fdopen(descriptor, "wb", buffering=WRITE_BUFFER)


def sync(file: IO[bytes]) -> None:
    """Have what was written on disk."""
    file.flush()
    os.fsync(file.fileno())


class LineWriter:
    """Writes lines to a file in large pieces; ``check`` is their CRC-32."""

    def __init__(self, file: IO[bytes]) -> None:
        """``file`` is empty and open for writing."""
        self._file = file
        self._lines: list[bytes] = []
        self._held = 0
        self.size = 0
        self.check = 0

    def write(self, line: bytes) -> None:
        """Add one line, without its end."""
        self._lines.append(line)
        self._held += len(line) + 1
        if self._held >= LINES_HELD:
            self.flush()

    def flush(self) -> None:
        """Hand what is held to the file."""
        if not self._lines:
            return
        self._lines.append(b"")
        block = b"\n".join(self._lines)
        self._lines.clear()
        self._file.write(block)
        self.check = zlib.crc32(block, self.check)
        self.size += len(block)
        self._held = 0


class JobFolder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        """The folder must exist."""
        self.path = path
        self.guard: Guard = contextlib.nullcontext
        self._left: list[Path] | None = None

    @property
    def requests(self) -> Path:
        """Every request, one per line, in order."""
        return self.path / "requests.jsonl"

    @property
    def offsets(self) -> Path:
        """Where each request's line begins, and its checksum, 12 bytes each."""
        return self.path / "requests.offsets"

    def file(self, name: str, kind: str) -> Path:
        """A shard's file, by its ending: members, input.jsonl, output.jsonl, rows and so on."""
        return self.path / f"{name}.{kind}"

    @contextlib.contextmanager
    def written(self, path: Path) -> Generator[IO[bytes], None, None]:
        """A file that appears at ``path``, complete and synced, when the block ends well.

        Raises ``LedgerError`` where it can't be written.
        """
        aside = self.aside(path)
        try:
            with open_private(aside) as file:
                yield file
                sync(file)
            self.publish(aside, path)
        except FileNotFoundError:
            # What is read in the block may be gone with a shard that was taken over.
            raise
        except OSError as error:
            raise of_disk(error, path) from error
        finally:
            aside.unlink(missing_ok=True)

    def aside(self, path: Path) -> Path:
        """A name beside ``path`` that no other process uses."""
        return path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")

    def guarded(self, guard: Guard) -> Self:
        """The same folder, in which files are put in place within ``guard()`` only."""
        guarded = copy.copy(self)
        guarded.guard = guard
        return guarded

    def publish(self, aside: Path, path: Path) -> None:
        """Put a finished file in its place, durably."""
        with self.guard():
            aside.replace(path)
            _sync_folder(self.path)

    @contextlib.contextmanager
    def alone(self) -> Generator[None, None, None]:
        """Nobody else is in such a block on the same folder."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def withdraw(self, path: Path) -> None:
        """Delete a file that an earlier try may have put in place."""
        with self.guard():
            path.unlink(missing_ok=True)

    def sync(self, path: Path) -> None:
        """Have a file that somebody else wrote on disk."""
        with path.open("rb") as file:
            os.fsync(file.fileno())

    def settle(self) -> None:
        """Have the names of all files on disk; what is in them must have been synced."""
        _sync_folder(self.path)

    def sweep(self, name: str) -> None:
        """Delete what writers of a shard had left behind that died before this program began."""
        if self._left is None:
            # Once: a job of many batches has more files than can be looked through for each.
            self._left = sorted(self.path.glob("*.tmp"))
        for path in self._left:
            if path.name.startswith(f"{name}."):
                path.unlink(missing_ok=True)


class Spool:
    """The folders of all jobs below one home."""

    def __init__(self, home: Path) -> None:
        """Makes ``home`` with mode 0700 where it does not exist."""
        jobs = home / "jobs"
        new = [path for path in (jobs, *jobs.parents) if not path.exists()]
        self.home = private_folder(home)
        self._jobs = private_folder(jobs)
        try:
            for path in new:
                _sync_folder(path.parent)
        except OSError as error:
            raise of_disk(error, home) from error
        self._locks: dict[str, IO[bytes]] = {}

    def create(self, job_id: str, store_id: str = "") -> JobFolder:
        """A new, empty folder for a job that is being planned for the ledger of this id.

        Raises ``LedgerError`` where none can be made.
        """
        try:
            return self._create(job_id, store_id)
        except OSError as error:
            raise of_disk(error, self._jobs / job_id) from error

    def _create(self, job_id: str, store_id: str) -> JobFolder:
        path = self._jobs / job_id
        # Made aside and locked before anybody can see it: a process that finds the lock free
        # takes the planning for abandoned.
        aside = self.home / f"{job_id}.tmp"
        aside.mkdir(mode=0o700)
        lock = open_private(aside / PLANNING)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            lock.write(store_id.encode())
            lock.flush()
            aside.rename(path)
            _sync_folder(self._jobs)
        except BaseException:
            lock.close()
            raise
        self._locks[job_id] = lock
        return JobFolder(path)

    def abandoned(self, store_id: str = "") -> Iterator[JobFolder]:
        """Folders of jobs whose planning was begun by a process that died in it.

        Only those of this ledger: of others it can't be known whether they have become jobs.
        """
        for lock in self._jobs.glob(f"*/{PLANNING}"):
            with contextlib.suppress(OSError), lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if file.read() in (b"", store_id.encode()):
                    yield JobFolder(lock.parent)

    def sweep(self) -> None:
        """Delete folders that processes which died at once have not even put in place."""
        for aside in self.home.glob("job_*.tmp"):
            with contextlib.suppress(OSError), (aside / PLANNING).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Between making the folder and locking it there is a moment.
                if time.time() - aside.stat().st_mtime > UNBORN:
                    shutil.rmtree(aside, ignore_errors=True)

    def bring_back(self, folder: JobFolder, fresh: JobFolder) -> None:
        """Give a job its requests again, from a folder in which the same have just been planned.

        They may have been damaged or deleted since, and are the same bytes. Whoever reads the
        old files goes on with them.
        """
        try:
            with fresh.offsets.open("r+b") as places:
                claim_places(places, folder.offsets)
                sync(places)
            for mine, its in ((fresh.requests, folder.requests), (fresh.offsets, folder.offsets)):
                mine.replace(its)
            folder.settle()
        except OSError as error:
            raise of_disk(error, folder.path) from error

    def keep(self, folder: JobFolder) -> None:
        """The planning in a folder has ended; the ledger names it."""
        (folder.path / PLANNING).unlink(missing_ok=True)

    def discard(self, folder: JobFolder) -> None:
        """Delete a folder that the ledger does not name."""
        shutil.rmtree(folder.path, ignore_errors=True)

    def open(self, folder: str) -> JobFolder:
        """The folder that a ledger names. Raises ``LedgerError`` when it is gone, or a link."""
        path = self.home / folder
        if path.parent != self._jobs or path.name == "..":
            raise LedgerError(f"the ledger names {folder!r}, which is no folder of a job here")
        if not path.is_dir():
            raise LedgerError(f"the job's folder {path} is gone; its results can't be read")
        check_folder(path)
        return JobFolder(path)

    def name_of(self, folder: JobFolder) -> str:
        """What the ledger records: the folder's place below the home."""
        return folder.path.relative_to(self.home).as_posix()

    def release(self, folder: JobFolder, *, keep: bool) -> None:
        """End the planning in a folder: it has become a job's, or is deleted."""
        if keep:
            self.keep(folder)
        else:
            self.discard(folder)
        self._locks.pop(folder.path.name).close()


def write_members(folder: JobFolder, name: str, members: array[int]) -> None:
    """Write the indices of a shard's requests, 8 bytes each, little-endian."""
    path = folder.file(name, "members")
    with folder.written(path) as file:
        file.write(seal(path, _MEMBERS, _little(members).tobytes()))


def members_of(folder: JobFolder, shard: Shard) -> array[int] | range:
    """The indices of the shard's requests, ascending: line n of its input is the n-th."""
    if shard.contiguous:
        return range(shard.first_index, shard.last_index + 1)
    numbers = array("Q")
    path = folder.file(shard.name, "members")
    size = shard.count * numbers.itemsize
    data, _ = unseal(path, _MEMBERS, size, _FROM_BACKUP)
    if len(data) != size:
        raise SpoolDamaged(path, f"it holds {len(data)} bytes of {size}", _FROM_BACKUP)
    numbers.frombytes(data)
    return _little(numbers)
