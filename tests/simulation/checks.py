"""What must hold after every history."""

from __future__ import annotations

from collections.abc import Sequence

from ai_batch.core import Progress, Result
from ai_batch.core.spool import PLANNING
from ai_batch.core.state import MOVES, ShardState
from tests.simulation.world import World

__all__ = ["check"]

OPEN = frozenset({"planned", "reserved", "uploaded", "intent", "submitted", "ended"})


def check(world: World, results: list[Result]) -> None:
    """Every promise, on one history."""
    plan = world.plan
    assert [result.index for result in results] == list(range(plan.requests))
    assert [result.id for result in results] == [request.id for request in world.requests]
    for result in results:
        _check_result(world, result)
    assert not world.left_over, f"left at the vendor: {world.left_over}"
    _check_ledger(world)
    _check_spool(world)
    for program in world.programs:
        _check_progress(program.seen)
    assert not world.complaints, world.complaints


def _check_result(world: World, result: Result) -> None:
    """One request: answered as without faults, and paid for once."""
    text, network = f"text {result.index}", world.network
    times = network.times(text)
    if result.error is not None:
        cancelled = world.plan.cancel_after is not None
        lost = world.rested and result.error.code == "results_unavailable"
        fails = cancelled or lost or network.may_fail(text, result.error.code)
        assert fails, f"{text}: {result.error}"
        assert times == 0 or lost or network.may_repeat(text), (
            f"{text} was paid for: {result.error}"
        )
    else:
        assert result.chat is not None
        assert network.answer_fits(text, result.chat.content), f"{text}: {result.chat.content}"
    assert times <= 1 or network.may_repeat(text), f"{text} was paid for {times} times"


def _check_progress(seen: Sequence[Progress]) -> None:
    """Counts of what is done only grow."""
    for name in ("completed", "failed", "batches_done"):
        values = [getattr(progress, name) for progress in seen]
        assert values == sorted(values), f"{name} went backwards: {values}"


def _check_ledger(world: World) -> None:
    """Budgets and leases are given back, and each shard has made allowed moves only."""
    tables = world.tables
    held = tables.execute("SELECT used_batches, used_tokens FROM budget").fetchall()
    assert set(held) <= {(0, 0)}, f"budget still held: {held}"
    assert tables.execute("SELECT COUNT(*) FROM job").fetchone() == (1,)
    # Whoever died right after its last step holds what nobody needs any more.
    dead = [program.name for program in world.programs if not program.alive]
    leased = tables.execute("SELECT seq FROM shard WHERE owner IS NOT NULL").fetchall()
    assert not leased or dead, f"leases still held: {leased}"
    told = tables.execute(
        "SELECT seq, from_state, to_state, fence FROM event"
        " WHERE seq IS NOT NULL AND to_state IS NOT NULL ORDER BY rowid"
    ).fetchall()
    moved = tables.execute(
        "SELECT seq, from_state, to_state, fence FROM moved ORDER BY rowid"
    ).fetchall()
    assert told == moved, f"the event log tells {set(told) ^ set(moved)}"
    states: dict[int, str] = {}
    fences: dict[int, int] = {}
    for seq, before, after, fence in moved:
        assert before == states.get(seq, "planned"), f"shard {seq}: {before} out of nowhere"
        assert ShardState(after) in MOVES[ShardState(before)], f"shard {seq}: {before} -> {after}"
        assert fence >= fences.get(seq, 0), f"shard {seq} was moved by one who had lost it"
        states[seq], fences[seq] = after, fence
    open_still = tables.execute("SELECT seq, state FROM shard WHERE NOT cleaned").fetchall()
    assert not open_still, f"not done: {open_still}"
    assert not OPEN & set(states.values())


def _check_spool(world: World) -> None:
    ((own,),) = world.tables.execute("SELECT folder FROM job").fetchall()
    folders = set(world.home.glob("home/jobs/*"))
    others = folders - {world.home / "home" / own}
    assert len(others) == len(folders) - 1, f"the job's own folder is gone: {folders}"
    plannings = [path.name for path in others if (path / PLANNING).exists()]
    assert len(plannings) == len(others), f"jobs of nobody were left: {others}"
    # Of one that died when all others had planned already: the next call deletes it.
    dead = [program for program in world.programs if not program.alive]
    assert len(plannings) <= len(dead), f"plannings were left: {plannings}"
    left = [path.name for path in world.home.glob("home/jobs/*/*") if path.suffix == ".tmp"]
    assert not left or len(world.programs) > 1, f"left in the spool: {left}"
