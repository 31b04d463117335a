"""The three steps, which need no framework, and the manifest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from examples.recipes import steps

from ai_batch.core import AuthenticationFailed
from ai_batch.emulator import Emulator, Fault

RECIPES = Path(steps.__file__).parent


def test_plan_work_collect(emulator: Emulator) -> None:
    """Nothing is sent by the plan, nothing twice by the work, and all is there to be collected."""
    job = steps.plan(["one", "two"])
    assert emulator.stats.batches_created == 0

    steps.work(job)

    assert list(steps.collect(job)) == [
        {"id": "req_0", "answer": "one", "error": None},
        {"id": "req_1", "answer": "two", "error": None},
    ]
    assert emulator.stats.items_billed == 2


def test_a_task_that_is_repeated_finds_its_job(emulator: Emulator) -> None:
    """After each step, also when all has been collected; nothing is paid twice."""
    job = steps.plan(["one", "two"], "Monday")
    assert steps.plan(["one", "two"], "Monday") == job
    steps.work(job)
    assert steps.plan(["one", "two"], "Monday") == job
    steps.work(job)
    assert len(list(steps.collect(job))) == 2
    # As another process does, whose predecessor has collected all and ended.
    command = "from examples.recipes import steps; print(steps.plan(['one', 'two'], 'Monday'))"
    collect = f"from examples.recipes import steps; list(steps.collect({job!r}))"
    subprocess.run([sys.executable, "-c", collect], check=True)
    again = subprocess.check_output([sys.executable, "-c", command], text=True)

    assert again.strip() == job
    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (1, 2)
    assert steps.plan(["one", "two"], "Tuesday") != job


def test_an_error_says_what_to_mend_and_the_next_try_goes_on(emulator: Emulator) -> None:
    """It is one of ours, which has no key in it wherever it is sent."""
    job = steps.plan(["one"])
    emulator.inject(Fault(status=401))

    with pytest.raises(AuthenticationFailed) as caught:
        steps.work(job)

    assert caught.value.__cause__ is None
    emulator.clear_faults()
    steps.work(job)
    assert [row["answer"] for row in steps.collect(job)] == ["one"]


def test_the_manifest_starts_a_worker() -> None:
    """With options that the command has, and all that a worker has to be told."""
    text = (RECIPES / "kubernetes.yaml").read_text("utf-8")
    arguments = re.search(r"args: \[(.*)\]", text)
    assert arguments is not None
    command = [one.strip(' "') for one in arguments[1].split(",")]
    assert command[:2] == ["ai-batch", "work"]

    shown = subprocess.check_output(
        [sys.executable, "-m", "ai_batch.cli", *command[1:], "--help"], text=True
    )

    assert "--max-jobs" in shown
    for name in ("OPENAI_API_KEY", "AI_BATCH_LEDGER", "AI_BATCH_HOME", "ReadWriteMany"):
        assert name in text
