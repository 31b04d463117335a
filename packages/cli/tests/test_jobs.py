"""The commands about jobs that are there."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import AuthenticationFailed, ChatRequest, ChatResponse
from ai_batch.emulator import Timing
from ai_batch.openai import OpenAIProcessor

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell


@pytest.fixture
def finished(picky: Shell) -> Shell:
    """A shell with one finished job, of whose three requests one has failed."""
    picky.run(picky.write("in.txt", "one\nbad\nthree\n"), output="out.csv")
    return picky


def test_jobs_are_listed(finished: Shell) -> None:
    """A list has a line per job: who, what, how far, and from which file."""
    shown = finished("jobs")
    [row] = finished("jobs", "--json").json

    header, line = shown.out.splitlines()
    assert header.split() == ["job", "provider", "model", "state", "done", "failed", "age", "input"]
    assert line.split()[1:6] == ["openai", "gpt-4o-mini", "completed", "3/3", "1"]
    assert (row["completed"], row["failed"], row["input"]) == (2, 1, "in.txt")
    assert row["delivered_at"] is not None


def test_without_jobs_the_list_says_where_it_looked(shell: Shell) -> None:
    """An empty list names the home."""
    done = shell("jobs")

    assert (done.code, done.out) == (
        0,
        f"there are no jobs in {shell.environment['AI_BATCH_HOME']}\n",
    )


def test_a_job_is_shown_with_its_batches_and_causes(finished: Shell) -> None:
    """Show has a line per batch, and failures by cause with examples; no key is needed."""
    del finished.environment["OPENAI_API_KEY"]

    done = finished("show", "last")
    found = finished("show", "last", "--json").json

    assert re.search(r"0001 +collected +3 +2 +1 .*batch_", done.out)
    assert "1 failed with bad_word, such as\n  req_1: " in done.out
    [cause] = found["causes"]
    assert (cause["code"], cause["number"]) == ("bad_word", 1)
    assert cause["examples"][0]["id"] == "req_1"
    assert [batch["state"] for batch in found["list"]] == ["collected"]


def test_a_job_is_found_by_any_beginning(finished: Shell) -> None:
    """An id may be given in part; what fits nothing, or several, is told."""
    [row] = finished("jobs", "--json").json
    last = row["job"].rpartition("-")[2]

    for wanted in (row["job"], row["job"][:12], row["job"].removeprefix("job_")[:10], last[:4]):
        assert finished("results", wanted).code == 1
    missing = finished("show", "nothing")

    assert missing.code == 2
    assert "no job begins with 'nothing': `ai-batch jobs` lists" in missing.err


def test_several_jobs_that_fit_are_named(finished: Shell) -> None:
    """A beginning that fits two jobs is not enough."""
    finished.run(finished.write("more.txt", "four\n"))

    done = finished("show", "job_")

    assert done.code == 2
    assert "'job_' fits 2 jobs" in done.err


def test_results_can_be_written_once_more(finished: Shell) -> None:
    """Results need no network and no key, and come in any format."""
    before = (finished.folder / "out.csv").read_bytes()
    del finished.environment["OPENAI_API_KEY"]
    finished.environment["OPENAI_BASE_URL"] = "http://127.0.0.1:1/v1"

    again = finished("results", "last", "-o", "again.csv")
    shown = finished("results", "last")

    assert (again.code, shown.code) == (1, 1)
    assert (finished.folder / "again.csv").read_bytes() == before
    assert [line.get("content") for line in shown.lines] == ["one", None, "three"]


def test_what_failed_is_asked_again_as_a_new_job(finished: Shell) -> None:
    """Retry asks only what failed, under the same ids, and writes only that."""
    done = finished("retry", "last", "-o", "again.jsonl", "--yes")

    assert done.code == 1, done.err
    assert [row["id"] for row in finished.read("again.jsonl")] == ["req_1"]
    assert [row["total"] for row in finished("jobs", "--json").json] == [1, 3]
    assert finished.emulator.stats.items_executed == 4


def test_a_job_without_failures_has_nothing_to_retry(shell: Shell) -> None:
    """Retry of a job without failures says so."""
    shell.run(shell.write("in.txt", "one\n"))

    done = shell("retry", "last")

    assert done.code == 2
    assert "there are no requests" in done.err


def test_a_detached_job_is_resumed_where_it_was_to_be_written(
    make_shell: Callable[..., Shell],
) -> None:
    """--detach prints the id and leaves; resume waits, and writes to the output of then."""
    shell = make_shell(timing=Timing(in_progress=2.0))

    left = shell.run(shell.table(), "--prompt", "{text}", "--detach", output="out.csv")
    early = shell("results", "last")
    done = shell("resume", left.out.strip())

    assert left.code == 0, left.err
    assert re.fullmatch(r"job_\d{8}-\d{6}-[0-9a-f]{8}\n", left.out)
    assert f"ai-batch resume {left.out.strip()}" in left.err
    assert (early.code, early.out) == (6, "")
    assert done.code == 0, done.err
    assert [row["content"] for row in shell.read_csv()] == ["text 0", "text 1", "text 2"]
    assert shell.emulator.stats.batches_created == 1


@pytest.mark.parametrize(
    ("provider", "model", "options"),
    [
        ("vertex", "gemini-2.5-flash", ["-O", "gcs_uri=gs://bucket/folder"]),
        ("gemini", "gemini-2.5-flash", []),
        ("anthropic", "claude-haiku-4-5", ["-O", "betas=[]"]),
    ],
)
def test_every_provider_is_found_again(
    shell: Shell, provider: str, model: str, options: list[str]
) -> None:
    """Resume makes the processor of then, and results are read without a key or a project."""
    left = shell(
        "run", shell.write("in.txt", "one\n"), "-p", provider, "-m", model, "-o", "out.csv",
        "--max-tokens", "50", "-O", "poll_interval=0.1", "--detach", *options,
    )  # fmt: skip

    done = shell("resume", "last")
    for name in list(shell.environment):
        if "KEY" in name or name.startswith("GOOGLE"):
            del shell.environment[name]
    read = shell("results", "last")

    assert left.code == 0, left.err
    assert done.code == 0, done.err
    assert [row["content"] for row in shell.read_csv()] == ["one"]
    assert [row["content"] for row in read.lines] == ["one"]
    assert shell.emulator.stats.batches_created == 1


def test_a_job_is_watched_while_another_process_works(make_shell: Callable[..., Shell]) -> None:
    """Watch ends with the job, and does nothing to it."""
    shell = make_shell(timing=Timing(in_progress=4.0))
    worker = shell.start(
        "run", shell.table(), "--prompt", "{text}", "-p", "openai", "-m", "gpt-4o-mini",
        "-o", "out.csv", "-O", "poll_interval=0.1",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    shell.wait_for(lambda: shell.emulator.stats.batches_created)

    done = shell("watch", "last", "--json")

    assert worker.wait(60) == 0
    assert done.code == 0, done.err
    assert done.lines[-1]["completed"] == 3
    assert shell.emulator.stats.batches_created == 1


def test_a_job_is_cancelled_at_the_provider(make_shell: Callable[..., Shell]) -> None:
    """Cancel stops the batch, and the job's state says so."""
    shell = make_shell(timing=Timing(in_progress=3600.0))
    shell.run(shell.table(), "--prompt", "{text}", "--detach")

    done = shell("cancel", "last", "--yes")
    again = shell("cancel", "last", "--yes")

    assert done.code == 0, done.err
    assert shell.emulator.stats.batches_by_status == {"cancelled": 1}
    assert [row["state"] for row in shell("jobs", "--json").json] == ["cancelled"]
    assert "is cancelled already" in again.err


