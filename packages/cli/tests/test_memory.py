"""However many rows there are, they are not kept in memory."""

from __future__ import annotations

import csv
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell

FEW, MANY = 20_000, 100_000

MEGABYTE = 1024
"""In kilobytes, as the system counts them."""


def table(path: Path, rows: int, repeated: int | None = None) -> None:
    """A CSV file of rows whose ids are long; one of them may come twice."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for number in range(rows):
            name = number if number != repeated else 0
            writer.writerow([f"{'row-' * 20}{name}", f"Is this sentence {number}?"])


def memory(shell: Shell, *arguments: str) -> int:
    """The most memory that a command has taken, in kilobytes."""
    process = subprocess.Popen(
        shell.command(*arguments),
        cwd=shell.folder,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    most = 0
    # What `wait4` tells counts this process too, of which the other one was a copy at first.
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        found = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        most = max([most, *(int(line.split()[1]) for line in found)])
        time.sleep(0.02)
    assert process.returncode == 0
    return most


def asked(name: str) -> list[str]:
    """What validates a file, and what runs it."""
    return [name, "--prompt", "{text}"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", ["validate", "run"])
def test_memory_does_not_grow_with_rows(shell: Shell, command: str) -> None:
    """Five times the rows take the same memory, up to a few bytes for each."""
    most: dict[int, int] = {}
    for rows in (FEW, MANY):
        name = f"{rows}.csv"
        table(shell.folder / name, rows)
        more = ["-p", "openai", "-m", "gpt-4o-mini", "-o", "out.csv", "-O", "poll_interval=0.5"]
        most[rows] = memory(shell, command, *asked(name), *(more if command == "run" else []))

    # 80,000 rows: their ids alone are twice as much.
    assert most[MANY] - most[FEW] < 8 * MEGABYTE
    assert most[MANY] < 150 * MEGABYTE


def test_ids_that_come_twice_are_found_however_far_apart(shell: Shell) -> None:
    """The first and the last row of a file share an id: both are named."""
    rows = 5000
    table(shell.folder / "twice.csv", rows, repeated=rows - 1)

    done = shell("validate", *asked("twice.csv"))

    assert done.code == 2
    assert f"(index {rows - 1}): id: duplicate id, first used by the request at index 0" in done.err
    assert "1 problem" in done.err
