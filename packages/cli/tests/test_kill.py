"""Killed in the middle: what was paid for is not paid for again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_batch.emulator import Fault, Timing

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Done, Shell

ROWS = 5000


@pytest.mark.parametrize("back", ["resume", "run"])
def test_a_killed_run_goes_on(make_shell: Callable[..., Shell], back: str) -> None:
    """After SIGKILL, jobs shows the job, and resume or the same run writes every answer."""
    shell = make_shell(timing=Timing(in_progress=3.0))
    arguments = (
        "run", shell.table(rows=ROWS), "--prompt", "Say {text}", "--id", "n",
        "-p", "openai", "-m", "gpt-4o-mini", "-o", "out.csv", "-O", "poll_interval=0.2",
    )  # fmt: skip
    nowhere = subprocess.DEVNULL
    process = shell.start(*arguments, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    shell.wait_for(lambda: shell.emulator.stats.batches_created)

    process.send_signal(signal.SIGKILL)
    process.wait()
    [row] = shell("jobs", "--json").json
    assert not (shell.folder / "out.csv").exists()
    done = shell("resume", "last") if back == "resume" else shell(*arguments)

    assert (row["state"], row["total"]) == ("running", ROWS)
    assert done.code == 0, done.err
    rows = shell.read_csv()
    assert [row["id"] for row in rows] == [f"r{number}" for number in range(ROWS)]
    assert [row["content"] for row in rows] == [f"Say text {number}" for number in range(ROWS)]
    stats = shell.emulator.stats
    assert (stats.batches_created, stats.items_billed) == (1, ROWS)


def test_a_run_that_is_killed_while_it_reads_leaves_no_job(shell: Shell) -> None:
    """Before its input has been read to the end, there is no job, and nothing was sent."""
    process = shell.start(
        "run", "-", "--format", "txt", "-p", "openai", "-m", "gpt-4o-mini", "-o", "out.csv"
    )
    assert process.stdin is not None
    process.stdin.write("one\n")
    process.stdin.flush()
    home = shell.folder.parent / "home"
    shell.wait_for(lambda: any(home.glob("jobs/*")))

    process.kill()
    process.communicate()
    shell.run("-", "--format", "txt", given="two\n")

    assert [row["total"] for row in shell("jobs", "--json").json] == [1]
    assert len(list(home.glob("jobs/*"))) == 1
    assert shell.emulator.stats.items_billed == 1


def test_ctrl_c_while_the_input_is_read_sends_nothing(shell: Shell) -> None:
    """An interrupt before the job is on record says that nothing was sent."""
    process = shell.start(
        "run", "-", "--format", "txt", "-p", "openai", "-m", "gpt-4o-mini", "-o", "out.csv"
    )
    assert process.stdin is not None
    process.stdin.write("one\n")
    process.stdin.flush()
    home = shell.folder.parent / "home"
    shell.wait_for(lambda: any(home.glob("jobs/*")))

    process.send_signal(signal.SIGINT)
    _, err = process.communicate()

    assert process.returncode == 130
    assert "interrupted while reading; nothing was sent" in err
    assert shell("jobs", "--json").json == []
    # What the interrupt may have left behind goes with the next run.
    shell.run("-", "--format", "txt", given="two\n")
    assert len(list(home.glob("jobs/*"))) == 1
    assert shell.emulator.stats.items_billed == 1


def start_in_background(shell: Shell, *arguments: str) -> subprocess.Popen[str]:
    """Start a command that nobody listens to."""
    nowhere = subprocess.DEVNULL
    return shell.start(*arguments, stdin=nowhere, stdout=nowhere, stderr=nowhere)


def kill(process: subprocess.Popen[str]) -> None:
    """End it as a power cut would."""
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def all_there(shell: Shell, done: Done) -> None:
    """Each row has its answer, once, and was paid for once."""
    assert done.code == 0, done.err
    rows = shell.read_csv()
    assert [row["content"] for row in rows] == [f"Say text {number}" for number in range(ROWS)]
    stats = shell.emulator.stats
    assert (stats.batches_created, stats.items_billed) == (1, ROWS)


def test_a_detached_run_that_is_killed_while_it_sends(shell: Shell) -> None:
    """Killed when the batch is made but nobody knows: resume finds it and sends nothing anew."""
    shell.emulator.inject(Fault(route="batches.create", nth=1, hang="after"))
    process = start_in_background(
        shell, "run", shell.table(rows=ROWS), "--prompt", "Say {text}", "-p", "openai",
        "-m", "gpt-4o-mini", "-o", "out.csv", "-O", "poll_interval=0.2", "--detach",
    )  # fmt: skip
    shell.wait_for(lambda: shell.emulator.stats.batches_created)

    kill(process)
    [row] = shell("jobs", "--json").json
    done = shell("resume", row["job"])

    assert (row["state"], row["total"], row["completed"]) == ("running", ROWS, 0)
    all_there(shell, done)


def test_a_resume_that_is_killed_while_it_downloads(shell: Shell) -> None:
    """After --detach, resume may be killed with half of the results here: the next one has all."""
    shell.emulator.inject(Fault(route="files.content", nth=1, bytes_per_second=200_000))
    left = shell.run(shell.table(rows=ROWS), "--prompt", "Say {text}", "--detach", output="out.csv")
    assert left.code == 0, left.err
    job = left.out.strip()
    process = start_in_background(shell, "resume", job)
    home = shell.folder.parent / "home"
    shell.wait_for(lambda: any(path.stat().st_size for path in half_of(home)))

    kill(process)
    assert not (shell.folder / "out.csv").exists()
    done = shell("resume", job)

    all_there(shell, done)
    assert not list(half_of(home))


def half_of(home: Path) -> Iterator[Path]:
    """Downloads that are not complete."""
    return home.glob("jobs/*/*.output.jsonl.*.tmp")
