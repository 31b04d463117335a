"""When to do the next thing."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ai_batch.core.schedule import FIRST, aligned, backoff, poll_delay, queue_delay

ages = st.floats(0.0, 10 * 86400.0)
chances = st.floats(0.0, 1.0, exclude_max=True)


def test_a_fixed_interval_wins() -> None:
    """Who sets poll_interval gets it, whatever the batch does."""
    assert poll_delay(7200.0, 5, 10, interval=12.0) == 12.0


def test_a_young_batch_is_polled_often() -> None:
    """Small batches end within seconds: the first looks come soon."""
    assert poll_delay(0.0) == FIRST < poll_delay(10.0) < poll_delay(30.0)


@given(ages, st.integers(0, 1000), st.integers(0, 1000))
def test_polls_are_neither_hammering_nor_sleeping(age: float, done: int, total: int) -> None:
    """Never sooner than the first look, and never later than twice the root of the age."""
    delay = poll_delay(age, done, total)

    assert FIRST <= delay <= max(2.0 * math.sqrt(age), 5.0)


def test_a_batch_that_is_nearly_done_is_polled_sooner() -> None:
    """Half of the time that the rest is expected to take."""
    assert poll_delay(3600.0, 99, 100) < poll_delay(3600.0, 0, 100)


def test_a_clock_that_was_put_back_does_no_harm() -> None:
    """A negative age is taken for a young batch."""
    assert poll_delay(-3600.0) == FIRST


@given(st.integers(1, 10_000), chances)
def test_backoff_grows_to_its_cap_with_jitter(failures: int, chance: float) -> None:
    """Between half of the step and the whole step, however many failures there were."""
    step = min(60.0, 2.0 ** min(failures - 1, 30))

    assert 0.5 * step <= backoff(failures, chance) <= step


@given(st.integers(1, 50), chances, st.floats(0.0, 86400.0))
def test_retry_after_is_never_undercut(failures: int, chance: float, asked: float) -> None:
    """What the vendor asked for is waited, and at most a tenth more."""
    assert asked <= backoff(failures, chance, retry_after=asked) <= 1.1 * asked


def test_failures_that_came_together_do_not_come_back_together() -> None:
    """A hundred shards that failed at once are spread over half of the step."""
    delays = {round(backoff(5, number / 100), 3) for number in range(100)}

    assert len(delays) == 100
    assert max(delays) - min(delays) > 7


def test_a_full_queue_is_given_longer() -> None:
    """The queue is looked at after a quarter of a minute at most, and every 15 minutes later on."""
    assert queue_delay(1, 0.0) == 7.5
    assert queue_delay(50, 1.0) == 900.0


@given(st.floats(1e9, 2e9), st.floats(0.01, 600.0), chances)
def test_polls_that_meet_are_hardly_later(now: float, wait: float, phase: float) -> None:
    """A poll comes when it was due, or at most a quarter of the wait later."""
    assert wait - 1e-6 <= aligned(now, wait, phase) - now <= 1.25 * wait + 1e-6


@given(st.floats(1e9, 2e9), chances)
def test_polls_of_neighbours_meet(now: float, phase: float) -> None:
    """Batches that were made within a wait are soon polled at a handful of instants."""
    instants = {aligned(now + number / 10, 30.0, phase) for number in range(300)}
    assert len(instants) <= 9


def test_ledgers_do_not_poll_together() -> None:
    """Other ledgers have other instants, so that vendors do not meet all clients at once."""
    assert len({aligned(1e9, 30.0, number / 10) % 4.0 for number in range(10)}) == 10
