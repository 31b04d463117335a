"""A world in which programs die: virtual time, a vendor in memory, and one seed per history.

A program that dies acts no more; the same script is then run again over the same ledger and
spool. After each history the vendor's books, the ledger and the results are compared with what
was promised.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from ai_batch.core import (
    ChatRequest,
    ItemEvent,
    Ledger,
    LedgerError,
    NativeProcessor,
    Options,
    OutcomeUnknown,
    Progress,
    ProviderUnavailable,
    QueueFull,
    RateLimited,
    Result,
    VendorFault,
)
from ai_batch.core.database import Row, Transaction
from ai_batch.core.events import CompleteEvent
from ai_batch.core.provider import RemoteState
from ai_batch.core.spool import JobFolder, Spool
from ai_batch.core.state import MOVES, ShardState
from ai_batch.core.testing import FakeBatch, FakeProvider, FakeVendor, Fate, Gate
from ai_batch.core.virtual import START, VirtualLoop, virtual_runtime

SETTLE_WAIT = 200.0
"""Seconds; longer than any lag of the simulated vendor, as the real one must be."""

SHORT_PAUSE = 125.0
"""Seconds; longer than a lease. With latency and lag it must stay below ``SETTLE_WAIT`` where no
file can be revoked: a create call that takes effect after it can't be told from a lost one."""

LONG_PAUSES = (SHORT_PAUSE, 600.0, 2500.0)

MOMENTS = ("before", "after")

LONGEST = 86400.0
"""Virtual seconds after which a history has hung."""


class Crash(BaseException):
    """The program was killed."""


# -- a world in which programs die ----------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Plan:
    """What one history is like; everything is drawn from its seed."""

    seed: int = 0
    requests: int = 4
    per_batch: int = 2
    metadata: bool = True
    uploads: bool = True
    foreign: bool = False
    deaths: list[int] = field(default_factory=list[int])
    programs: int = 1
    one_machine: bool = True
    pauses: int = 0
    pauses_before: str = ""
    pauses_for: float = LONG_PAUSES[-1]
    troubles: int = 0
    bad_fates: int = 0
    damages: int = 0
    losses: int = 0
    lag: float = 0.0
    latency: float = 0.0
    streams: bool = False
    progress: bool = False
    cancel_after: float | None = None
    max_batches: int | None = None
    poll_interval: float | None = 40.0


class Program:
    """One run of the script: it ends, or dies at a point that was chosen for it."""

    def __init__(self, dies_at: int | None = None, *, seen_to_die: bool = True) -> None:
        self.seen_to_die = seen_to_die
        self.dies_at = dies_at
        self.points: list[str] = []
        self.alive = True
        self.paused_until = 0.0
        self.seen: list[Progress] = []

    def check(self) -> None:
        """The dead do nothing."""
        if not self.alive:
            raise Crash("a dead program acted")

    def point(self, name: str) -> None:
        """A point at which the program may die."""
        self.check()
        self.points.append(name)
        if len(self.points) == self.dies_at:
            self.alive = False
            raise Crash(name)

    async def sleep(self, seconds: float) -> None:
        """Sleep, and longer while the whole program is paused."""
        await asyncio.sleep(seconds)
        await asyncio.sleep(self.paused_until - asyncio.get_running_loop().time())
        self.check()


class SimulatedTransaction:
    """One transaction on tables in memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._connection.execute(sql, tuple(parameters)).rowcount


class SimulatedDatabase:
    """One program's connection to the ledger; it may die just before and just after a commit."""

    def __init__(
        self, tables: sqlite3.Connection, clock: Callable[[], float], program: Program
    ) -> None:
        self._tables = tables
        self._program = program
        self.now = clock

    @contextmanager
    def transaction(self) -> Generator[Transaction, None, None]:
        self._program.check()
        before = self._tables.total_changes
        self._tables.execute("BEGIN IMMEDIATE")
        try:
            yield SimulatedTransaction(self._tables)
            changed = self._tables.total_changes > before
            if changed:
                self._program.point("commit")
            self._tables.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(str(error)) from error
        finally:
            if self._tables.in_transaction:
                self._tables.execute("ROLLBACK")
        if changed:
            self._program.point("committed")

    def close(self) -> None:
        """The tables live on."""


RUNNING: ContextVar[Program] = ContextVar("RUNNING")
"""The program that the current task belongs to."""

put_in_place, take_away = JobFolder.publish, JobFolder.withdraw
keep, discard = Spool.keep, Spool.discard


OWNERS: dict[str, Program] = {}


def simulated_owner() -> str:
    """A name by which the program is known."""
    name = secrets.token_hex(8)
    OWNERS[name] = RUNNING.get()
    return name


