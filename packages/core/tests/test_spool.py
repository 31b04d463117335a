"""The folders of jobs on disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from array import array
from collections.abc import Generator
from pathlib import Path

import pytest

from ai_batch.core import LeaseLost, LedgerError
from ai_batch.core.provider import Route
from ai_batch.core.spool import PLANNING, JobFolder, Spool, members_of, open_private, write_members
from ai_batch.core.state import Shard, ShardState


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def planned(spool: Spool, job_id: str = "job_1") -> JobFolder:
    """The folder of a job that has been planned."""
    folder = spool.create(job_id)
    spool.release(folder, keep=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job's folder."""
    return planned(Spool(tmp_path / "home"))


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    """Prompts and answers are nobody else's."""
    home = tmp_path / "home"
    folder = planned(Spool(home))
    with folder.written(folder.file("0001", "rows")) as file:
        file.write(b"x")
    with open_private(folder.requests) as requests:
        requests.write(b"x")

    assert [mode(path) for path in (home, home / "jobs", folder.path)] == [0o700] * 3
    assert [mode(path) for path in folder.path.iterdir()] == [0o600] * 2


def test_a_file_appears_whole_or_not_at_all(folder: JobFolder) -> None:
    """While it is written, and after a failure, what was there before stays."""
    path = folder.file("0001", "rows")
    with folder.written(path) as file:
        file.write(b"old")

    def fail() -> None:
        with folder.written(path) as file:
            file.write(b"new")
            assert path.read_bytes() == b"old"
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()

    assert path.read_bytes() == b"old"
    assert list(folder.path.iterdir()) == [path]


def test_a_guarded_folder_changes_nothing_once_the_guard_objects(folder: JobFolder) -> None:
    """Who has lost the lease neither replaces nor deletes a file."""

    @contextlib.contextmanager
    def lost() -> Generator[None, None, None]:
        raise LeaseLost("taken over")
        yield

    path = folder.file("0001", "rows")
    path.write_bytes(b"successor's")
    guarded = folder.guarded(lost)

    def replace() -> None:
        with guarded.written(path) as file:
            file.write(b"zombie's")

    with pytest.raises(LeaseLost):
        replace()
    with pytest.raises(LeaseLost):
        guarded.withdraw(path)

    assert path.read_bytes() == b"successor's"
    assert list(folder.path.iterdir()) == [path]


def test_what_dead_writers_left_is_swept(folder: JobFolder) -> None:
    """Only files of the shard, and only unfinished ones."""
    kept = [folder.file("0001", "rows"), folder.aside(folder.file("0001-2", "rows"))]
    for path in [*kept, folder.aside(folder.file("0001", "rows"))]:
        path.touch()

    folder.sweep("0001")

    assert sorted(folder.path.iterdir()) == sorted(kept)


def test_a_folder_is_found_again_by_its_name(tmp_path: Path) -> None:
    """The ledger records the place below the home, so that a home may be moved."""
    spool = Spool(tmp_path / "home")
    folder = planned(spool)
    name = spool.name_of(folder)
    (tmp_path / "home").rename(tmp_path / "moved")

    assert name == "jobs/job_1"
    assert Spool(tmp_path / "moved").open(name).path == tmp_path / "moved/jobs/job_1"


def test_a_folder_that_is_gone_is_told_of(tmp_path: Path) -> None:
    """The message names the folder."""
    spool = Spool(tmp_path / "home")
    spool.discard(planned(spool))

    with pytest.raises(LedgerError, match=r"jobs/job_1 is gone; its results can't be read"):
        spool.open("jobs/job_1")


def test_a_planning_that_died_is_found_and_a_living_one_is_not(tmp_path: Path) -> None:
    """A folder without a ledger entry is deleted only once its process is gone."""
    spool = Spool(tmp_path / "home")
    folder = spool.create("job_1")

    assert list(spool.abandoned()) == []
    spool._locks.pop("job_1").close()  # As the system does it for the dead.
    assert [found.path for found in spool.abandoned()] == [folder.path]


def test_what_another_ledger_is_planning_is_left_alone(tmp_path: Path) -> None:
    """Two ledgers may share a home: one can't know what has become a job in the other."""
    spool = Spool(tmp_path / "home")
    spool.create("job_1", "one")
    spool._locks.pop("job_1").close()

    assert list(spool.abandoned("another")) == []
    assert [found.path.name for found in spool.abandoned("one")] == ["job_1"]


def test_a_folder_that_was_never_put_in_place_is_swept(tmp_path: Path) -> None:
    """Once its process is gone, and not in the moment between making and locking it."""
    spool = Spool(tmp_path / "home")
    old, young, alive = (tmp_path / f"home/job_{number}.tmp" for number in range(3))
    for aside in (old, young, alive):
        aside.mkdir()
        (aside / PLANNING).touch()
    for aside in (old, alive):
        os.utime(aside, (0, 0))

    with (alive / PLANNING).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        spool.sweep()

    assert sorted(path.name for path in (tmp_path / "home").glob("*.tmp")) == [
        young.name,
        alive.name,
    ]


def test_a_planning_that_came_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    """Faulty input, or a job that is there already."""
    spool = Spool(tmp_path / "home")
    spool.release(spool.create("job_1"), keep=False)

    assert list((tmp_path / "home/jobs").iterdir()) == []


def test_a_home_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Somebody else might have put it there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(LedgerError, match="is a symbolic link"):
        Spool(tmp_path / "home")


def shard(first: int, last: int, count: int) -> Shard:
    """A shard of so many requests between two indices."""
    return Shard(
        job_id="job_1",
        seq=1,
        name="0001",
        state=ShardState.PLANNED,
        route=Route("chat", "/chat", "m"),
        account="a",
        token="t",
        count=count,
        bytes=0,
        tokens=0,
        first_index=first,
        last_index=last,
    )


def test_members_are_a_range_or_a_list_on_disk(folder: JobFolder) -> None:
    """A plain range needs no file."""
    assert members_of(folder, shard(3, 5, 3)) == range(3, 6)
    write_members(folder, "0001", array("Q", [3, 1 << 40]))

    assert list(members_of(folder, shard(3, 1 << 40, 2))) == [3, 1 << 40]


def test_members_that_do_not_add_up_are_an_error(folder: JobFolder) -> None:
    """A cut file must not become a wrong result."""
    folder.file("0001", "members").write_bytes(b"\0" * 8)

    with pytest.raises(LedgerError, match=r"0001.members is damaged: it holds 8 bytes of 16"):
        members_of(folder, shard(3, 9, 2))
