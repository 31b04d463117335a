"""Who goes out when: slots, pauses, and the number of calls that a vendor bears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.concurrent.answering import FREE_RETRIES, RetryBudget
from ai_batch.concurrent.gate import BASE, CAP, Gate, full_jitter
from ai_batch.concurrent.pacing import Pace
from ai_batch.core.testing import VirtualLoop, virtual_runtime

Value = TypeVar("Value")


class Yard:
    """A gate in virtual time, and a note of who went out when."""

    def __init__(self, most: int, *, adaptive: bool = False, calls: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.shift = 0.0
        runtime = virtual_runtime(loop)
        self.runtime = type(runtime)(
            clock=lambda: runtime.clock() + self.shift,
            sleep=runtime.sleep,
            random=runtime.random,
            inline=True,
        )
        self.gate = Gate(
            max_concurrency=most, adaptive=adaptive, pace=Pace(calls, None), runtime=self.runtime
        )
        self.went: list[tuple[str, float]] = []
        self.out = self.most_out = 0

    async def call(self, name: str, seconds: float = 1.0) -> None:
        """A call of so many seconds."""
        await self.gate.enter(0)
        self.went.append((name, asyncio.get_running_loop().time()))
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.out -= 1
            self.gate.leave()

    @property
    def names(self) -> list[str]:
        """Who went out, in order."""
        return [name for name, _ in self.went]

    @property
    def times(self) -> list[float]:
        """When they went out."""
        return [at for _, at in self.went]


def virtual(script: Callable[[], Awaitable[Value]]) -> Value:
    """What the script gives, at once."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def run() -> Value:
            return await script()

        return runner.run(run())


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.01, 3.0)), min_size=1, max_size=25),
    st.lists(st.integers(0, 24), max_size=10),
)
def test_never_more_are_out_than_may_be_and_none_is_lost(
    most: int, calls: list[tuple[float, float]], cancelled: list[int]
) -> None:
    """Whoever is cancelled, waiting or out, all slots are free in the end."""

    async def script() -> None:
        yard = Yard(most)

        async def one(start: float, seconds: float) -> None:
            await asyncio.sleep(start)
            await yard.call("x", seconds)

        tasks = [asyncio.create_task(one(*call)) for call in calls]
        for place in cancelled:
            await asyncio.sleep(0.25)
            tasks[place % len(tasks)].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert yard.most_out <= most

        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(yard.call("all", 1.0) for _ in range(most)))
        assert [at for name, at in yard.went if name == "all"] == [began] * most

    virtual(script)


def test_first_come_first_served() -> None:
    """Who waits longest goes next."""

    async def script() -> list[str]:
        yard = Yard(2)
        await asyncio.gather(*(yard.call(name) for name in "abcdef"))
        return yard.names

    assert virtual(script) == list("abcdef")


def test_who_is_cancelled_in_the_moment_of_its_turn_gives_it_on() -> None:
    """A slot that was just given to a waiter who is gone goes to the next one."""

    async def script() -> list[str]:
        yard = Yard(1)
        first, second, third = (asyncio.create_task(yard.call(name)) for name in "abc")
        await asyncio.sleep(1.0)
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.wait([first])
        second.cancel()
        await asyncio.wait_for(third, 10.0)
        return yard.names

    assert virtual(script)[-1] == "c"


def test_a_limit_per_minute_holds_in_order() -> None:
    """Calls beyond the pace wait, and go out in the order in which they came."""

    async def script() -> Yard:
        yard = Yard(100, calls=60)
        await asyncio.gather(*(yard.call(str(number)) for number in range(10)))
        return yard

    yard = virtual(script)
    assert yard.names == [str(number) for number in range(10)]
    assert yard.times[-1] - yard.times[0] == pytest.approx(8.0, abs=0.3)


def test_a_pause_holds_everybody() -> None:
    """While the vendor wants a rest, nobody goes out; then they go one after the other."""

    async def script() -> list[float]:
        yard = Yard(10)
        yard.gate.complain(retry_after=30.0, limited=True)
        await asyncio.gather(*(yard.call(str(number), 5.0) for number in range(10)))
        return yard.times

    times = virtual(script)
    assert times[0] >= 30.0
    assert times[-1] - times[0] == pytest.approx(0.9, abs=0.15)
    assert len(set(times)) == 10