def simulated_is_gone(owner: str) -> bool:
    """Whether the owner is seen to be dead; on another machine nobody would know."""
    program = OWNERS[owner]
    return program.seen_to_die and not program.alive


def simulated_publish(folder: JobFolder, aside: Path, path: Path) -> None:
    """Put a file in its place; the program may die before and after that."""
    program = RUNNING.get()
    try:
        program.point(f"publish {path.suffix}")
    except Crash:
        # Whoever is killed here leaves the file behind.
        path.with_name(f"{path.name}.dead.tmp").write_bytes(b"")
        raise
    put_in_place(folder, aside, path)
    program.point(f"published {path.suffix}")


def simulated_withdraw(folder: JobFolder, path: Path) -> None:
    """Delete a file, as only the living do."""
    RUNNING.get().check()
    take_away(folder, path)


def simulated_keep(spool: Spool, folder: JobFolder) -> None:
    """End a planning, as only the living do."""
    if RUNNING.get().alive:
        keep(spool, folder)


def simulated_discard(spool: Spool, folder: JobFolder) -> None:
    """Delete a folder, as only the living do."""
    if RUNNING.get().alive:
        discard(spool, folder)


class World:
    """What outlives the programs of one history: the vendor, the ledger, the spool."""

    def __init__(self, home: Path, plan: Plan) -> None:
        self.home = home
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self._complain)
        self.complaints: list[str] = []
        self.vendor = FakeVendor(fate=self.fate, damage=self.damage)
        self.tables = sqlite3.connect(":memory:", isolation_level=None)
        self.requests = [
            ChatRequest(id=f"r{i}", messages=f"text {i}") for i in range(plan.requests)
        ]
        self.refused: set[str] = set()
        self.excused: set[str] = set()
        self.lost: set[bytes] = set()
        self.programs: list[Program] = []
        self.zombies = False
        self.finished_at = 0.0

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not isinstance(context.get("exception"), Crash):
            self.complaints.append(repr(context))

    def now(self) -> float:
        return START + self.loop.time()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # -- what goes wrong ------------------------------------------------------------------------

    def fate(self, batch: FakeBatch) -> Fate:
        """What becomes of a batch."""
        plan, draw = self.plan, self.random
        seconds = draw.choice([2.0, 30.0, 150.0]) if plan.seed else 60.0
        listed = draw.choice([0.0, plan.lag]) * draw.random()
        fate = Fate(seconds=seconds, listed_after=listed, known_after=listed)
        if not (plan.bad_fates and batch.token != "foreign" and self.chance(0.4)):
            return fate
        plan.bad_fates -= 1
        kind = draw.choice(["refused", "lines", "queue", "lost", "expired", "cancelled"])
        texts = [text for _, text in batch.requests]
        if kind == "refused":
            self.refused.update(texts)
            return Fate(seconds=seconds, state=RemoteState.REFUSED)
        if kind == "lines":
            line = draw.randint(1, len(texts))
            self.refused.add(texts[line - 1])
            faults = (VendorFault("this line is wrong", code="bad_line", line=line),)
            return Fate(seconds=seconds, state=RemoteState.REFUSED, faults=faults)
        if kind == "queue":
            return Fate(seconds=seconds, state=RemoteState.QUEUE_FULL)
        if kind == "lost" and plan.uploads:
            return Fate(seconds=seconds, state=RemoteState.INPUT_LOST)
        return Fate(seconds=seconds, executed=draw.random(), listed_after=listed)

    def damage(self, batch: FakeBatch, rows: list[bytes]) -> list[bytes]:
        """What a download looks like."""
        plan, draw = self.plan, self.random
        if plan.losses and rows and batch.ours and self.chance(0.3):
            plan.losses -= 1
            row = draw.choice(rows)
            self.lost.add(row)
            self.excused.update(text for id, text in batch.requests if f'"{id}"'.encode() in row)
        rows = [row for row in rows if row not in self.lost]
        if plan.seed:
            draw.shuffle(rows)
        if not (plan.damages and self.chance(0.5)):
            return rows
        plan.damages -= 1
        harm: dict[str, Callable[[], list[bytes]]] = {
            "missing": lambda: rows[1:],
            "empty": list,
            "torn": lambda: [*rows[:-1], *(row[: len(row) // 2] for row in rows[-1:])],
            "garbage": lambda: [b"<html>", b"\xff\xfe", *rows],
            "duplicate": lambda: rows + rows[:1],
            "foreign": lambda: [b'{"id":"aaaaaaaaaaaaaaaa-0","text":"foreign"}', *rows],
            "blank": lambda: [b"", *rows, b"\r"],
        }
        return harm[draw.choice(list(harm))]()

    def gate(self, program: Program) -> Gate:
        """What happens to one program's calls."""

        async def gate(call: str, moment: Literal["before", "after"]) -> None:
            await self._delay(program, f"{moment} {call}")
            program.point(f"{moment} {call}")
            if call == "create" and self.plan.foreign and self.chance(0.5):
                self._foreign()
            self._trouble(call, moment)

        return gate

    async def _delay(self, program: Program, call: str) -> None:
        if call == self.plan.pauses_before and not self.zombies:
            program.paused_until = self.loop.time() + self.plan.pauses_for
            self.zombies = True
        elif self.plan.pauses and self.chance(0.1):
            self.plan.pauses -= 1
            pause = self.random.choice(LONG_PAUSES if self.plan.uploads else [SHORT_PAUSE])
            program.paused_until = self.loop.time() + pause
            self.zombies = True
        latency = self.plan.latency * self.random.random() ** 4 if self.plan.latency else 0.0
        await program.sleep(latency)

    def _foreign(self) -> None:
        """Another program with the same key makes a batch of the same size."""
        number = self.vendor.number("foreign")
        lines = [f'{{"id":"{number}-{i}","text":"{number}"}}' for i in range(self.plan.per_batch)]
        self.vendor.add_batch("foreign", "\n".join(lines).encode(), self.now(), ours=False)

    def _trouble(self, call: str, moment: str) -> None:
        if not (self.plan.troubles and self.chance(0.2)):
            return
        self.plan.troubles -= 1
        wait = self.random.choice([None, 1.0, 40.0])
        if moment == "after":
            raise OutcomeUnknown("the connection was cut")
        kinds = [ProviderUnavailable, RateLimited]
        if call == "create":
            kinds += [QueueFull, OutcomeUnknown]
        raise self.random.choice(kinds)("trouble", retry_after=wait)

    # -- programs -------------------------------------------------------------------------------

    def processor(self, program: Program) -> NativeProcessor:
        runtime = virtual_runtime(self.loop, self.random.random)
        ledger = Ledger(SimulatedDatabase(self.tables, runtime.clock, program))
        ledger.phase = 0.25  # Else it would be drawn anew for each run of the same seed.
        options = Options(
            home=self.home,
            ledger=ledger,
            runtime=type(runtime)(
                clock=runtime.clock,
                sleep=program.sleep,
                random=self.random.random,
                inline=True,
            ),
            max_batches_in_flight=self.plan.max_batches,
            settle_wait=SETTLE_WAIT,
            max_attempts=8,
            poll_interval=self.plan.poll_interval,
            on_progress=program.seen.append if self.plan.progress else None,
        )
        provider = FakeProvider(
            self.vendor,
            clock=self.now,
            gate=self.gate(program),
            metadata=self.plan.metadata,
            uploads=self.plan.uploads,
            max_requests=self.plan.per_batch,
        )
        return NativeProcessor(lambda: provider, options)

    async def script(self, program: Program) -> list[Result]:
        """What the user wrote. It is run again when it has died."""
        processor = self.processor(program)
        if self.plan.cancel_after is not None:
            return await self._cancelled(processor, program)
        if self.plan.streams:
            return await self._streamed(processor)
        response = await processor.aprocess(self.requests)
        return response[:]

    async def _streamed(self, processor: NativeProcessor) -> list[Result]:
        items: list[Result] = []
        response = None
        async for event in processor.astream(self.requests):
            if isinstance(event, ItemEvent):
                items.append(event.result)
            if isinstance(event, CompleteEvent):
                response = event.response
        assert response is not None
        results = response[:]
        assert sorted(items, key=lambda item: item.index) == results
        return results

    async def _cancelled(self, processor: NativeProcessor, program: Program) -> list[Result]:
        cancelling = [job for job in processor.jobs() if job.state in {"cancelling", "cancelled"}]
        if cancelling:
            job = processor.attach(cancelling[0].id)
        else:
            job = await processor.asubmit(self.requests)
            await program.sleep(self.plan.cancel_after or 0.0)
        return (await job.acancel())[:]

    async def live(self) -> list[list[Result]]:
        """Run the script, again and again until it ends; several at once where planned."""
        return list(await asyncio.gather(*(self._generations() for _ in range(self.plan.programs))))

    async def _generations(self) -> list[Result]:
        while True:
            deaths = self.plan.deaths
            death = deaths.pop(0) if deaths else None
            program = Program(death, seen_to_die=self.plan.one_machine)
            self.programs.append(program)
            RUNNING.set(program)
            try:
                return await self.script(program)
            except Crash:
                assert not program.alive
            await asyncio.sleep(1.0)

    def run(self) -> list[list[Result]]:
        """One history, from the first program's start until one has ended."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            results = runner.run(asyncio.wait_for(self.live(), LONGEST))
            self.finished_at = self.now()
        return results


# -- what must hold after every history -----------------------------------------------------------


def check(world: World, results: list[Result]) -> None:
    """Every promise, on one history."""
    plan, vendor = world.plan, world.vendor
    assert [result.index for result in results] == list(range(plan.requests))
    assert [result.id for result in results] == [request.id for request in world.requests]
    for batch in vendor.batches.values():
        vendor.settle(batch, world.finished_at)
    for result in results:
        check_result(world, result)
    for batch in vendor.batches.values():
        assert batch.ours or batch.cancelled_at is None, "another program's batch was cancelled"
    running = [batch.remote_id for batch in vendor.running(world.finished_at)]
    assert not running, f"left running at the vendor: {running}"
    # An upload that was paused for long may arrive after all is done, and without metadata a batch
    # that came back without a row is never known as ours; vendors let files expire.
    rowless = {f"{batch.remote_id}-output" for batch in vendor.batches.values() if not batch.rows}
    ours = {id for id, (token, _) in vendor.files.items() if token != "foreign"}
    loose = sorted(ours if plan.metadata else ours - rowless)
    assert not loose or world.zombies or world.lost, f"left at the vendor: {loose}"
    check_ledger(world.tables)
    folders = [path.name for path in world.home.glob("jobs/*")]
    assert len(folders) == 1, f"plannings were left: {folders}"
    left = [path.name for path in world.home.glob("jobs/*/*") if path.suffix == ".tmp"]
    assert not left or len(world.programs) > 1, f"left in the spool: {left}"
    for program in world.programs:
        check_progress(program.seen)
    assert not world.complaints, world.complaints


def check_result(world: World, result: Result) -> None:
    """One request: answered as without faults, and paid for once."""
    text = f"text {result.index}"
    times = world.vendor.executed[text]
    if result.error is not None:
        cancelled = world.plan.cancel_after is not None
        assert cancelled or text in world.refused, f"{text}: {result.error}"
        assert times == 0 or text in world.excused, f"{text} was paid for: {result.error}"
        return
    assert result.chat is not None
    answers = {f"answer to {text} #{number}" for number in range(1, times + 1)}
    assert result.chat.content in answers
    assert times == 1 or text in world.excused, f"{text} was paid for {times} times"


def check_progress(seen: Sequence[Progress]) -> None:
    """Counts of what is done only grow."""
    for name in ("completed", "failed", "batches_done"):
        values = [getattr(progress, name) for progress in seen]
        assert values == sorted(values), f"{name} went backwards: {values}"


def check_ledger(connection: sqlite3.Connection) -> None:
    """Budgets are given back, and each shard has made allowed moves only."""
    held = connection.execute("SELECT used_batches, used_tokens FROM budget").fetchall()
    assert set(held) <= {(0, 0)}, f"budget still held: {held}"
    assert connection.execute("SELECT COUNT(*) FROM job").fetchone() == (1,)
    rows = connection.execute(
        "SELECT seq, from_state, to_state FROM event WHERE to_state IS NOT NULL"
        " AND seq IS NOT NULL ORDER BY rowid"
    )
    states: dict[int, str] = {}
    for seq, before, after in rows:
        assert before == states.get(seq, "planned"), f"shard {seq}: {before} out of nowhere"
        assert ShardState(after) in MOVES[ShardState(before)]
        states[seq] = after
    assert set(states.values()) <= {"collected", "failed"}


def simulate(home: Path, plan: Plan) -> World:
    """Run and check one history."""
    home.mkdir()
    world = World(home, plan)
    try:
        for results in world.run():
            check(world, results)
    finally:
        world.tables.close()
        OWNERS.clear()
    return world


def simulate_all(home: Path, plans: Iterable[Plan]) -> None:
    """Run and check one history after the other."""
    for plan in plans:
        simulate(home / secrets.token_hex(8), plan)


def nothing(*_: object) -> None:
    """Do nothing."""


def simulate_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs die here, not machines: nothing needs to reach the disk, or to last until exit."""
    monkeypatch.setattr(os, "fsync", nothing)
    monkeypatch.setattr("ai_batch.core.run.read_to_end", nothing)
    monkeypatch.setattr(JobFolder, "publish", simulated_publish)
    monkeypatch.setattr(JobFolder, "withdraw", simulated_withdraw)
    monkeypatch.setattr("ai_batch.core.engine.new_owner", simulated_owner)
    monkeypatch.setattr("ai_batch.core.engine.is_gone", simulated_is_gone)
    monkeypatch.setattr(Spool, "keep", simulated_keep)
    monkeypatch.setattr(Spool, "discard", simulated_discard)
