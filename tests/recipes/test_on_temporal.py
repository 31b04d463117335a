"""Temporal's activities in its own test environment; workflows need its server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from examples.recipes import on_temporal, steps
from temporalio import workflow
from temporalio.testing import ActivityEnvironment

from ai_batch.core import AuthenticationFailed
from ai_batch.emulator import Emulator, Fault, Timing


@pytest.fixture
def environment() -> ActivityEnvironment:
    """Where an activity runs without a server."""
    return ActivityEnvironment()


async def test_activities_answer_a_file(
    environment: ActivityEnvironment,
    emulator: Emulator,
    requests: str,
    tmp_path: Path,
    answers: Callable[[Path], list[str]],
) -> None:
    """Each of them may run twice, as Temporal promises no less."""
    beats: list[object] = []
    environment.on_heartbeat = lambda *given: beats.append(given)
    output = tmp_path / "answers.jsonl"
    for _ in range(2):
        job = await asyncio.to_thread(environment.run, on_temporal.plan, requests, "run-1")
        await environment.run(on_temporal.work, job)
        count = await asyncio.to_thread(environment.run, on_temporal.collect, job, str(output))
        assert count == 3

    assert beats[0] == (job,)
    assert answers(output) == [f"question {n}" for n in range(3)]
    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (1, 3)


async def test_an_activity_that_is_cancelled_lets_go(
    environment: ActivityEnvironment,
    make_emulator: Callable[..., Emulator],
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is at the provider goes on, and the next try ends it."""
    slow = make_emulator(timing=Timing(in_progress=3600))
    monkeypatch.setenv("OPENAI_BASE_URL", slow.openai_url)
    job = await asyncio.to_thread(steps.plan, ["one"])
    working = asyncio.create_task(environment.run(on_temporal.work, job))
    while not slow.stats.batches_created:  # noqa: ASYNC110 - it happens in a server's thread
        await asyncio.sleep(0.1)

    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    slow.advance(hours=2)
    await ActivityEnvironment().run(on_temporal.work, job)
    assert slow.stats.batches_created == 1
    assert emulator.stats.batches_created == 0


async def test_a_wrong_key_fails_the_activity(
    environment: ActivityEnvironment, emulator: Emulator
) -> None:
    """The server retries it, and somebody mends the key meanwhile."""
    emulator.inject(Fault(status=401))
    job = await asyncio.to_thread(steps.plan, ["one"])

    with pytest.raises(AuthenticationFailed):
        await environment.run(on_temporal.work, job)


def test_the_workflow_is_one_for_temporal() -> None:
    """Its decorators have been content with it; it takes a server to run it."""
    definition = workflow._Definition.from_class(on_temporal.Answers)

    assert definition is not None
    assert definition.name == "Answers"


@pytest.fixture
def anyio_backend() -> str:
    """As Temporal's own workers."""
    return "asyncio"


pytestmark = pytest.mark.anyio
