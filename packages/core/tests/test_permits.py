"""A limit that many hold together: what each is given, and how much that is for all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.core.permits import AHEAD, GOOD_FOR, LATE, MINUTE, grant

START = 1_800_000_000.0

CLOSE = 1e-5
"""Seconds: a little more than the steps of today's times."""


def most_within_a_minute(times: list[float]) -> int:
    """The most calls in any sixty seconds, wherever they begin."""
    found, first = 0, 0
    ordered = sorted(times)
    for last, at in enumerate(ordered):
        while ordered[first] <= at - MINUTE + CLOSE:
            first += 1
        found = max(found, last - first + 1)
    return found


@given(
    st.integers(1, 6000),
    st.lists(
        st.tuples(st.floats(0.0, 3.0), st.integers(1, 150), st.floats(0.0, 1.0)),
        min_size=1,
        max_size=150,
    ),
)
def test_no_minute_holds_more_than_the_limit(
    limit: int, asked: list[tuple[float, int, float]]
) -> None:
    """Whoever asks when, for how many, and however late within its time each permit is used."""
    until, now, calls = 0.0, START, list[float]()
    for rest, most, late in asked:
        now += rest
        permits, until = grant(until, now, limit, most)
        assert permits.count <= most
        times = (now + permits.wait + n * permits.step for n in range(permits.count))
        calls += [max(now, time) + late * (time + GOOD_FOR - max(now, time)) for time in times]

    assert most_within_a_minute(calls) <= limit


@pytest.mark.parametrize("limit", [1, 7, 59, 60, 61, 3000, 100_000])
@pytest.mark.parametrize("processes", [1, 2, 5, 50])
def test_the_limit_is_made_use_of(limit: int, processes: int) -> None:
    """By one process as by many that come in any order: ten minutes hold ten minutes' calls."""
    until, given = 0.0, list[float]()
    due = [START] * processes
    while (now := min(due)) < START + 10 * MINUTE:
        process = due.index(now)
        permits, until = grant(until, now, limit, limit)
        times = [now + permits.wait + n * permits.step for n in range(permits.count)]
        given += times
        due[process] = max(now + 0.02, times[-1] if times else now + permits.wait)

    assert len(given) >= 0.95 * 10 * limit
    steps = [second - first for first, second in pairwise(sorted(given))]
    assert max(steps, default=0.0) <= (MINUTE + GOOD_FOR) / limit + LATE


@pytest.mark.parametrize("limit", [0.5, 1, 30, 59])
def test_a_block_of_a_slow_limit_is_one_call(limit: float) -> None:
    """Who asks for a hundred is given one, and the next one is not given before its time."""
    first, until = grant(0.0, START, limit, 100)
    second, until = grant(until, START, limit, 100)
    third, _ = grant(until, START, limit, 100)

    assert first.count == 1
    assert (first.wait, first.step) == (-LATE, (MINUTE + GOOD_FOR) / limit)
    assert second.count == (first.step - LATE <= AHEAD)
    assert third.count == 0
    assert third.wait > 0.0


def test_processes_that_die_hold_up_little() -> None:
    """A hundred that took what they could and died: the next one waits for a block or two."""
    until = 0.0
    for _ in range(100):
        _, until = grant(until, START, 600, 1000)

    assert until <= START + 2 * AHEAD
