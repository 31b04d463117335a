"""Runs and checks one history."""

from __future__ import annotations

import logging
import shutil
import tempfile
import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.checks import check
from tests.simulation.dice import Incident
from tests.simulation.fake_network import FakeNetwork
from tests.simulation.plan import FAKES, Plan
from tests.simulation.seams import simulated
from tests.simulation.world import Network, World

__all__ = ["Outcome", "outcome_of", "simulate", "simulate_all"]

MEMORY = Path("/dev/shm")  # noqa: S108 - only names of our own are made there


def _network(world: World) -> Network:
    if world.plan.provider in FAKES:
        return FakeNetwork(world)
    # Only now: the SDKs take seconds to import.
    from tests.simulation.emulated import EmulatedNetwork

    return EmulatedNetwork(world)


@contextmanager
def _home() -> Generator[Path]:
    """A folder for one history, in memory where the system has such a place."""
    home = tempfile.mkdtemp(prefix="ai-batch-sim-", dir=MEMORY if MEMORY.is_dir() else None)
    try:
        yield Path(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _quietly() -> Generator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _run(world: World) -> None:
    try:
        for results in world.run():
            check(world, results)
    finally:
        world.close()


def simulate(plan: Plan) -> World:
    """Run and check one history; raises what is found wrong."""
    with _quietly(), simulated(), _home() as home:
        world = World(home, plan, _network)
        _run(world)
    return world


def simulate_all(plans: Iterable[Plan]) -> None:
    """Run and check one history after the other."""
    for plan in plans:
        simulate(plan)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a history: ``failure`` says what was wrong in it."""

    plan: Plan
    incidents: list[Incident]
    trace: list[str]
    failure: str | None = None


def outcome_of(plan: Plan) -> Outcome:
    """Run and check one history; what is found wrong is told."""
    failure = None
    with _quietly(), simulated(), _home() as home:
        world = World(home, plan, _network)
        try:
            _run(world)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            last = traceback.extract_tb(error.__traceback__)[-3:]
            failure = f"{type(error).__name__}: {error}\n{''.join(traceback.format_list(last))}"
    return Outcome(plan, world.dice.incidents, world.trace, failure)
