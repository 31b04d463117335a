"""Workers in processes of their own: jobs that others planned come to their ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_batch.core import ChatRequest, ChatResponse, Ledger
from ai_batch.core.database import SQLiteDatabase
from ai_batch.emulator import Fault, Timing

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Done, Shell

PLAN = """
import sys
from ai_batch.{module} import {name}
processor = {name}(model="{model}")
for number in range(int(sys.argv[2])):
    texts = [f"{{sys.argv[1]}} {{number}}.{{row}}" for row in range(int(sys.argv[3]))]
    print(processor.plan(texts).id)
"""

COLLECT = """
import sys
from ai_batch.openai import OpenAIProcessor
processor = OpenAIProcessor(model="gpt-4o-mini")
for job_id in sys.argv[1:]:
    for result in processor.attach(job_id).results():
        print(result.chat.content)
"""

OPENAI = PLAN.format(module="openai", name="OpenAIProcessor", model="gpt-4o-mini")
ANTHROPIC = PLAN.format(module="anthropic", name="AnthropicProcessor", model="claude-haiku-4-5")

QUICKLY = ("-O", "poll_interval=0.2", "-O", "settle_wait=5")
"""A create that was cut by a kill is looked for, and that for 15 minutes by default."""


def script(shell: Shell, code: str, *arguments: object) -> list[str]:
    """The lines that a program of the user's prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.check_output(
        command, env=shell.environment, cwd=shell.folder, text=True
    ).splitlines()


def plan(shell: Shell, name: str = "text", jobs: int = 1, rows: int = 3) -> list[str]:
    """The ids of jobs that a program has planned, and of which nothing was sent."""
    return script(shell, OPENAI, name, jobs, rows)


def texts(name: str, jobs: int, rows: int) -> list[str]:
    """What is to be collected of these jobs."""
    return [f"{name} {job}.{row}" for job in range(jobs) for row in range(rows)]


def work(shell: Shell, *arguments: str) -> subprocess.Popen[str]:
    """Start a worker."""
    return shell.start("work", *QUICKLY, *arguments, stdin=subprocess.DEVNULL)


