"""The same seed is the same history: in another process, and with other hashes of texts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.dice import Dice
from tests.simulation.history import outcome_of
from tests.simulation.plan import PROVIDERS, draw
from tests.simulation.traces import digest_of

ROOT = Path(__file__).parents[2]


def test_each_step_is_the_same_in_another_process() -> None:
    """Neither hashes, addresses nor the time of day reach a history, for all providers."""
    here = [
        f"{provider} {seed} {digest_of(outcome_of(draw(seed, provider)))}"
        for provider in PROVIDERS
        for seed in (4, 5)
    ]

    there = subprocess.run(
        [sys.executable, "-m", "tests.simulation.traces", "4", "2"],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )

    assert there.stdout.splitlines() == here


def test_an_incident_taken_away_leaves_the_others() -> None:
    """What is drawn at one place does not depend on what has happened elsewhere."""
    plain, without = Dice(1), Dice(1, without=["call a#1"])
    for dice in (plain, without):
        dice.happens("call a", "first")
        dice.happens("call a", "second")
        dice.happens("call b", "third")

    assert [one.key for one in plain.incidents] == ["call a#1", "call a#2", "call b#1"]
    assert [one.key for one in without.incidents] == ["call a#2", "call b#1"]
    assert plain.fraction("elsewhere") == without.fraction("elsewhere")
