"""What is put in place of files, names, threads and the time of day while histories run."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from ai_batch.core.spool import JobFolder, Spool
from tests.simulation.cabling import without_sockets
from tests.simulation.lockstep import in_step, run_sync
from tests.simulation.programs import RUNNING, Crash, Program

__all__ = ["simulated", "world_of"]

put_in_place, take_away = JobFolder.publish, JobFolder.withdraw
keep, discard = Spool.keep, Spool.discard

real_time, real_monotonic, real_token = time.time, time.monotonic, secrets.token_hex


class _Surroundings:
    """What the history that runs now puts in place; nothing between two of them."""

    clock: Callable[[], float] | None = None
    token: Callable[[int], str] | None = None
    owners: dict[str, Program]

    def __init__(self) -> None:
        self.owners = {}


_now = _Surroundings()


@contextmanager
def world_of(clock: Callable[[], float], token: Callable[[int], str]) -> Generator[None]:
    """The time and the names of one history."""
    _now.clock, _now.token = clock, token
    try:
        yield
    finally:
        _now.clock = _now.token = None
        _now.owners.clear()


def _time() -> float:
    return real_time() if _now.clock is None else _now.clock()


def _monotonic() -> float:
    return real_monotonic() if _now.clock is None else _now.clock()


def _token_hex(size: int = 32) -> str:
    return real_token(size) if _now.token is None else _now.token(size)


def _owner() -> str:
    """A name by which the program is known."""
    name = secrets.token_hex(8)
    _now.owners[name] = RUNNING.get()
    return name


def _is_gone(owner: str) -> bool:
    """Whether the owner is seen to be dead; on another machine nobody would know."""
    program = _now.owners[owner]
    return program.seen_to_die and not program.alive


def _publish(folder: JobFolder, aside: Path, path: Path) -> None:
    """Put a file in its place; the program may die before and after that."""
    program = RUNNING.get()
    try:
        program.point(f"publish {path.suffix}")
    except Crash:
        # Whoever is killed here leaves the file behind.
        path.with_name(f"{path.name}.dead.tmp").write_bytes(b"")
        raise
    put_in_place(folder, aside, path)
    program.point(f"published {path.suffix}")


def _withdraw(folder: JobFolder, path: Path) -> None:
    """Delete a file, as only the living do."""
    RUNNING.get().check()
    take_away(folder, path)


def _keep(spool: Spool, folder: JobFolder) -> None:
    """End a planning, as only the living do."""
    if RUNNING.get().alive:
        keep(spool, folder)


def _discard(spool: Spool, folder: JobFolder) -> None:
    """Delete a folder, as only the living do."""
    if RUNNING.get().alive:
        discard(spool, folder)


def _nothing(*_: object) -> None:
    """Do nothing."""


@contextmanager
def simulated() -> Generator[None]:
    """Programs die here, not machines: nothing needs to reach the disk, or to last until exit."""
    places: list[tuple[object, str, object]] = [
        (os, "fsync", _nothing),
        (time, "time", _time),
        (time, "monotonic", _monotonic),
        (secrets, "token_hex", _token_hex),
        (asyncio, "to_thread", in_step),
        (JobFolder, "publish", _publish),
        (JobFolder, "withdraw", _withdraw),
        (Spool, "keep", _keep),
        (Spool, "discard", _discard),
    ]
    names: list[tuple[str, object]] = [
        ("ai_batch.core.run.read_to_end", _nothing),
        ("ai_batch.core.engine.new_owner", _owner),
        ("ai_batch.core.engine.is_gone", _is_gone),
        # Six hours of looking for a vanished batch show nothing that half an hour does not.
        ("ai_batch.core.advance.LOST_AFTER", 1800.0),
        ("anyio.to_thread.run_sync", run_sync),
    ]
    with ExitStack() as stack:
        stack.enter_context(without_sockets())
        for owner, name, stand_in in places:
            stack.enter_context(patch.object(owner, name, stand_in))
        for name, stand_in in names:
            stack.enter_context(patch(name, stand_in))
        yield
