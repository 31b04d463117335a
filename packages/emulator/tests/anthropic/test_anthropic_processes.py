"""Emulators that stop, are killed, live in another process, and are found by pytest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anthropic
import pytest

from ai_batch.emulator import AnthropicLimits, Emulator, Fault, Timing
from ai_batch.emulator.json_types import JsonObject

if TYPE_CHECKING:
    from packages.emulator.tests.anthropic.conftest import AnthropicLab


def test_a_home_outlives_the_emulator(
    make_lab: Callable[..., AnthropicLab], tmp_path: Path
) -> None:
    """Batches, the version they were made with, results and the moved clock are there again."""
    emulator = Emulator(home=tmp_path, timing=Timing(in_progress=100))
    with emulator:
        lab = make_lab(emulator)
        batch = lab.submit([*lab.items(3), lab.item(9, temperature=0)], "2023-06-01")
        emulator.advance(seconds=50)
    with emulator:
        assert lab.get(batch).processing_status == "in_progress"
        emulator.advance(seconds=51)
        ended = lab.get(batch)
        assert ended.request_counts.succeeded == 4
        rows = lab.raw(batch)
    with Emulator(home=tmp_path) as other:
        again = make_lab(other)
        assert again.get(batch).ended_at == ended.ended_at
        assert again.raw(batch) == rows
        assert other.stats.items_executed == 4


def test_an_interrupted_run_is_repeated_and_counted_once(
    make_lab: Callable[..., AnthropicLab], tmp_path: Path
) -> None:
    """A batch whose work was abandoned by a stop is done anew after the next start."""
    begun = threading.Event()

    def slow(endpoint: str, body: JsonObject) -> None:  # noqa: ARG001
        begun.set()
        time.sleep(0.001)

    emulator = Emulator(home=tmp_path, answer=slow)
    with emulator:
        lab = make_lab(emulator)
        batch = lab.submit(lab.items(700))
        assert begun.wait(5)
    with emulator:
        assert lab.ended(batch).request_counts.succeeded == 700
        assert emulator.stats.items_executed == 700
        assert emulator.stats.executed_twice() == []


def test_a_killed_process_keeps_its_batches(
    make_lab: Callable[..., AnthropicLab], tmp_path: Path
) -> None:
    """What was created before a SIGKILL is there, and ends, after the restart."""
    spawned = Emulator.spawn(home=tmp_path, timing=Timing(in_progress=60), seed=3)
    with spawned as emulator:
        lab = make_lab(emulator)
        batch = lab.submit(lab.items(50))
        lab.emulator.inject(Fault(route="batches.list", status=529))
        emulator.kill()
        emulator.restart()
        assert [found.id for found in lab.client.messages.batches.list()] == [batch.id]
        emulator.advance(minutes=2)
        assert lab.get(batch).request_counts.succeeded == 50
        rows = lab.raw(batch)
        emulator.kill()
        emulator.restart()
        assert lab.raw(batch) == rows
        assert emulator.stats.items_executed == 50


def test_a_spawned_emulator_has_the_limits(make_lab: Callable[..., AnthropicLab]) -> None:
    """The limits of each vendor reach the process on their own."""
    limits = AnthropicLimits(max_requests=2, queued_requests=100, max_body_bytes=10_000)
    with Emulator.spawn(anthropic_limits=limits) as emulator:
        lab = make_lab(emulator)
        lab.submit(lab.items(2))
        with pytest.raises(anthropic.BadRequestError, match="at most 2 items"):
            lab.submit(lab.items(3))
        with pytest.raises(anthropic.RequestTooLargeError):
            lab.submit([lab.item(0, system="x" * 10_000)])


def test_a_reset_forgets_the_batches(lab: AnthropicLab) -> None:
    """Nothing is left of them, whatever their state."""
    ended = lab.run(lab.items(1))
    lab.emulator.reset()
    assert lab.client.messages.batches.list().data == []
    with pytest.raises(anthropic.NotFoundError):
        lab.get(ended)
    assert lab.emulator.stats.batches_by_status == {}


def test_the_fixture_points_the_sdk_to_the_emulator(ai_batch_emulator: Emulator) -> None:
    """A client that is told nothing finds the emulator in its environment."""
    with anthropic.Anthropic() as client:
        assert client.messages.batches.list().data == []
    assert ai_batch_emulator.stats.requests == {"batches.list": 1}
