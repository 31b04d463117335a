"""When a job counts as delivered: programs that end, fail, are killed, or ask again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ai_batch.core import Ledger, LedgerError
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.delivery import confirm, read_to_end

PROGRAM = """
import os, signal, sys, time
from ai_batch.core import NativeProcessor, Options
from ai_batch.core.testing import FakeProvider, FakeVendor, Fate

vendor = FakeVendor(fate=lambda batch: Fate(seconds=0.0))
vendor._serial = time.time_ns()  # A vendor gives no id twice.

def processor(**options):
    options = Options(home={home!r}, poll_interval=0, **options)
    return NativeProcessor(lambda: FakeProvider(vendor, clock=time.time), options)

def ask(**options):
    mine = processor(**options)
    response = mine.process(["a", "b"])
    assert len(response) == 2
    print(response.job_id)
    return response

{body}
"""


def run(home: Path, body: str) -> tuple[int, list[str]]:
    """Run a program; its exit code, and the ids of the jobs that it was given."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(home=str(home), body=body)],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    expected = "Error" in body or "kill" in body or "Interrupt" in body
    assert expected or not done.stderr, done.stderr
    return done.returncode, done.stdout.split()


def delivered(home: Path) -> list[bool]:
    """Which jobs are delivered, the oldest first."""
    ledger = Ledger(SQLiteDatabase(home / "ledger.db"))
    found = [record.delivered_at is not None for record in reversed(ledger.jobs())]
    ledger.close()
    return found


@pytest.mark.parametrize(
    ("body", "marked"),
    [
        ("list(ask())", True),
        ("list(ask()); sys.exit(3)", True),
        ("with processor() as p: list(p.process(['a', 'b']))", True),
        ("list(processor().submit(['a', 'b']).results())", True),
        ("list(processor().stream(['a', 'b']))", True),
        ("ask()", False),
        ("next(iter(ask()))", False),
        ("ask()[:]", False),
        ("list(ask()); raise ValueError('Error')", False),
        ("list(ask()); raise KeyboardInterrupt", False),
        ("list(ask()); os.kill(os.getpid(), signal.SIGKILL)", False),
    ],
)
def test_results_are_delivered_when_they_were_read_and_the_program_ended_well(
    tmp_path: Path, body: str, marked: bool
) -> None:
    """A program that fails or is killed while it works on its results gets them again."""
    run(tmp_path, body)

    assert delivered(tmp_path) == [marked]


def test_a_program_that_failed_gets_its_results_again(tmp_path: Path) -> None:
    """For nothing; the next one after a good end pays anew."""
    _, failed = run(tmp_path, "list(ask()); raise ValueError('Error')")
    _, again = run(tmp_path, "list(ask())")
    _, anew = run(tmp_path, "list(ask())")

    assert failed == again
    assert anew != again
    assert delivered(tmp_path) == [True, True]


def test_asking_the_same_again_in_one_program_asks_anew(tmp_path: Path) -> None:
    """Once the first answers were read; until then it is the same job."""
    _, (first, unread, read) = run(tmp_path, "ask(); list(ask()); ask()")

    assert first == unread
    assert read != first
    assert delivered(tmp_path) == [True, False]


def test_reuse_gives_delivered_results_again(tmp_path: Path) -> None:
    """Who wants yesterday's answers says so."""
    _, (first,) = run(tmp_path, "list(ask())")
    _, (second,) = run(tmp_path, "list(ask(reuse=True))")

    assert first == second
    assert delivered(tmp_path) == [True]


def test_a_closed_processor_may_be_followed_by_another_one(tmp_path: Path) -> None:
    """Two with-blocks of one program are two askings, and the ledger of the first is closed."""
    body = (
        "for _ in range(2):\n"
        "    with processor() as p:\n"
        "        response = p.process(['a', 'b'])\n"
        "        list(response)\n"
        "        print(response.job_id)"
    )

    code, ids = run(tmp_path, body)

    assert (code, len(set(ids))) == (0, 2)
    assert delivered(tmp_path) == [True, True]


def test_a_home_that_is_gone_at_the_end_is_no_error(tmp_path: Path) -> None:
    """As temporary folders are."""
    body = "import shutil; list(ask()); shutil.rmtree({!r})".format(str(tmp_path / "home"))

    code, _ = run(tmp_path / "home", body)

    assert code == 0


def test_two_homes_may_have_jobs_of_the_same_name(tmp_path: Path) -> None:
    """What was read of one home's job says nothing of the other's."""
    one, other = (Ledger(SQLiteDatabase(tmp_path / name)) for name in ("one.db", "other.db"))
    read_to_end(one, "job_1")

    assert not confirm(other.store_id, "job_1")
    with pytest.raises(LedgerError, match="job_1"):
        confirm(one.store_id, "job_1")  # It is this one's, which has no such job any more.
    one.close()
    other.close()
