"""Prefect, with a server of its own that lives as long as the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from examples.recipes import on_prefect
from prefect.testing.utilities import prefect_test_harness

from ai_batch.emulator import Emulator


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """A server without any network but this machine's."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


def test_a_flow_answers_a_file(
    emulator: Emulator, requests: str, tmp_path: Path, answers: Callable[[Path], list[str]]
) -> None:
    """A second run for the same purpose sends nothing; one for another purpose does."""
    output = tmp_path / "answers.jsonl"

    assert on_prefect.answers(requests, str(output), "Monday") == 3
    assert on_prefect.answers(requests, str(output), "Monday") == 3
    assert emulator.stats.items_billed == 3
    assert answers(output) == [f"question {n}" for n in range(3)]
    assert on_prefect.answers(requests, str(output), "Tuesday") == 3
    assert emulator.stats.items_billed == 6