def test_an_estimate_sends_nothing_and_needs_no_key(shell: Shell) -> None:
    """Estimate counts and prices without a key, a home, or a job."""
    del shell.environment["OPENAI_API_KEY"], shell.environment["OPENAI_BASE_URL"]
    fixed = ("estimate", shell.table(), "--prompt", "{text}", "-p", "openai", "-m", "gpt-4o-mini")

    done = shell(*fixed, "--max-tokens", "1000")
    found = shell(*fixed, "--max-tokens", "1000", "--json").json

    assert done.code == 0, done.err
    assert "3 requests, 1 batch" in done.out
    assert (found["requests"], found["batches"], found["output_tokens"]) == (3, 1, 3000)
    assert found["live_cost"] == pytest.approx(2 * found["batch_cost"])
    assert shell("jobs", "--json").json == []


def test_rows_are_validated_with_and_without_a_provider(shell: Shell) -> None:
    """Validate finds what holds for all providers, and what one of them refuses."""
    good = shell.table()
    twice = shell.write("twice.jsonl", '{"id": "a", "prompt": "x"}\n{"id": "a", "prompt": "y"}\n')
    texts = shell.write("texts.jsonl", '{"id": "e", "texts": ["x"]}\n')

    assert shell("validate", good, "--prompt", "{text}").out == "in.csv: 3 requests, all in order\n"
    double = shell("validate", twice)
    refused = shell("validate", texts, "-p", "anthropic", "-m", "claude-haiku-4-5")

    assert (double.code, refused.code) == (2, 2)
    assert "duplicate id, first used by the request at index 0" in double.err
    assert "request 'e' (index 0)" in refused.err


