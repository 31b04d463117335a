"""A disk that forgets, when the power is cut, what nobody had made sure of.

``os.fsync`` is watched: of a file, what it holds then is safe; of a folder, which names it holds.
``Disk.after_the_cut`` gives the files as they may be found afterwards.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ai_batch.core import Ledger, LedgerError, NativeProcessor, Options, Result
from ai_batch.core.database import Transaction
from ai_batch.core.requests import Request
from ai_batch.core.testing import FakeProvider, FakeVendor, VirtualLoop, virtual_runtime
from tests.simulation.tables import TableTransaction


class PowerCut(BaseException):
    """Nothing runs any more."""


@dataclass(slots=True)
class Disk:
    """What is below one folder, and what of it is safe. Inodes are kept, so that none is reused."""

    home: Path
    files: dict[int, bytes] = field(default_factory=dict[int, bytes])
    folders: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    held: list[int] = field(default_factory=list[int])

    def sync(self, descriptor: int) -> None:
        """What ``os.fsync`` makes sure of."""
        self.held.append(os.dup(descriptor))
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            self.folders[state.st_ino] = {
                name: os.stat(name, dir_fd=descriptor).st_ino for name in os.listdir(descriptor)
            }
            return
        path = self._living().get(state.st_ino)
        if path is not None:
            self.files[state.st_ino] = path.read_bytes()

    def _living(self) -> dict[int, Path]:
        return {path.stat().st_ino: path for path in [self.home, *self.home.rglob("*")]}

    def after_the_cut(self, chance: random.Random | None) -> dict[str, bytes | None]:
        """Each path with what it holds, None for a folder.

        Without ``chance`` there is nothing but what was safe; with it, some of the rest.
        """
        living = self._living()
        return dict(self._below(self.home.stat().st_ino, "", living, chance))

    def _below(
        self, inode: int, place: str, living: dict[int, Path], chance: random.Random | None
    ) -> Iterator[tuple[str, bytes | None]]:
        safe = self.folders.get(inode, {})
        now = {path.name: n for n, path in living.items() if path.parent == living.get(inode)}
        for name in sorted({*safe, *now}):
            found = [names.get(name) for names in ((safe, now) if chance else (safe,))]
            inside = found[0] if chance is None else chance.choice(found)
            if inside is None:
                continue
            if inside in self.folders or (inside in living and living[inside].is_dir()):
                yield place + name, None
                yield from self._below(inside, f"{place}{name}/", living, chance)
            else:
                yield place + name, self._content(inside, living, chance)

    def _content(self, inode: int, living: dict[int, Path], chance: random.Random | None) -> bytes:
        safe = self.files.get(inode, b"")
        if chance is None or inode not in living:
            return safe
        now = living[inode].read_bytes()
        half = now[: len(now) // 2]
        torn = half + bytes(len(now) - len(half))
        return safe if now == safe else chance.choice([safe, now, half, torn])

    def close(self) -> None:
        """Let the inodes go."""
        for descriptor in self.held:
            os.close(descriptor)
        self.held.clear()


class Machine:
    """One machine between two cuts of its power: it stops at the point that was chosen for it."""

    def __init__(self, disk: Disk, stops_at: int | None, chance: random.Random | None) -> None:
        """``stops_at`` counts from 1; None lets it run."""
        self.disk = disk
        self.points: list[str] = []
        self.left: dict[str, bytes | None] | None = None
        self._stops_at = stops_at
        self._chance = chance

    def point(self, name: str) -> None:
        """Something that may be the last: whatever is safe has just changed."""
        self.check()
        self.points.append(name)
        if len(self.points) == self._stops_at:
            self.left = self.disk.after_the_cut(self._chance)
            raise PowerCut(name)

    def check(self) -> None:
        """Nothing is done without power."""
        if self.left is not None:
            raise PowerCut("without power")

    def sync(self, descriptor: int) -> None:
        """Stands for ``os.fsync``."""
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        self.check()
        self.disk.sync(descriptor)
        self.point(f"sync of a {kind}")

    async def gate(self, call: str, moment: Literal["before", "after"]) -> None:
        """Around each call of the vendor."""
        self.check()
        if moment == "after":
            self.point(call)


class SafeDatabase:
    """A ledger whose commits are safe, and of which a cut loses all else."""

    def __init__(
        self, tables: sqlite3.Connection, clock: Callable[[], float], machine: Machine
    ) -> None:
        """The tables outlive the machine's power."""
        self._tables = tables
        self._machine = machine
        self.now = clock

    @contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        """A point after each commit."""
        self._machine.check()
        before = self._tables.total_changes
        self._tables.execute("BEGIN IMMEDIATE")
        try:
            yield TableTransaction(self._tables)
            changed = self._tables.total_changes > before
            self._machine.check()
            self._tables.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(str(error)) from error
        finally:
            if self._tables.in_transaction:
                self._tables.execute("ROLLBACK")
        if changed:
            self._machine.point("commit")

    def close(self) -> None:
        """The tables live on."""


class House:
    """What outlives cuts of the power: the vendor, the ledger, and what was safe of the disk."""

    def __init__(self, folder: Path, vendor: FakeVendor) -> None:
        """Each start gets a new home below ``folder``, with what the last one has left."""
        self.folder = folder
        self.vendor = vendor
        self.tables = sqlite3.connect(":memory:", isolation_level=None)
        self.left: dict[str, bytes | None] = {}
        self.elapsed = 0.0
        self.starts = 0
        self.machine: Machine

    def sync(self, descriptor: int) -> None:
        """Stands for ``os.fsync``, of the machine that runs now."""
        self.machine.sync(descriptor)

    def start(
        self, requests: list[Request], stops_at: int | None, chance: random.Random | None
    ) -> list[Result] | None:
        """Run the script until it ends or the power is cut; its results if it came to its end."""
        self.starts += 1
        home = self.folder / f"home-{self.starts}"
        restore(home, self.left)
        disk = Disk(home)
        self.machine = machine = Machine(disk, stops_at, chance)
        for path in [home, *home.rglob("*")]:
            descriptor = os.open(path, os.O_RDONLY)
            disk.sync(descriptor)
            os.close(descriptor)
        loop = VirtualLoop(start=self.elapsed)
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                return runner.run(self._script(machine, loop, requests))
        except PowerCut:
            assert machine.left is not None
            self.left = machine.left
            return None
        finally:
            # Whoever comes next finds leases that have run out.
            self.elapsed = loop.time() + 1000.0
            disk.close()

    async def _script(
        self, machine: Machine, loop: VirtualLoop, requests: list[Request]
    ) -> list[Result]:
        runtime = virtual_runtime(loop)
        database = SafeDatabase(self.tables, runtime.clock, machine)
        options = Options(home=machine.disk.home, ledger=Ledger(database), runtime=runtime)
        provider = FakeProvider(self.vendor, gate=machine.gate)
        processor = NativeProcessor(lambda: provider, options)
        return (await processor.aprocess(requests))[:]


def restore(home: Path, left: dict[str, bytes | None]) -> None:
    """Make the files that were left."""
    home.mkdir(mode=0o700, parents=True)
    for name, content in left.items():
        path = home / name
        if content is None:
            path.mkdir(mode=0o700)
        else:
            path.write_bytes(content)
            path.chmod(0o600)
