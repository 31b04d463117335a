"""The engine under a deterministic simulator: a crash at every point, and one within the other.

Time is virtual and the vendor lives in memory. A program that dies acts no more; the same script
is then run again over the same ledger and spool. After each history the vendor's books, the
ledger and the results are compared with what was promised. ``tests/simulation`` has the simulator,
and thousands of random histories of all providers.
"""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from tests.simulation.histories import last_words, pauses
from tests.simulation.history import simulate, simulate_all
from tests.simulation.plan import FAKES, Plan, kind_of

BUDGET = 5.0
"""Seconds for the pairs of crashes."""


def points(**given: Any) -> int:
    """How many points a program without a crash passes."""
    world = simulate(Plan(**given))
    names = {name.split()[0] for name in world.programs[0].points}
    assert names == {"commit", "committed", "publish", "published", "before", "after"}
    return len(world.programs[0].points)


@pytest.mark.parametrize("one_machine", [True, False])
@pytest.mark.parametrize("provider", FAKES)
def test_a_crash_at_any_single_point_changes_nothing(provider: str, one_machine: bool) -> None:
    """Killed at any commit, call or rename, the same script ends with the same results."""
    given: dict[str, Any] = {**kind_of(provider), "requests": 2, "one_machine": one_machine}
    total = points(**given)

    for place in range(1, total + 1):
        simulate(Plan(deaths=(place,), **given))


def test_a_crash_while_recovering_from_a_crash_changes_nothing() -> None:
    """Killed twice, at any two points, the same script ends with the same results."""
    places = range(1, points(requests=1) + 1)
    pairs = [(first, second) for first in places for second in places]
    random.Random(1).shuffle(pairs)
    end = time.monotonic() + BUDGET

    for deaths in pairs:
        if time.monotonic() > end:
            break
        simulate(Plan(requests=1, deaths=deaths))


def test_a_program_paused_past_its_lease_does_no_harm() -> None:
    """Whatever a program does when it wakes up after another has taken over is refused."""
    simulate_all(pauses())
    simulate_all(last_words())
