"""Stores that earlier versions have left: opened, brought up to date, and gone on with."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import BatchResponse, Ledger, LedgerError, NativeProcessor, Result
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.migrations import MIGRATIONS
from ai_batch.core.records import JobRecord

ROOT = Path(__file__).parents[3]
STORES = ROOT / "tests/stores"
SCHEMAS = sorted(path.name for path in STORES.iterdir())
STATES = (
    *("planned", "reserved", "uploaded", "intent", "created", "submitted", "ended"),
    *("collected", "failed", "cancelled"),
)

LATER = 10_000.0
"""Seconds after which whoever wrote a store has certainly lost its leases."""


def tool() -> ModuleType:
    """What the stores were made with."""
    path = ROOT / "tools/make_golden_store.py"
    spec = importlib.util.spec_from_file_location("make_golden_store", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = tool()


def opened(tmp_path: Path, schema: str) -> Bench:
    """A copy of a store, and the vendor as it was then."""
    store = STORES / schema
    shutil.copytree(store / "home", tmp_path / "home")
    held = json.loads((store / "vendor.json").read_text("ascii"))
    bench = Bench(tmp_path / "home", MAKER.load_vendor(held["vendor"]))
    bench.elapsed = held["elapsed"] + LATER
    return bench


def of_state(records: list[JobRecord], state: str) -> str:
    """The job that was made for a state: they were made one after the other."""
    place: int = MAKER.STATES.index(state)
    return sorted(record.id for record in records)[place]


def expected(state: str, number: int) -> str | None:
    """What one of a job's requests is answered; None where it has an error."""
    texts = ["one", "two", None, "four", "five", "six"]
    if (state == "failed" and number == 0) or texts[number] is None:
        return None
    return f"answer to {state} {texts[number]} #1"


def answered(result: Result) -> str | None:
    """The answer's text, or the number of the answer that a vector holds."""
    if result.embedding is not None:
        vector = result.embedding.vectors[0]
        return f"answer to {result.request.texts[0]} #{vector[1]:.0f}"  # type: ignore[union-attr]
    return None if result.chat is None else result.chat.content


async def resume(processor: NativeProcessor, state: str) -> list[Result]:
    """Run the script of a job again, and read what it comes to."""
    job = processor.attach(of_state(processor.jobs(), state))
    response: BatchResponse = await job.ajoin()
    return list(response)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("state", [state for state in STATES if state != "cancelled"])
def test_a_job_of_an_earlier_version_is_gone_on_with(
    tmp_path: Path, schema: str, state: str
) -> None:
    """From every state: each request has its one answer, and none was paid for twice."""
    bench = opened(tmp_path, schema)

    results = bench.run(lambda processor: resume(processor, state))

    assert [result.id for result in results] == [r.id for r in MAKER.requests_of(state)]
    assert [answered(result) for result in results] == [expected(state, n) for n in range(6)]
    times = {text: n for text, n in bench.vendor.executed.items() if text.startswith(state)}
    assert set(times.values()) == {1}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_same_requests_find_the_job_of_an_earlier_version(tmp_path: Path, schema: str) -> None:
    """The fingerprint of a job has not changed: nothing is sent that was answered already."""
    bench = opened(tmp_path, schema)
    before = dict(bench.vendor.executed)

    response = bench.run(lambda processor: processor.aprocess(MAKER.requests_of("collected")))

    assert (response.completed, response.failed) == (5, 1)
    assert dict(bench.vendor.executed) == before


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_cancelled_job_of_an_earlier_version_is_read(tmp_path: Path, schema: str) -> None:
    """Its requests have the error that they had."""
    bench = opened(tmp_path, schema)

    results = bench.run(lambda processor: resume(processor, "cancelled"))

    codes = [result.error.code if result.error else None for result in results]
    assert len(codes) == 6
    assert set(codes) <= {"batch_cancelled", "cancelled", None}


def test_there_is_a_store_of_every_schema() -> None:
    """Who adds a step makes a store with tools/make_golden_store.py, before the next release."""
    assert sorted(SCHEMAS) == [f"schema-{number + 1}" for number in range(len(MIGRATIONS))]


def version(path: Path) -> str:
    """The schema of a ledger."""
    connection = sqlite3.connect(path)
    try:
        return str(
            connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()[0]
        )
    finally:
        connection.close()


@pytest.fixture
def old_ledger(tmp_path: Path) -> Path:
    """A ledger of the first schema."""
    path = tmp_path / "ledger.db"
    shutil.copy(STORES / "schema-1/home/ledger.db", path)
    return path


KILLED = """
import os, sys
from pathlib import Path
from ai_batch.core import Ledger
from ai_batch.core import database
from ai_batch.core.database import SQLiteDatabase

calls = int(sys.argv[2])
run = database._SQLiteTransaction.execute

def execute(self, sql, parameters=()):
    global calls
    calls -= 1
    if calls == 0:
        # As in a kill, what SQLite holds in memory is partly on disk already.
        self._connection.execute("PRAGMA cache_spill = 1")
        os._exit(9)
    return run(self, sql, parameters)

database._SQLiteTransaction.execute = execute
Ledger(SQLiteDatabase(Path(sys.argv[1]))).close()
"""


def test_a_process_that_is_killed_in_a_migration_leaves_the_old_ledger(old_ledger: Path) -> None:
    """At any statement: the next one begins anew, and all jobs are there."""
    for calls in range(1, 100):
        copy = old_ledger.with_name(f"{calls}.db")
        shutil.copy(old_ledger, copy)
        arguments = [sys.executable, "-c", KILLED, str(copy), str(calls)]
        ended = subprocess.run(arguments, check=False).returncode
        left = version(copy)

        ledger = Ledger(SQLiteDatabase(copy))
        jobs = ledger.jobs()
        ledger.close()

        assert version(copy) == str(len(MIGRATIONS))
        assert len(jobs) == len(MAKER.STATES)
        if ended == 0:
            break
        assert left == "1"
    else:
        pytest.fail("the migration has not come to its end")


def test_processes_that_migrate_at_once_do_it_once(old_ledger: Path) -> None:
    """The second one waits, and finds nothing to do."""
    code = (
        "import sys; from pathlib import Path; from ai_batch.core import Ledger;"
        "from ai_batch.core.database import SQLiteDatabase; sys.stdin.read();"
        "print(len(Ledger(SQLiteDatabase(Path(sys.argv[1]))).jobs()))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(old_ledger)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None

    seen = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert seen == [str(len(MAKER.STATES))] * 3
    assert version(old_ledger) == str(len(MIGRATIONS))


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The message says what to do, and the file is as it was."""
    path = tmp_path / "ledger.db"
    shutil.copy(STORES / SCHEMAS[-1] / "home/ledger.db", path)
    change(path, "UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    before = path.read_bytes()
    database = SQLiteDatabase(path)

    with pytest.raises(LedgerError, match=r"newer version .*pip install -U ai-batch-core"):
        Ledger(database)

    database.close()
    assert path.read_bytes() == before


def change(path: Path, *statements: Any) -> None:
    """Do something to a ledger behind its back."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
