"""The engine under a deterministic simulator: every crash, and thousands of random histories.

Time is virtual, the vendor lives in memory, and one seed is one history. A program that dies
acts no more; the same script is then run again over the same ledger and spool. After each
history the vendor's books, the ledger and the results are compared with what was promised.

``AI_BATCH_SEEDS=100000 pytest test_simulator.py`` runs that many random histories instead of as
many as fit into some seconds.
"""

from __future__ import annotations

import os
import random
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from packages.core.tests.histories import VARIANTS, draw, last_words, pauses
from packages.core.tests.simulation import Plan, simulate, simulate_all

pytestmark = pytest.mark.usefixtures("simulated")

SEEDS = int(os.environ.get("AI_BATCH_SEEDS", "0"))
BUDGET = 5.0
"""Seconds for the random histories of a normal run, and for the pairs of crashes."""

SEED_IN_ENVIRONMENT = os.environ.get("AI_BATCH_SEED")


def points(home: Path, **given: Any) -> int:
    """How many points a program without a crash passes."""
    world = simulate(home, Plan(**given))
    names = {name.split()[0] for name in world.programs[0].points}
    assert names == {"commit", "committed", "publish", "published", "before", "after"}
    return len(world.programs[0].points)


@pytest.mark.parametrize(("requests", "one_machine"), [(2, True), (2, False)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_crash_at_any_single_point_changes_nothing(
    tmp_path: Path, variant: str, requests: int, one_machine: bool
) -> None:
    """Killed at any commit, call or rename, the same script ends with the same results."""
    given: dict[str, Any] = {**VARIANTS[variant], "requests": requests, "one_machine": one_machine}
    total = points(tmp_path / "first", **given)

    for place in range(1, total + 1):
        simulate(tmp_path / str(place), Plan(deaths=[place], **given))


def test_a_crash_while_recovering_from_a_crash_changes_nothing(tmp_path: Path) -> None:
    """Killed twice, at any two points, the same script ends with the same results."""
    places = range(1, points(tmp_path / "first", requests=1) + 1)
    pairs = [[first, second] for first in places for second in places]
    random.Random(1).shuffle(pairs)
    end = time.monotonic() + BUDGET

    for deaths in pairs:
        if not SEEDS and time.monotonic() > end:
            break
        simulate(tmp_path / f"{deaths}", Plan(requests=1, deaths=deaths))


def test_a_program_paused_past_its_lease_does_no_harm(tmp_path: Path) -> None:
    """Whatever a program does when it wakes up after another has taken over is refused."""
    simulate_all(tmp_path, pauses())
    simulate_all(tmp_path, last_words())


def run_seed(home: Path, seed: int) -> None:
    """One random history; a failure says how to see it again."""
    try:
        simulate(home, draw(seed))
    except BaseException as error:
        error.add_note(f"again: AI_BATCH_SEED={seed} pytest {__file__} -k random; {draw(seed)}")
        raise


def test_random_histories_keep_every_promise(tmp_path: Path) -> None:
    """Crashes, faults, damage, pauses and second programs: each request is answered once."""
    if SEED_IN_ENVIRONMENT:
        run_seed(tmp_path / "one", int(SEED_IN_ENVIRONMENT))
        return
    end = time.monotonic() + BUDGET
    for seed in count(1):
        if seed > SEEDS if SEEDS else time.monotonic() > end:
            break
        run_seed(tmp_path / str(seed), seed)