def test_old_jobs_are_pruned_after_asking(finished: Shell) -> None:
    """Prune deletes delivered jobs with their folders, but only when told that it may."""
    jobs = finished.folder.parent / "home" / "jobs"
    (jobs / "job_20200101-000000-00000000").mkdir()

    young = finished("prune", "--yes")
    asked = finished("prune", "--older-than", "0")
    kept = finished("jobs", "--json").json
    done = finished("prune", "--older-than", "0", "--yes")

    assert "0 jobs" in young.out
    assert (asked.code, len(kept)) == (5, 1)
    assert "--yes deletes them" in asked.err
    assert done.code == 0, done.err
    assert (finished("jobs", "--json").json, list(jobs.iterdir())) == ([], [])


def test_results_that_nobody_has_are_not_pruned(make_shell: Callable[..., Shell]) -> None:
    """A job that runs, or whose results were never written, stays."""
    shell = make_shell(timing=Timing(in_progress=3600.0))
    shell.run(shell.table(), "--prompt", "{text}", "--detach")
    shell("cancel", "last", "--yes")

    done = shell("prune", "--older-than", "0", "--yes")

    assert "0 jobs" in done.out
    assert len(shell("jobs", "--json").json) == 1
    assert "1 job" in shell("prune", "--older-than", "0", "--yes", "--undelivered").out


def test_providers_are_listed_with_their_keys(shell: Shell) -> None:
    """Providers says what is installed and which variables hold keys, but no key."""
    done = shell("providers")
    found = {row["name"]: row for row in shell("providers", "--json").json}

    assert found["openai"] == {
        "name": "openai",
        "installed": True,
        "keys": {"OPENAI_API_KEY": True},
        "install": None,
    }
    assert "emulated" not in done.out
    assert "OPENAI_API_KEY is set" in done.out


def test_the_emulator_starts_with_its_own_options(shell: Shell) -> None:
    """`ai-batch emulator` hands its options on and answers until it is stopped."""
    process = shell.start("emulator", "--api-key", "sk-mine")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        process.terminate()
        process.communicate()

    assert re.fullmatch(r"ai-batch emulator: http://127\.0\.0\.1:\d+/v1\n", line)
    assert process.returncode == 0


def test_jobs_of_programs_are_listed_and_read(shell: Shell) -> None:
    """A job that a program has made is a job like any other."""
    home = shell.environment["AI_BATCH_HOME"]
    with OpenAIProcessor(
        model="gpt-4o-mini", base_url=shell.emulator.openai_url, api_key="any", home=home
    ) as processor:
        processor.process(["hello"])

    assert [line["content"] for line in shell("results", "last").lines] == ["hello"]
    assert shell("show", "last").code == 0


