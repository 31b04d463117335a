"""What is on disk is the user's alone, and nobody can have it written elsewhere."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import AIBatchError, ChatResponse, LedgerError
from ai_batch.core.privacy import open_own
from ai_batch.core.spool import JobFolder, Spool, open_private
from ai_batch.core.transfers import private_file
from ai_batch.emulator import Fault
from tests.conftest import Lab

MASKS = [0, 0o022, 0o077]


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    """Set the mask of new files' modes, until the test ends."""
    before = os.umask(0o022)
    os.umask(before)

    def set_to(mask: int) -> None:
        os.umask(mask)

    yield set_to
    os.umask(before)


def modes(home: Path) -> dict[str, int]:
    """The mode of everything below a folder, and of itself."""
    return {
        str(path.relative_to(home)): stat.S_IMODE(path.lstat().st_mode)
        for path in (home, *home.rglob("*"))
    }


def check_modes(home: Path) -> int:
    """All folders have mode 0700 and all files 0600; how many there are."""
    found = modes(home)
    for name, mode in found.items():
        wanted = 0o700 if (home / name).is_dir() else 0o600
        assert mode == wanted, f"{name} has mode {mode:o}"
    return len(found)


@pytest.mark.parametrize("mask", MASKS)
def test_nobody_else_can_read(lab: Lab, mask: int, umask: Callable[[int], None]) -> None:
    """Whatever the process's mask: in the middle of a job, after a failure, and at the end."""
    umask(mask)
    lab.emulator.inject(Fault(route="files.content", times=2, cut_after_bytes=10))
    lab.emulator.inject(Fault(route="files.content", row="garbage"))
    job = lab.processor(shard=2, max_attempts=2).submit(lab.questions(5))
    assert check_modes(lab.home) > 5
    job.join(timeout=30)
    assert check_modes(lab.home) > 10


@pytest.mark.parametrize("mask", MASKS)
def test_nobody_else_can_read_answers_to_live_calls(
    tmp_path: Path, mask: int, umask: Callable[[int], None]
) -> None:
    """The journal of a concurrent run is private, too, and so are the folders above it."""
    umask(mask)
    home = tmp_path / "a" / "b" / "home"
    with ConcurrentProcessor(chat=lambda _: ChatResponse(content="yes"), home=home) as processor:
        assert processor.process(["a", "b"]).completed == 2
    assert check_modes(tmp_path / "a") > 5


def test_a_ledger_from_a_backup_becomes_private(lab: Lab) -> None:
    """Its mode is set right, and that of what SQLite puts beside it."""
    lab.processor().process(lab.questions(1))
    lab.close()
    ledger = lab.home / "ledger.db"
    ledger.chmod(0o644)
    lab.processor().process(lab.questions(2))
    check_modes(lab.home)


def links(path: Path, target: Path) -> None:
    """Put a symbolic link in the place of a path."""
    if path.exists():
        path.rename(path.with_name(f"{path.name}.moved"))
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["", "jobs", "ledger.db"])
@pytest.mark.parametrize("dangling", [False, True])
def test_links_in_place_of_what_is_ours_are_refused(
    lab: Lab, tmp_path: Path, name: str, dangling: bool
) -> None:
    """Nothing is written to where they point."""
    victim = tmp_path / "victim"
    if name == "ledger.db":
        victim.write_text("precious")
    else:
        victim.mkdir()
    if dangling:
        victim.rmdir() if victim.is_dir() else victim.unlink()
    if name:
        lab.home.mkdir(mode=0o700)
    links(lab.home / name if name else lab.home, victim)
    with pytest.raises(LedgerError, match=r"is a symbolic link|File exists"):
        lab.processor().process(lab.questions(1))
    assert victim.exists() != dangling
    if not dangling:
        assert (
            victim.read_text() == "precious" if name == "ledger.db" else not any(victim.iterdir())
        )


