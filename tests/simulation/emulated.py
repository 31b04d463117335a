"""The real providers and their SDKs, against the emulator's own routing in this very process.

There are no sockets: a request of an SDK is handed to the emulator's routes as one of ASGI. What
happens to it on the way, and what the vendor makes of it, is drawn from the history's seed.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import replace
from unittest.mock import patch

from ai_batch.core import NativeProcessor, Options
from ai_batch.emulator.json_types import JsonObject, as_object, decode, encode
from ai_batch.emulator.options import Options as EmulatorOptions
from ai_batch.emulator.options import Timing
from ai_batch.emulator.world import World as EmulatorWorld
from tests.simulation.asgi import Answer, Asked, Switchboard
from tests.simulation.cabling import LINE
from tests.simulation.plan import DAY
from tests.simulation.programs import RUNNING, Program
from tests.simulation.still_emulator import MemoryStore, StillAgenda
from tests.simulation.subjects import SUBJECTS
from tests.simulation.troubles import Trouble, VendorFaults, draw_trouble
from tests.simulation.world import World

__all__ = ["EmulatedNetwork"]

TIMEOUT = 60.0
"""Seconds after which a client gives up."""

_TEXT = re.compile(rb"(?:text|alien) \d+")

_TOKEN = re.compile(rb'"custom_id": ?"[a-z2-7]+-')

ALIEN = b'"custom_id":"aaaaaaaaaaaaaaaa-'

ENDED = frozenset(
    ("failed", "completed", "expired", "cancelled", "ended", "succeeded", "partially_succeeded")
)


class EmulatedNetwork:
    """One emulated vendor, and the calls to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.subject = SUBJECTS[world.plan.provider]
        self.faults = VendorFaults(world, self.subject)
        self._executed: Counter[str] = Counter()
        self._aliens: list[str] = []
        self._under_way: set[asyncio.Task[Answer]] = set()
        options = EmulatorOptions(
            seed=world.plan.seed,
            answer=self._answer,
            timing=Timing(
                validating=(0.0, min(20.0, world.plan.slowest)),
                in_progress=(1.0, world.plan.slowest),
                finalizing=(0.0, 5.0),
                cancelling=(0.0, 30.0),
            ),
            **(self.subject.tight if world.plan.tight else {}),
        )
        with (
            patch("ai_batch.emulator.world.Agenda", StillAgenda),
            patch("ai_batch.emulator.world.Store", MemoryStore),
        ):
            self.emulator = EmulatorWorld(world.home / "vendor", options, self.faults)
        vendor = self.subject.vendor(self.emulator)
        self._vendor = vendor
        self._switchboard = Switchboard(vendor.routes())

    # -- the vendor -----------------------------------------------------------------------------

    def _answer(self, endpoint: str, body: JsonObject) -> tuple[int, JsonObject] | None:
        """Have the emulator answer as it does by itself, unless the item is to fail."""
        del endpoint
        found = _TEXT.search(encode(body))
        assert found is not None, body
        text = found[0].decode()
        status = self.faults.item(text)
        if status is not None:
            return status, self.subject.item_error(status)
        self._executed[text] += 1
        self._world.note(f"vendor executes {text}")
        return None

    def settle(self, now: float) -> None:
        """Do all work that is due; the emulator's clock is the world's."""
        del now
        self.emulator.agenda.settle()

    # -- the way --------------------------------------------------------------------------------

    async def exchange(self, asked: Asked) -> Answer:
        """One call of an SDK, whatever becomes of it on the way."""
        program = RUNNING.get()
        world = self._world
        self.settle(world.now())
        name = self._switchboard.name(asked)
        await world.delay(program, f"before {name}")
        program.point(f"before {name}")
        if name == "batches.create" and world.plan.foreign and world.dice.chance("foreign", 0.5):
            await self._foreign(asked)
        trouble = draw_trouble(world, self.subject, name)
        answer = await self._reached(asked, trouble, program)
        await world.delay(program, f"after {name}")
        program.point(f"after {name}: {answer.status}")
        if trouble is not None:
            await self._lose(trouble, program)
            answer = trouble.spoil(answer)
        return answer

    async def _reached(self, asked: Asked, trouble: Trouble | None, program: Program) -> Answer:
        """What the vendor says, if the call gets there."""
        if trouble is None or trouble.where == "answer":
            self.faults.next = None if trouble is None else trouble.fault
            return await self._arrive(asked)
        if trouble.where == "late":
            late = asyncio.create_task(self._arrive_late(asked, trouble.seconds))
            self._under_way.add(late)
        await self._lose(trouble, program)
        raise AssertionError(trouble)

    async def _lose(self, trouble: Trouble, program: Program) -> None:
        if trouble.times_out:
            await program.sleep(TIMEOUT)
        if trouble.error is not None:
            raise trouble.error(trouble.what)

    async def _arrive(self, asked: Asked) -> Answer:
        self.settle(self._world.now())
        try:
            answer = await self._switchboard.answer(asked)
        except Exception as error:
            self._world.complaints.append(f"the emulator failed: {error!r}")
            raise
        self.settle(self._world.now())
        return answer

    async def _arrive_late(self, asked: Asked, seconds: float) -> Answer:
        """A request that its sender has given up still takes effect."""
        await asyncio.sleep(seconds)
        answer = await self._arrive(asked)
        self._world.note(f"a late call has arrived: {answer.status}")
        return answer

    async def _foreign(self, asked: Asked) -> None:
        """Another program with the same key makes a batch of the same size."""
        body = _TOKEN.sub(ALIEN, asked.body).replace(b"text ", b"alien ")
        headers = [pair for pair in asked.headers if pair[0] != b"content-length"]
        answer = await self._switchboard.answer(replace(asked, body=body, headers=headers))
        if answer.status == 200:
            self._aliens.append(str(as_object(decode(answer.body))["id"]))

    async def _check_aliens(self) -> None:
        """Nobody may have touched the batches of another program."""
        for id in self._aliens:
            url = f"http://127.0.0.1:1/anthropic/v1/messages/batches/{id}"
            headers = [(b"x-api-key", b"sk-sim"), (b"anthropic-version", b"2023-06-01")]
            answer = await self._switchboard.answer(Asked("GET", url, headers, b""))
            if b'"cancel_initiated_at":null' not in answer.body:
                self._world.complaints.append(f"another program's batch was touched: {id}")

    # -- what the world asks --------------------------------------------------------------------

    def processor(self, program: Program, options: Options) -> NativeProcessor:
        """A processor of one program."""
        LINE.set(self.exchange)
        return self.subject.make(self._world.plan.per_batch, options)

    async def quiet(self) -> None:
        """Wait for the calls that are late, and for the cancelled batches to end."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        await asyncio.sleep(max(TIMEOUT, self._world.plan.slowest if self._aliens else 0.0))
        self.settle(self._world.now())
        await self._check_aliens()

    def times(self, text: str) -> int:
        """How often it was executed."""
        return self._executed[text]

    def answer_fits(self, text: str, answer: str) -> bool:
        """Whether this is its echo."""
        return answer == text

    def may_repeat(self, text: str) -> bool:
        """Whether a row of its was lost for good."""
        return text in self.faults.repeats

    def may_fail(self, text: str, code: str) -> bool:
        """Whether it, or its batch, was refused."""
        if code == "batch_expired":
            return self._world.plan.slowest > DAY
        return text in self.faults.refused or (code == "batch_refused" and self.faults.refuses)

    def left(self, now: float) -> list[str]:
        """Batches that run, and files."""
        del now
        statuses = self._vendor.batches_by_status()
        left = [f"{count} {status}" for status, count in statuses.items() if status not in ENDED]
        files = self._vendor.files_live()
        if files and not (self._world.zombies or self._world.rested or self.faults.keeps_files):
            left.append(f"{files} files")
        return left

    def close(self) -> None:
        """Let go of everything."""
        self.emulator.close()