def live_job(shell: Shell, *, finished: bool) -> None:
    """A job of live calls, as a program makes one; its ledger is in the shell's home."""

    def answer(request: ChatRequest) -> ChatResponse:
        if "bad" in str(request.messages) or not finished:
            raise AuthenticationFailed("no")
        return ChatResponse(content="fine")

    home = shell.environment["AI_BATCH_HOME"]
    processor = ConcurrentProcessor(chat=answer, home=home, max_attempts=1)
    with processor, contextlib.suppress(AuthenticationFailed):
        processor.process(["good"] if finished else ["good", "bad"])


def test_jobs_of_live_calls_are_shown_and_read(shell: Shell) -> None:
    """They are in the same ledger; only what needs their program's client is left to it."""
    live_job(shell, finished=True)

    shown, found = shell("show", "last"), shell("results", "last")
    resumed, retried = shell("resume", "last"), shell("retry", "last")

    assert (shown.code, found.code, resumed.code) == (0, 0, 0), shown.err + found.err + resumed.err
    assert re.search(r"0001 +collected +1 +1 +0 ", shown.out)
    assert [line["content"] for line in found.lines] == ["fine"]
    assert retried.code == 2
    assert "a job of live calls: only its program can ask again in it" in retried.err


def test_a_job_of_live_calls_is_left_to_its_program(shell: Shell) -> None:
    """Resume and results of one that is not finished say who can go on; cancel ends it."""
    live_job(shell, finished=False)

    assert shell("show", "last", "--json").json["state"] == "running"
    resumed, early = shell("resume", "last"), shell("results", "last", "-o", "out.csv", "--json")
    cancelled = shell("cancel", "last", "--yes", "--json")

    assert resumed.code == 2
    assert "only its program can go on with it, since it has the client" in resumed.err
    assert (early.code, early.json["exit_code"]) == (6, 6)
    assert "run its program again, which has the client" in early.json["message"]
    assert (cancelled.code, cancelled.json["type"]) == (0, "cancelling")
    assert [row["state"] for row in shell("jobs", "--json").json] == ["cancelling"]


def test_each_command_speaks_to_machines(finished: Shell) -> None:
    """--json gives one document, or one object per line, on standard output and nothing else."""
    source = finished.write("more.txt", "four\n")
    fixed = ("-p", "openai", "-m", "gpt-4o-mini", "--json")

    assert finished("jobs", "--json").json[0]["state"] == "completed"
    assert finished("show", "last", "--json").json["failed"] == 1
    assert finished("results", "last", "-o", "again.csv", "--json").json["completed"] == 2
    assert finished("cancel", "last", "--json").json["type"] == "completed"
    assert finished("watch", "last", "--json").lines[-1]["completed"] == 2
    assert finished("resume", "last", "--json").lines[-1]["type"] == "complete"
    assert finished("retry", "last", "-o", "retry.csv", "--json").lines[-1]["failed"] == 1
    assert finished("estimate", source, *fixed).json["requests"] == 1
    assert finished("validate", source, *fixed).json == {"valid": True, "requests": 1}
    assert finished("prune", "--json").json["deleted"] is False
    assert finished("providers", "--json").json[0]["name"] == "anthropic"
    done = finished("run", source, *fixed, "-o", "new.csv", "-O", "poll_interval=0.1")
    assert done.lines[-1]["type"] == "complete"


def test_a_job_whose_folder_is_gone_is_told(finished: Shell) -> None:
    """Deleted results end in a message, with the exit code for records."""
    shutil.rmtree(finished.folder.parent / "home" / "jobs")

    done = finished("results", "last")

    assert done.code == 4
    assert "is gone; its results can't be read" in done.err
    assert json.loads(finished("jobs", "--json").out)[0]["input"] is None