def ended(process: subprocess.Popen[str]) -> str:
    """What a worker has written, once it has ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
    return out or err


def states(shell: Shell) -> set[str]:
    """The states in which jobs are."""
    return {row["state"] for row in shell("jobs", "--json").json}


def leases(shell: Shell) -> set[str]:
    """Who holds anything of any job."""
    ledger = Ledger(SQLiteDatabase(Path(shell.environment["AI_BATCH_HOME"]) / "ledger.db"))
    found = set[str]().union(*(ledger.owners(job.id) for job in ledger.jobs()))
    ledger.close()
    return found


def test_planned_here_worked_on_there_collected_elsewhere(
    make_shell: Callable[..., Shell],
) -> None:
    """Two workers end all jobs of a third process; a fourth reads them, each answer paid once."""
    shell = make_shell(timing=Timing(in_progress=1.0))
    jobs = plan(shell, jobs=6, rows=50)
    assert shell.emulator.stats.batches_created == 0

    workers = [work(shell, "--drain") for _ in range(2)]
    told = [ended(worker) for worker in workers]

    assert all("jobs ended" in one for one in told)
    rows = shell("jobs", "--json").json
    assert {(row["state"], row["delivered_at"]) for row in rows} == {("completed", None)}
    assert script(shell, COLLECT, *jobs) == texts("text", 6, 50)
    stats = shell.emulator.stats
    assert (stats.batches_created, stats.items_billed) == (6, 300)
    assert all(row["delivered_at"] for row in shell("jobs", "--json").json)


def test_a_worker_that_is_killed_is_replaced_by_the_other(
    make_shell: Callable[..., Shell],
) -> None:
    """After SIGKILL in the middle of things, the other one ends all of it, and nothing twice."""
    shell = make_shell(timing=Timing(in_progress=3.0))
    jobs = plan(shell, jobs=5, rows=200)
    first, second = work(shell, "--drain"), work(shell, "--drain")
    shell.wait_for(lambda: shell.emulator.stats.batches_created >= 2)

    first.send_signal(signal.SIGKILL)
    first.communicate()
    ended(second)

    assert states(shell) == {"completed"}
    assert script(shell, COLLECT, *jobs) == texts("text", 5, 200)
    stats = shell.emulator.stats
    assert (stats.batches_created, stats.items_billed) == (5, 1000)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_worker_that_is_stopped_lets_go_quickly(
    make_shell: Callable[..., Shell], number: int, code: int
) -> None:
    """All stays on record without a lease, and the next worker goes on with the same batches."""
    shell = make_shell(timing=Timing(in_progress=3600.0))
    plan(shell, jobs=3)
    worker = work(shell)
    shell.wait_for(lambda: shell.emulator.stats.batches_created == 3)

    began = time.monotonic()
    worker.send_signal(number)
    _, err = worker.communicate(timeout=60)

    assert (worker.returncode, "Traceback" in err) == (code, False), err
    assert time.monotonic() - began < 15
    assert "0 jobs ended; stopped, and all that is open stays on record" in err
    assert (states(shell), leases(shell)) == ({"running"}, set())
    shell.emulator.advance(hours=2)
    ended(work(shell, "--drain"))
    assert states(shell) == {"completed"}
    assert (shell.emulator.stats.batches_created, shell.emulator.stats.items_billed) == (3, 9)


def test_a_stop_in_the_middle_of_a_create_call_waits_for_its_answer(shell: Shell) -> None:
    """The batch is on record, so that nobody has to find out whether there is one."""
    shell.emulator.inject(Fault(route="batches.create", nth=1, delay_after=2.0))
    [job] = plan(shell)
    worker = work(shell)
    shell.wait_for(lambda: shell.emulator.stats.batches_created)

    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=60)

    assert shell("show", job, "--json").json["in_flight"] == 3
    ended(work(shell, "--drain"))
    assert shell.emulator.stats.batches_created == 1


def test_a_job_that_is_planned_while_a_worker_runs_is_taken_up(shell: Shell) -> None:
    """Its end is told on standard output, for machines, before the worker is stopped."""
    worker = work(shell, "--json")
    assert worker.stdout is not None
    [job] = plan(shell)

    lines = [json.loads(worker.stdout.readline()) for _ in range(2)]
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)

    assert [(line["type"], line["job"], line["total"]) for line in lines] == [
        ("taken", job, 3),
        ("ended", job, 3),
    ]
    assert (lines[1]["completed"], lines[1]["failed"]) == (3, 0)
    last = json.loads(out.splitlines()[-1])
    assert last == {"type": "stopped", "ended": 1, "left": []}
    assert worker.returncode == 0, err


def test_a_wrong_key_for_one_of_two_jobs(shell: Shell) -> None:
    """The other job ends; the code and the last line say what is left, and why."""
    shell.emulator.inject(Fault(vendor="anthropic", status=401))
    [refused] = script(shell, ANTHROPIC, "text", 1, 3)
    [good] = plan(shell)

    done = shell("work", "--drain", "--json", *QUICKLY)

    assert done.code == 3, done.err
    assert [line["job"] for line in done.lines if line["type"] == "ended"] == [good]
    [left] = [line for line in done.lines if line["type"] == "left"]
    assert (left["job"], left["provider"], left["retry_after"]) == (refused, "anthropic", 60)
    assert done.lines[-1]["type"] == "drained"
    assert [line["job"] for line in done.lines[-1]["left"]] == [refused]
    assert shell.environment["ANTHROPIC_API_KEY"] not in done.err + done.out

    shell.emulator.clear_faults()
    assert shell("work", "--drain", *QUICKLY).code == 0
    assert shell.emulator.stats.items_billed == 6


def test_a_key_that_is_not_there(shell: Shell) -> None:
    """Keys come from the worker's own environment: the vendor is not asked without one."""
    del shell.environment["OPENAI_BASE_URL"]
    plan(shell)
    del shell.environment["OPENAI_API_KEY"]

    done = shell("work", "--drain", *QUICKLY)

    assert "there is no API key: set OPENAI_API_KEY" in refused(done)


