"""How many calls and tokens go out in a minute, whatever comes when."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.concurrent.pacing import BURST, MINUTE, Pace, Window

START = 1_800_000_000.0

CLOSE = 1e-5
"""Seconds: a little more than the steps of today's times."""


class Spent(NamedTuple):
    at: float
    amount: float


def most_within_a_minute(spent: list[Spent]) -> float:
    """The most that was spent in any sixty seconds, wherever they begin."""
    return max(
        sum(one.amount for one in spent if first.at <= one.at < first.at + MINUTE - CLOSE)
        for first in spent
    )


def run(window: Window, arrivals: list[tuple[float, int]], start: float = START) -> list[Spent]:
    """What goes out when, if each one waits for its turn after a rest since the last."""
    now, found = start, list[Spent]()
    for rest, amount in arrivals:
        now += rest
        for _ in range(10_000):
            wait = window.wait(now, amount)
            if wait <= 0.0:
                break
            now += wait
        else:
            pytest.fail("it waits for ever")
        window.spend(now, amount)
        found.append(Spent(now, amount))
    return found


rests = st.one_of(st.just(0.0), st.floats(0.0, 5.0), st.floats(0.0, 200.0))


@given(
    st.integers(1, 500).flatmap(
        lambda limit: st.tuples(
            st.just(limit),
            st.lists(st.tuples(rests, st.integers(1, limit)), min_size=1, max_size=60),
        )
    )
)
def test_no_minute_holds_more_than_the_limit(case: tuple[int, list[tuple[float, int]]]) -> None:
    """However they arrive, and wherever the sixty seconds begin."""
    limit, arrivals = case

    assert most_within_a_minute(run(Window(limit), arrivals)) <= limit


@given(st.integers(1, 200), st.floats(0.0, 100.0))
def test_a_crowd_goes_out_evenly(limit: int, offset: float) -> None:
    """As many as may, and about as many in each second: no burst, and no gap after one."""
    spent = run(Window(limit), [(0.0, 1)] * (2 * limit), START + offset)

    steps = [second.at - first.at for first, second in pairwise(spent)]
    assert sum(steps) <= 2 * MINUTE + 1.0
    assert max(steps) <= MINUTE / limit + BURST + 0.2
    second = [one for one in spent if one.at < START + offset + 1.0]
    assert len(second) <= 2 * limit / MINUTE + 2


def test_a_pause_is_made_up_for_within_a_second() -> None:
    """After a time without calls, no more than a second's worth goes out at once."""
    window = Window(600)
    run(window, [(0.0, 1)])

    after = run(window, [(30.0, 1), *[(0.0, 1)] * 99], START)

    assert sum(one.at == after[0].at for one in after) in {10, 11}


@given(st.lists(st.tuples(rests, st.integers(1, 1000)), min_size=2, max_size=20))
def test_an_amount_above_the_limit_goes_out_alone(arrivals: list[tuple[float, int]]) -> None:
    """What never fits is not held back for ever, and shares its minute with nothing."""
    spent = run(Window(10), arrivals)

    for first, second in pairwise(spent):
        if first.amount > 10 or second.amount > 10:
            assert second.at - first.at >= MINUTE - CLOSE


@given(st.sampled_from([1e9, 1e12, 1e18]), st.lists(st.integers(1, 10**6), max_size=50))
def test_huge_limits_hold_nobody_up(limit: float, amounts: list[int]) -> None:
    """A limit beyond what there is costs no time."""
    spent = run(Window(limit), [(0.0, amount) for amount in amounts])

    assert all(one.at == START for one in spent)


def test_less_than_one_a_minute_is_possible() -> None:
    """Half a call per minute is one in two minutes."""
    spent = run(Window(0.5), [(0.0, 1)] * 3)

    assert [round(second.at - first.at) for first, second in pairwise(spent)] == [119, 120]


@given(st.floats(0.001, 1e6), st.integers(1, 30))
def test_a_clock_that_is_set_back_forgets_nothing(back: float, limit: int) -> None:
    """What was spent is as old as before: no more goes out, and nobody waits for the old time."""
    window = Window(limit)
    before = run(window, [(0.0, 1)] * limit)

    # The clock is set back at the moment of the last call: all were within the last minute.
    shift = before[-1].at - back
    after = run(window, [(0.0, 1)] * limit, shift)

    together = [*before, *(Spent(one.at + back, one.amount) for one in after)]
    assert most_within_a_minute([Spent(at, n) for at, n in together]) <= limit + (back < 1e-4)
    assert after[0].at - shift <= MINUTE + 0.2


@given(
    st.lists(
        st.tuples(st.integers(1, 100), st.floats(0.0, 1.0), st.floats(0.0, 90.0)),
        min_size=1,
        max_size=40,
    )
)
def test_tokens_that_were_not_used_never_raise_the_limit(
    calls: list[tuple[int, float, float]],
) -> None:
    """They are given back to the minute in which they were counted, and to no later one."""
    pace, limit = Pace(None, 100), 100
    now, spent = START, list[Spent]()
    returning: list[tuple[float, int, float]] = []
    for expected, share, latency in calls:
        while True:
            for at, unused, since in sorted(r for r in returning if r[0] <= now):
                pace.correct(now, -unused, since)
                returning.remove((at, unused, since))
            wait = pace.wait(now, expected)
            if wait <= 0.0:
                break
            now += min([wait, *(r[0] - now for r in returning)])
        pace.spend(now, expected)
        used = int(expected * share)
        spent.append(Spent(now, used))
        returning.append((now + latency, expected - used, now))

    assert most_within_a_minute(spent) <= limit


def test_tokens_beyond_the_expected_are_counted() -> None:
    """A call that took more than was thought makes the next one wait."""
    pace = Pace(None, 6000)
    pace.spend(START, 100)

    assert pace.wait(START + 1.5, 5000) == 0.0
    pace.correct(START + 1.5, 5900, START)
    assert pace.wait(START + 1.5, 5000) > 50.0


def test_calls_and_tokens_are_limited_together() -> None:
    """The stricter one holds; without limits there is no wait."""
    both, calls, none = Pace(60, 6000), Pace(60, None), Pace(None, None)
    for pace in (both, calls, none):
        for _ in range(3):
            pace.spend(START, 3000)

    assert both.wait(START, 1) > calls.wait(START, 1) > none.wait(START, 1) == 0.0
    assert (both.counts_tokens, calls.counts_tokens) == (True, False)
