"""When the same requests are answered from the last job, and when they are asked anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_batch.emulator import Emulator
from ai_batch.openai import OpenAIProcessor

SCRIPT = """
import sys
from ai_batch.openai import OpenAIProcessor

options = dict(model="gpt-4o-mini", api_key="sk-delivery", base_url=sys.argv[1], poll_interval=0.05)
{body}
"""
PLAIN = """
for result in OpenAIProcessor(**options).process(["hello"]):
    print(result.chat.content)
"""
CLOSING = """
with OpenAIProcessor(**options) as processor:
    for result in processor.process(["hello"]):
        print(result.chat.content)
"""
CRASHING = PLAIN + "raise SystemError('after the last result')"
CRASHING_INSIDE = CLOSING + "    raise SystemError('after the last result')"
HALF_READ = "next(iter(OpenAIProcessor(**options).process(['hello', 'world'])))"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator."""
    with Emulator() as emulator:
        yield emulator


def run(emulator: Emulator, body: str) -> int:
    """Run a script in a process of its own; its exit code."""
    script = SCRIPT.format(body=body)
    command = [sys.executable, "-c", script, emulator.openai_url]
    return subprocess.run(command, env=dict(os.environ), check=False, timeout=60).returncode


@pytest.mark.parametrize("body", [PLAIN, CLOSING], ids=["open", "closed"])
def test_a_script_that_ended_well_asks_anew(emulator: Emulator, body: str) -> None:
    """Results that were read by a script that ended well are delivered: it wants new ones."""
    assert [run(emulator, body), run(emulator, body)] == [0, 0]
    assert emulator.stats.items_executed == 2


@pytest.mark.parametrize("body", [CRASHING, CRASHING_INSIDE], ids=["open", "closed"])
def test_a_script_that_failed_gets_its_results_again(emulator: Emulator, body: str) -> None:
    """A script that read everything and then failed gets the same results, for nothing."""
    assert [run(emulator, body), run(emulator, body)] == [1, 1]
    assert emulator.stats.items_executed == 1


def test_results_that_were_not_read_to_the_end_are_kept(emulator: Emulator) -> None:
    """A script that stopped reading half-way gets the same results again."""
    assert [run(emulator, HALF_READ), run(emulator, HALF_READ)] == [0, 0]
    assert emulator.stats.items_executed == 2


def test_a_program_that_asks_twice_gets_two_answers(emulator: Emulator, tmp_path: Path) -> None:
    """Within one program, asking again after reading everything asks anew, closed or not."""
    for count in (1, 2, 3):
        with OpenAIProcessor(
            model="gpt-4o-mini",
            api_key="sk-delivery",
            base_url=emulator.openai_url,
            home=tmp_path / "home",
            poll_interval=0.02,
        ) as processor:
            assert [result.ok for result in processor.process(["hello"])] == [True]
            assert emulator.stats.items_executed == count


def test_reuse_takes_the_results_of_a_delivered_job(emulator: Emulator, tmp_path: Path) -> None:
    """With ``reuse`` the same requests never cost anything again."""
    for _ in range(2):
        with OpenAIProcessor(
            model="gpt-4o-mini",
            api_key="sk-delivery",
            base_url=emulator.openai_url,
            home=tmp_path / "home",
            poll_interval=0.02,
            reuse=True,
        ) as processor:
            assert [result.ok for result in processor.process(["hello"])] == [True]
    assert emulator.stats.items_executed == 1