def test_a_job_of_live_calls_is_its_programs(shell: Shell) -> None:
    """The worker says so, once, and works on the others."""
    import asyncio

    from ai_batch.concurrent import ConcurrentProcessor

    async def answer(_: ChatRequest) -> ChatResponse:
        raise AssertionError("nothing is asked by a plan")

    with ConcurrentProcessor(chat=answer, home=shell.environment["AI_BATCH_HOME"]) as processor:
        live = asyncio.run(processor.aplan(["one"])).id
    [batch] = plan(shell)

    done = shell("work", "--drain", *QUICKLY)

    assert done.code == 6
    assert f"ended {batch}" in done.err
    [line] = [line for line in done.err.splitlines() if "skipped" in line]
    assert live in line
    assert "only its program works on it, which has the client" in line


def test_only_the_jobs_that_were_named(shell: Shell) -> None:
    """By a piece of the id, as anywhere; the worker ends with them."""
    first, second = plan(shell, jobs=2)

    done = shell("work", "--job", second.removeprefix("job_"), *QUICKLY)

    assert done.code == 0, done.err
    found = {row["job"]: row["state"] for row in shell("jobs", "--json").json}
    assert found == {first: "running", second: "completed"}


def test_nothing_to_do(shell: Shell) -> None:
    """Draining an empty home is done at once, and well."""
    done = shell("work", "--drain")

    assert (done.code, done.out) == (0, "")
    assert "0 jobs ended" in done.err


def refused(done: Done) -> str:
    """What a command that was called wrongly says."""
    assert done.code == 2, done
    return done.err


def test_what_can_not_be_meant(shell: Shell) -> None:
    """A key on the command line, a job that is not there, no places at all."""
    assert "keys come from the environment" in refused(shell("work", "-O", "api_key=x"))
    assert "no jobs" in refused(shell("work", "--job", "job_9"))
    assert "--max-jobs" in refused(shell("work", "--max-jobs", "0"))


def test_an_option_that_a_provider_does_not_have(shell: Shell) -> None:
    """Its jobs are left alone, with the reason."""
    plan(shell)

    done = shell("work", "--drain", "-O", "poll_intervall=1")

    assert "has no option 'poll_intervall'; did you mean poll_interval" in refused(done)


def test_a_ledger_beside_the_home(shell: Shell) -> None:
    """Every command finds the jobs of a ledger that is named, by option or by variable."""
    shell.environment["AI_BATCH_LEDGER"] = str(shell.folder / "shared.db")
    [job] = plan(shell)

    del shell.environment["AI_BATCH_LEDGER"]
    named = ("--ledger", "shared.db")
    # Its folder is in the home, but not a word of it in the home's own ledger.
    assert shell("work", "--drain", *QUICKLY).code == 4
    assert shell("work", "--drain", *QUICKLY, *named).code == 0
    assert [row["job"] for row in shell("jobs", "--json", *named).json] == [job]
    assert shell("show", job, *named).code == 0
    done = shell("results", job, "-o", "out.jsonl", *named)
    assert (done.code, len(shell.read())) == (0, 3)
    assert shell("prune", "--yes", "--older-than", "0", *named).code == 0
    assert shell("jobs", "--json", *named).json == []


def test_a_run_with_a_ledger_beside_the_home(shell: Shell) -> None:
    """A run and its resume agree on where the job is; an estimate makes no ledger at all."""
    shell.environment["AI_BATCH_LEDGER"] = str(shell.folder / "shared.db")
    done = shell("estimate", shell.table(), "--prompt", "Say {text}", "-p", "openai", "-m", "gpt-5")
    assert done.code == 0, done.err
    assert not (shell.folder / "shared.db").exists()

    assert shell.run(shell.table(), "--prompt", "Say {text}", "--detach").code == 0
    assert shell("resume", "last").code == 0
    assert len(shell.read()) == 3
    assert not (Path(shell.environment["AI_BATCH_HOME"]) / "ledger.db").exists()


def test_a_ledger_that_nothing_installed_can_open(shell: Shell) -> None:
    """The password in its address is in no message."""
    done = shell("work", "--ledger", "nodatabase://me:verysecret@host/db")

    assert "no ledger can be opened by nodatabase://" in refused(done)
    assert "verysecret" not in done.err