def test_a_pause_may_grow_while_others_wait_for_its_end() -> None:
    """A second complaint holds those who wait already."""

    async def script() -> list[float]:
        yard = Yard(10)
        yard.gate.complain(retry_after=10.0, limited=True)
        waiting = asyncio.create_task(yard.call("a"))
        await asyncio.sleep(5.0)
        yard.gate.complain(retry_after=20.0, limited=True)
        yard.gate.complain(retry_after=1.0, limited=True)
        await waiting
        return yard.times

    assert virtual(script) == [25.0]


def test_failures_of_other_kinds_hold_nobody() -> None:
    """A server error is one call's own."""

    async def script() -> list[float]:
        yard = Yard(10)
        yard.gate.complain(retry_after=30.0, limited=False)
        await yard.call("a")
        return yard.times

    assert virtual(script) == [0.0]


def test_a_pause_lasts_no_longer_for_a_clock_that_is_set_back() -> None:
    """An hour's correction of the clock is no hour's pause."""

    async def script() -> list[float]:
        yard = Yard(10)
        yard.gate.complain(retry_after=30.0, limited=True)
        waiting = [asyncio.create_task(yard.call("a"))]
        await asyncio.sleep(10.0)
        yard.shift = -3600.0
        waiting.append(asyncio.create_task(yard.call("b")))
        await asyncio.gather(*waiting)
        return yard.times

    assert max(virtual(script)) <= 62.0


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.0, 2.0)), max_size=80),
)
def test_the_number_of_calls_stays_between_one_and_the_most(
    most: int, events: list[tuple[bool, bool, float]]
) -> None:
    """Praise raises it by at most one, a complaint halves it."""

    async def script() -> None:
        gate = Yard(most, adaptive=True).gate
        for praised, limited, rest in events:
            before = gate.limit
            if praised:
                gate.praise()
                assert before <= gate.limit <= before + 1
            else:
                gate.complain(retry_after=0.0, limited=limited)
                assert before // 2 <= gate.limit <= before
            assert 1 <= gate.limit <= most
            await asyncio.sleep(rest)

    virtual(script)


def test_complaints_of_one_moment_count_once() -> None:
    """Calls that were out together fail together: that is one sign, not eight."""

    async def script() -> list[int]:
        gate = Yard(100, adaptive=True).gate
        found = [gate.limit]
        for _ in range(8):
            gate.complain(retry_after=None, limited=False)
        found.append(gate.limit)
        await asyncio.sleep(2.0)
        gate.complain(retry_after=None, limited=False)
        return [*found, gate.limit]

    assert virtual(script) == [8, 4, 2]


def test_a_lower_limit_holds_for_those_who_come() -> None:
    """Those who are out stay out; the next goes when fewer are out than may be."""

    async def script() -> list[float]:
        yard = Yard(8, adaptive=True)
        out = [asyncio.create_task(yard.call("a", 1.0 + number)) for number in range(8)]
        await asyncio.sleep(0.5)
        yard.gate.complain(retry_after=None, limited=False)
        await yard.call("b")
        await asyncio.gather(*out)
        return yard.times

    assert virtual(script)[-1] == 5.0


# -- waits and budgets --------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.floats(0.0, 1.0))
def test_waits_grow_up_to_a_minute(failures: int, random: float) -> None:
    """Anything from nothing to an exponential step, and never more than the cap."""
    wait = full_jitter(failures, random)

    assert 0.0 <= wait <= CAP
    assert wait <= BASE * 2.0 ** min(failures, 1000)
    assert full_jitter(failures + 1, random) >= wait


@given(st.floats(0.0, 3.0), st.integers(0, 300))
def test_retries_stay_in_proportion_to_requests(share: float, requests: int) -> None:
    """A short run may have hiccups; a long one has so many retries for each request."""
    budget = RetryBudget(share)
    for _ in range(requests):
        budget.ask()

    granted = sum(budget.take() for _ in range(FREE_RETRIES + 1500))

    assert FREE_RETRIES + share * requests <= granted < FREE_RETRIES + share * requests + 1
    assert not budget.take()