def test_a_jobs_folder_behind_a_link_is_refused(lab: Lab, tmp_path: Path) -> None:
    """Results are read from nowhere else than below the home."""
    job = lab.processor().submit(lab.questions(1))
    job.join(timeout=30)
    lab.close()
    folder = lab.home / "jobs" / job.id
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="is a symbolic link"):
        lab.processor().attach(job.id)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[JobFolder]:
    """The folder of a job that is being planned."""
    spool = Spool(tmp_path / "home")
    made = spool.create("job_x")
    yield made
    spool.release(made, keep=False)


FILES = ["requests.jsonl", "requests.offsets", "0001.input.jsonl"]


@pytest.mark.parametrize("name", FILES)
def test_files_are_not_written_through_links(folder: JobFolder, tmp_path: Path, name: str) -> None:
    """A link with a name that is going to be used is not followed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder.path / name).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        open_private(folder.path / name)
    with pytest.raises(AIBatchError, match="symbolic links"):
        private_file(folder.path / name)
    assert victim.read_text() == "precious"


def test_a_hard_link_is_replaced_and_not_written_to(folder: JobFolder, tmp_path: Path) -> None:
    """Files appear by renaming: what else had the name keeps its contents."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = folder.path / "0001.output.jsonl"
    path.hardlink_to(victim)
    with folder.written(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), victim.read_text()) == (b"new", "precious")


def test_temporary_names_cannot_be_foreseen(folder: JobFolder) -> None:
    """Each has a part that is drawn anew, of 48 bits at least."""
    names = {folder.aside(folder.requests).name for _ in range(100)}
    assert len(names) == 100
    assert {len(name) for name in names} == {len("requests.jsonl..tmp") + 12}


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have a path belong to another user than the one that this process takes itself for."""

    def give_away(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, 12345, -1)
        monkeypatch.setattr(os, "geteuid", lambda: 54321)

    return give_away


@pytest.mark.parametrize("name", ["home", "home/jobs"])
def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, name: str, foreign: Callable[[Path], None]
) -> None:
    """Its owner could read and swap whatever is put there."""
    Spool(tmp_path / "home")
    foreign(tmp_path / name)
    with pytest.raises(LedgerError, match="belongs to another user"):
        Spool(tmp_path / "home")


def test_a_ledger_of_another_user_is_refused(
    tmp_path: Path, foreign: Callable[[Path], None]
) -> None:
    """Its owner could have jobs go on that nobody has ordered."""
    path = tmp_path / "ledger.db"
    path.touch(0o600)
    foreign(path)
    with pytest.raises(LedgerError, match="belongs to another user"):
        open_own(path, os.O_RDWR)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_home_that_everybody_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """The error says what to do; a folder below is made, or the mode is mended."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    with pytest.raises(LedgerError, match=r"everybody may write to .* chmod o-w"):
        Spool(home)
    home.chmod(mode & ~0o002)
    Spool(home)


@pytest.mark.parametrize(("mode", "warned"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_folder_above_that_everybody_may_write_to_is_told_of(
    tmp_path: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the user's to judge: containers have such volumes; /tmp protects what is in it."""
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(mode)
    with caplog.at_level(logging.WARNING):
        Spool(above / "home")
    assert ("move" in caplog.text) == warned
    assert stat.S_IMODE((above / "home").stat().st_mode) == 0o700


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_exports_do_not_follow_links_that_wait_for_them(
    lab: Lab, tmp_path: Path, ending: str
) -> None:
    """The name that an export is written under cannot be foreseen, and is never one that exists."""
    response = lab.processor().process(lab.questions(2))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    target = folder / f"results.{ending}"
    (folder / f"results.{ending}.part").symlink_to(victim)
    getattr(response, f"to_{ending}")(target)
    assert victim.read_text() == "precious"
    assert target.stat().st_size > 0
    assert [path.name for path in folder.glob(".*")] == []
