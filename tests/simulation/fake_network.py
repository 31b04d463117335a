"""The made-up vendor of ``ai_batch.core.testing`` as a network: quick, with any vendor's semantics.

What becomes of batches, downloads and calls is drawn from the history's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ai_batch.core import (
    NativeProcessor,
    Options,
    OutcomeUnknown,
    ProviderUnavailable,
    QueueFull,
    RateLimited,
    VendorFault,
)
from ai_batch.core.provider import RemoteState
from ai_batch.core.results import ItemError
from ai_batch.core.testing import FakeBatch, FakeProvider, FakeVendor, Fate, Gate
from tests.simulation.programs import Program
from tests.simulation.world import World

__all__ = ["FakeNetwork"]

NEVER = 1e12
"""Seconds; longer than any history."""

FATES = ("refused", "lines", "queue", "input lost", "expired", "expired", "vanished")


class FakeNetwork:
    """A vendor in memory, and the calls to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = world.dice
        self.vendor = FakeVendor(fate=self._fate, damage=self._damage, answer=self._answer)
        self.provider: Callable[..., FakeProvider] = FakeProvider
        self._refused: set[str] = set()
        self._repeats: set[str] = set()
        self._lost: set[bytes] = set()
        self._vanished = False

    # -- what goes wrong at the vendor ----------------------------------------------------------

    def _fate(self, batch: FakeBatch) -> Fate:
        """What becomes of a batch."""
        world, dice, plan = self._world, self._dice, self._world.plan
        seconds = dice.choice("seconds", [2.0, 30.0, plan.slowest]) if plan.seed else 60.0
        listed = dice.choice("listed", [0.0, plan.lag]) * dice.fraction("lag")
        well = Fate(seconds=seconds, listed_after=listed, known_after=listed)
        if batch.token == "foreign" or not world.wanted("bad_fates", "fate", 0.4):
            return well
        kind = dice.choice("kind of fate", FATES)
        if not dice.happens("fate", f"{batch.remote_id} is {kind}"):
            return well
        return self._bad_fate(kind, batch, seconds, listed)

    def _bad_fate(self, kind: str, batch: FakeBatch, seconds: float, listed: float) -> Fate:
        texts = [text for _, text in batch.requests]
        if kind == "refused":
            self._refused.update(texts)
            return Fate(seconds=seconds, state=RemoteState.REFUSED)
        if kind == "vanished":
            self._refused.update(texts)
            self._vanished = True
            return Fate(seconds=seconds, state=RemoteState.REFUSED, known_after=NEVER)
        if kind == "lines":
            line = 1 + int(self._dice.fraction("line") * len(texts))
            self._refused.add(texts[line - 1])
            faults = (VendorFault("this line is wrong", code="bad_line", line=line),)
            return Fate(seconds=seconds, state=RemoteState.REFUSED, faults=faults)
        if kind == "queue":
            return Fate(seconds=seconds, state=RemoteState.QUEUE_FULL)
        if kind == "input lost" and self._world.plan.uploads:
            return Fate(seconds=seconds, state=RemoteState.INPUT_LOST)
        executed = self._dice.fraction("executed")
        return Fate(seconds=seconds, executed=executed, listed_after=listed)

    def _answer(self, text: str, times: int) -> str | ItemError:
        world = self._world
        if world.wanted("bad_items", "item", 0.2):
            kind = self._dice.choice("kind of item", ["overloaded", "overloaded", "invalid"])
            if self._dice.happens("item", f"{text} is {kind}"):
                if kind == "invalid":
                    self._refused.add(text)
                return ItemError(code=kind, message=kind, retryable=kind == "overloaded")
        return f"answer to {text} #{times}"

    def _damage(self, batch: FakeBatch, rows: list[bytes]) -> list[bytes]:
        """What a download looks like."""
        world, dice = self._world, self._dice
        if (
            rows
            and batch.ours
            and world.wanted("losses", "loss", 0.3)
            and dice.happens("loss", f"a row of {batch.remote_id} is lost for ever")
        ):
            row = dice.choice("row", rows)
            self._lost.add(row)
            self._repeats.update(text for id, text in batch.requests if f'"{id}"'.encode() in row)
        rows = [row for row in rows if row not in self._lost]
        if world.plan.seed:
            rows = dice.shuffled("order", rows)
        if not world.wanted("damages", "damage", 0.5):
            return rows
        kind = dice.choice("kind of damage", list(DAMAGES))
        return DAMAGES[kind](rows) if dice.happens("damage", f"{kind} download") else rows

    # -- what goes wrong on the way -------------------------------------------------------------

    def _gate(self, program: Program) -> Gate:
        """What happens to one program's calls."""

        async def gate(call: str, moment: Literal["before", "after"]) -> None:
            await self._world.delay(program, f"{moment} {call}")
            program.point(f"{moment} {call}")
            if call == "create" and self._world.plan.foreign and self._dice.chance("foreign", 0.5):
                self._foreign()
            self._trouble(call, moment)

        return gate

    def _foreign(self) -> None:
        """Another program with the same key makes a batch of the same size."""
        number = self.vendor.number("foreign")
        count = self._world.plan.per_batch
        lines = [f'{{"id":"{number}-{i}","text":"{number}"}}' for i in range(count)]
        self.vendor.add_batch("foreign", "\n".join(lines).encode(), self._world.now(), ours=False)

    def _trouble(self, call: str, moment: str) -> None:
        if not self._world.wanted("troubles", f"{moment} {call}", 0.2):
            return
        wait = self._dice.choice("retry after", [None, 1.0, 40.0])
        kinds = [ProviderUnavailable, RateLimited]
        if call == "create":
            kinds += [QueueFull, OutcomeUnknown]
        kind = OutcomeUnknown if moment == "after" else self._dice.choice("trouble", kinds)
        if self._dice.happens("trouble", f"{kind.__name__} {moment} {call}"):
            raise kind("trouble", retry_after=wait)

    # -- what the world asks --------------------------------------------------------------------

    def processor(self, program: Program, options: Options) -> NativeProcessor:
        """A processor of one program."""
        plan = self._world.plan
        provider = self.provider(
            self.vendor,
            clock=self._world.now,
            gate=self._gate(program),
            metadata=plan.metadata,
            uploads=plan.uploads,
            max_requests=plan.per_batch,
        )
        return NativeProcessor(lambda: provider, options)

    async def quiet(self) -> None:
        """Calls are never under way here."""

    def settle(self, now: float) -> None:
        """Work through all batches that have ended."""
        for batch in self.vendor.batches.values():
            self.vendor.settle(batch, now)

    def times(self, text: str) -> int:
        """How often it was executed."""
        return self.vendor.executed[text]

    def answer_fits(self, text: str, answer: str) -> bool:
        """Whether this was answered once."""
        times = self.times(text)
        return answer in {f"answer to {text} #{number}" for number in range(1, times + 1)}

    def may_repeat(self, text: str) -> bool:
        """Whether its row was lost."""
        return text in self._repeats

    def may_fail(self, text: str, code: str) -> bool:
        """Whether its batch or its line was refused, or there is no row to know its batch by.

        Without names a shard then looks for its row in all batches, until one is left that has
        vanished. One that has may have been that of any create call without an answer.
        """
        vanished = self._vanished and not self._world.plan.metadata
        lost = code == "batch_lost" and (vanished or self._has_no_row(text))
        return text in self._refused or lost

    def _has_no_row(self, text: str) -> bool:
        rowless = (batch for batch in self.vendor.batches.values() if not batch.rows)
        return text in self._repeats or any(
            asked == text for batch in rowless for _, asked in batch.requests
        )

    def left(self, now: float) -> list[str]:
        """Batches that run, other programs' that were cancelled, and files."""
        world, vendor = self._world, self.vendor
        batches = vendor.batches.values()
        left = [batch.remote_id for batch in vendor.running(now)]
        left += [one.remote_id for one in batches if not one.ours and one.cancelled_at is not None]
        # An upload that was paused for long may arrive after all is done, and without metadata a
        # batch that came back without a row is never known as ours; vendors let files expire.
        rowless = {f"{batch.remote_id}-output" for batch in batches if not batch.rows}
        ours = {id for id, (token, _) in vendor.files.items() if token != "foreign"}
        loose = ours if world.plan.metadata else ours - rowless
        if world.zombies or self._lost or world.rested:
            loose = set[str]()
        return left + sorted(loose)

    def close(self) -> None:
        """There is nothing to close."""


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "missing": lambda rows: rows[1:],
    "empty": lambda _: [],
    "torn": lambda rows: [*rows[:-1], *(row[: len(row) // 2] for row in rows[-1:])],
    "garbage": lambda rows: [b"<html>", b"\xff\xfe", *rows],
    "duplicate": lambda rows: rows + rows[:1],
    "foreign": lambda rows: [b'{"id":"aaaaaaaaaaaaaaaa-0","text":"foreign"}', *rows],
    "blank": lambda rows: [b"", *rows, b"\r"],
}
