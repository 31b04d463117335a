"""A world in which programs die: virtual time, one vendor, and what outlives the programs.

A program that dies acts no more; the same script is then run again over the same ledger and
spool, until it has come to its end.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

from ai_batch.core import (
    BatchFailed,
    BatchResponse,
    ChatRequest,
    ItemEvent,
    Ledger,
    NativeProcessor,
    Options,
    Result,
    Usage,
)
from ai_batch.core.events import CompleteEvent, ErrorEvent
from ai_batch.core.runtime import Runtime
from ai_batch.core.virtual import START
from tests.simulation.dice import Dice, Incident
from tests.simulation.loop import SteadyLoop
from tests.simulation.plan import LONG_PAUSES, SHORT_PAUSE, Plan, longest_of
from tests.simulation.programs import RUNNING, Crash, Program
from tests.simulation.seams import world_of
from tests.simulation.tables import SimulatedDatabase, watch_moves

__all__ = ["Network", "World"]

HOUR = 3600.0


class Network(Protocol):
    """A vendor, and the way to it; keeps the books by the requests' texts."""

    def processor(self, program: Program, options: Options) -> NativeProcessor:
        """What a program makes to speak to the vendor."""
        ...

    async def quiet(self) -> None:
        """Wait until nothing is under way any more."""
        ...

    def settle(self, now: float) -> None:
        """Have everything done that is due."""
        ...

    def times(self, text: str) -> int:
        """How often this was executed, and so billed."""
        ...

    def answer_fits(self, text: str, answer: str) -> bool:
        """Whether this can be the answer."""
        ...

    def may_repeat(self, text: str) -> bool:
        """Whether the vendor has lost or repeated it by itself."""
        ...

    def may_fail(self, text: str, code: str) -> bool:
        """Whether the vendor has refused it or lost it, so that an error is its right result."""
        ...

    def left(self, now: float) -> list[str]:
        """Files that the job must have deleted, batches that it must have ended."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class World:
    """What outlives the programs of one history: the vendor, the ledger, the spool."""

    def __init__(self, home: Path, plan: Plan, make_network: Callable[[World], Network]) -> None:
        self.home = home
        self.plan = plan
        self.dice = Dice(f"{plan.seed} {plan.provider}", plan.without)
        self.dice.on_incident = self._on_incident
        self.loop = SteadyLoop()
        self.loop.set_exception_handler(self._complain)
        self.trace: list[str] = []
        self.complaints: list[str] = []
        self.left = Counter(
            {
                name: getattr(plan, name)
                for name in ("pauses", "troubles", "bad_fates", "bad_items", "damages", "losses")
            }
        )
        self.tables = sqlite3.connect(":memory:", isolation_level=None)
        self.requests = [
            ChatRequest(id=f"r{i}", messages=f"text {i}") for i in range(plan.requests)
        ]
        self.programs: list[Program] = []
        self.left_over: list[str] = []
        self.zombies = False
        self.rested = False
        self.network = make_network(self)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not isinstance(context.get("exception"), Crash):
            self.complaints.append(repr(context))

    def now(self) -> float:
        """Unix seconds, all of them virtual."""
        return START + self.loop.time()

    def note(self, what: str) -> None:
        """Write something down."""
        program = RUNNING.get(None)
        name = "-" if program is None else program.name
        self.trace.append(f"{self.loop.time():.3f} {name} {what}")

    def _on_incident(self, incident: Incident) -> None:
        self.note(f"!! {incident.what} [{incident.key}]")

    def wanted(self, kind: str, place: str, probability: float) -> bool:
        """Whether it is time for one more incident of a kind; ``happens`` then has it."""
        if not self.left[kind] or not self.dice.chance(place, probability):
            return False
        self.left[kind] -= 1
        return True

    # -- time -----------------------------------------------------------------------------------

    async def delay(self, program: Program, call: str) -> None:
        """The way of a call to the vendor, or of its answer; sometimes the whole program pauses."""
        plan = self.plan
        if call == plan.pauses_before and not self.zombies:
            program.paused_until = self.loop.time() + plan.pauses_for
            self.zombies = True
        elif self.wanted("pauses", "pause", 0.1) and self.dice.happens("pause", f"pause at {call}"):
            pauses = LONG_PAUSES if plan.uploads else (SHORT_PAUSE,)
            program.paused_until = self.loop.time() + self.dice.choice("long", pauses)
            self.zombies = True
        latency = plan.latency * self.dice.fraction("latency") ** 4 if plan.latency else 0.0
        await program.sleep(latency)

    # -- programs -------------------------------------------------------------------------------

    def _options(self, program: Program) -> Options:
        plan = self.plan
        ledger = Ledger(SimulatedDatabase(self.tables, self.now, program, self.note))
        watch_moves(self.tables)
        ledger.phase = 0.25  # Else it would be drawn anew for each run of the same seed.
        return Options(
            home=self.home / "home",
            ledger=ledger,
            runtime=Runtime(
                clock=self.now,
                sleep=program.sleep,
                random=lambda: self.dice.fraction("jitter"),
                inline=True,
            ),
            max_batches_in_flight=plan.max_batches,
            settle_wait=plan.settle_wait,
            max_attempts=8,
            poll_interval=plan.poll_interval,
            on_progress=program.seen.append if plan.progress else None,
        )

    async def _script(self, program: Program) -> list[Result]:
        """What the user wrote. It is run again when it has died."""
        processor = self.network.processor(program, self._options(program))
        if self.plan.cancel_after is not None:
            return await self._cancelled(processor, program)
        if self.plan.streams:
            return await self._streamed(processor)
        try:
            response = await processor.aprocess(self.requests)
        except BatchFailed as failed:
            return [result async for result in failed.job.aresults()]
        return self._read(response)

    async def _streamed(self, processor: NativeProcessor) -> list[Result]:
        items: list[Result] = []
        response = None
        async for event in processor.astream(self.requests):
            if isinstance(event, ItemEvent):
                items.append(event.result)
            if isinstance(event, CompleteEvent):
                response = event.response
            if isinstance(event, ErrorEvent):
                raise event.error
        assert response is not None, "the stream ended without a response"
        results = self._read(response)
        assert sorted(items, key=lambda item: item.index) == results, "the items differ"
        return results

    async def _cancelled(self, processor: NativeProcessor, program: Program) -> list[Result]:
        cancelling = [job for job in processor.jobs() if job.state in {"cancelling", "cancelled"}]
        if cancelling:
            job = processor.attach(cancelling[0].id)
        else:
            job = await processor.asubmit(self.requests)
            await program.sleep(self.plan.cancel_after or 0.0)
        return self._read(await job.acancel())

    def _read(self, response: BatchResponse) -> list[Result]:
        """The results, which the response's own figures must fit."""
        results = response[:]
        right = sum(result.ok for result in results)
        found = (response.completed, response.failed, response.total)
        assert found == (right, len(results) - right, len(results)), f"it counts {found}"
        if right == len(results) and not self._has_lost():
            used = sum((result.chat.usage for result in results if result.chat), Usage())
            assert response.usage == used, f"{response.usage} are counted of {used}"
        return results

    def _has_lost(self) -> bool:
        """Whether rows are gone that had been paid for."""
        return any(incident.key.startswith("loss") for incident in self.dice.incidents)

    async def _live(self) -> list[list[Result]]:
        """Run the script, again and again until it ends; several at once where planned."""
        deaths = list(self.plan.deaths)
        runs = [self._generations(number, deaths) for number in range(self.plan.programs)]
        found = list(await asyncio.gather(*runs))
        await self.network.quiet()
        return found

    async def _generations(self, number: int, deaths: list[int]) -> list[Result]:
        for generation in range(99):
            death = deaths.pop(0) if deaths else None
            if death is not None and not self.dice.happens("death", f"dies at point {death}"):
                death = None
            program = Program(
                f"{'ab'[number % 2]}{generation}",
                dies_at=death,
                seen_to_die=self.plan.one_machine,
                note=self.note,
            )
            self.programs.append(program)
            RUNNING.set(program)
            try:
                return await self._script(program)
            except Crash:
                assert not program.alive
            await self._rest()
        raise AssertionError("the script does not come to its end")

    async def _rest(self) -> None:
        seconds = self.plan.rest
        if seconds > 1.0 and not self.dice.happens("rest", f"nobody works for {seconds:.0f} s"):
            seconds = 1.0
        self.rested |= seconds > 1.0
        await asyncio.sleep(seconds)

    def run(self) -> list[list[Result]]:
        """One history, from the first program's start until all have ended."""

        def token(size: int) -> str:
            return self.dice.digest("token", size).hex()

        # Where a batch takes days, a look into the ledger twice a minute shows nothing.
        longest = 30.0 if self.plan.slowest < HOUR else HOUR
        with (
            patch("ai_batch.core.engine.LONGEST_SLEEP", longest),
            patch("ai_batch.core.engine.SHORT_SLEEP", longest / 15.0),
            world_of(self.now, token),
            asyncio.Runner(loop_factory=lambda: self.loop) as runner,
        ):
            results = runner.run(asyncio.wait_for(self._live(), longest_of(self.plan)))
            self.network.settle(self.now())
            self.left_over = self.network.left(self.now())
        return results

    def close(self) -> None:
        """Let go of everything."""
        self.network.close()
        self.tables.close()
