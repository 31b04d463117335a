"""Programs that are killed, stopped, or run beside each other: no answer is lost or paid twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages.concurrent.tests.programs.answer_amiss import ATTEMPTS
from packages.concurrent.tests.programs.answer_slowly import CONCURRENCY

from ai_batch.concurrent.rows import scan_row

pytestmark = pytest.mark.crash

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 120.0


class Script:
    """A home, and a program that may be started in it again and again."""

    def __init__(self, folder: Path, count: int, program: str = "answer_slowly.py") -> None:
        self.home = folder / "home"
        self.notes = folder / "notes"
        self.count = count
        self.program = PROGRAMS / program
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """A new process."""
        arguments = [sys.executable, *map(str, (self.program, self.home, self.notes, self.count))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(arguments, env=environment)
        self.running.append(process)
        return process

    def told(self) -> list[str]:
        """What the processes noted, in order."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def wait_for(self, lines: int, process: subprocess.Popen[bytes]) -> None:
        """Until so many lines were noted, or the process has ended."""
        end = time.monotonic() + PATIENCE
        while len(self.told()) < lines and process.poll() is None:
            assert time.monotonic() < end, "the program does not get on"
            time.sleep(0.01)

    def rows(self) -> list[str]:
        """The ids of all whole rows on disk."""
        rows: list[str] = []
        for path in self.home.glob("jobs/*/*.output.jsonl"):
            data = path.read_bytes()
            rows += [scan_row(row).wire_id for row in data[: data.rfind(b"\n") + 1].splitlines()]
        return rows

    def recorded(self) -> set[str]:
        """The indices that have a whole row on disk."""
        return {row.rpartition("-")[2] for row in self.rows()}


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """A program of 1,500 requests."""
    made = Script(tmp_path, 1500)
    yield made
    for process in made.running:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_a_killed_program_goes_on(script: Script, kills: int) -> None:
    """What was delivered or recorded is never asked again; calls that were out are, at most."""
    dice = random.Random(kills)
    kept: set[str] = set()
    for _ in range(kills):
        before = len(script.told())
        process = script.start()
        script.wait_for(before + dice.randrange(1, 2 * script.count // kills), process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not _asked(script.told()[before:]) & kept
        kept = script.recorded() | _given(script.told())
    before = len(script.told())
    assert script.start().wait(PATIENCE) == 0
    assert not _asked(script.told()[before:]) & kept

    told = script.told()
    calls = Counter(line for line in told if line.startswith("call"))
    assert len(calls) == script.count
    assert calls.total() - script.count <= kills * CONCURRENCY
    assert told[-1] == "done"
    _check_delivered(told, script.count)


def _asked(told: list[str]) -> set[str]:
    return {line.split()[1] for line in told if line.startswith("call")}


def _given(told: list[str]) -> set[str]:
    return {line.split()[1] for line in told if line.startswith("item")}


def _check_delivered(told: list[str], count: int) -> None:
    """After its delivery no request was called again, and the last run delivered all of them."""
    given: set[str] = set()
    for line in told[:-1]:
        kind, _, index = line.partition(" ")
        if kind == "item":
            given.add(index)
        else:
            assert index not in given, f"{index} was asked again although it had been delivered"
    assert given == {str(n) for n in range(count)}


def test_two_programs_share_a_job(script: Script) -> None:
    """Both get all results, and each request is sent by one of them only."""
    both = [script.start(), script.start()]

    assert [process.wait(PATIENCE) for process in both] == [0, 0]

    told = script.told()
    assert told.count("done") == 2
    calls = Counter(line for line in told if line.startswith("call"))
    assert len(calls) == script.count
    assert set(calls.values()) == {1}


def test_a_second_program_takes_over_from_a_killed_one(script: Script) -> None:
    """At once, and not when its lease runs out."""
    first = script.start()
    script.wait_for(200, first)
    second = script.start()
    first.send_signal(signal.SIGKILL)
    first.wait()

    assert second.wait(30) == 0
    assert "done" in script.told()


def test_ctrl_c_leaves_what_was_finished(script: Script) -> None:
    """The program ends soon, and the next one asks no finished request again."""
    process = script.start()
    script.wait_for(400, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0

    kept, after = script.recorded(), len(script.told())
    assert script.start().wait(PATIENCE) == 0
    asked = {line.split()[1] for line in script.told()[after:] if line.startswith("call")}
    assert len(kept) > 100
    assert not asked & kept


@pytest.fixture
def misfits(tmp_path: Path) -> Iterator[Script]:
    """A program of 300 requests whose answers never fit."""
    made = Script(tmp_path, 300, "answer_amiss.py")
    yield made
    for process in made.running:
        process.kill()
        process.wait()


def test_discarded_answers_survive_a_kill(misfits: Script) -> None:
    """What was asked and is recorded is not asked again, and all of it is in the job's usage."""
    process = misfits.start()
    misfits.wait_for(400, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    recorded = Counter(row.rpartition("-")[2] for row in misfits.rows())
    after = len(misfits.told())

    assert misfits.start().wait(PATIENCE) == 0

    told = misfits.told()
    again = Counter(line.split()[1] for line in told[after:] if line.startswith("call"))
    assert any(count < ATTEMPTS for count in recorded.values())
    assert {n: again[n] for n in map(str, range(misfits.count))} == {
        n: ATTEMPTS - recorded[n] for n in map(str, range(misfits.count))
    }
    assert told[-1] == f"tokens {ATTEMPTS * misfits.count}"
