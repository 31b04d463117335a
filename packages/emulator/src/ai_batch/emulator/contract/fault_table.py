"""The table of faults, held against a provider row by row; and what time alone brings about."""

from __future__ import annotations

import time

import pytest

from ai_batch.emulator.contract.crash_scene import until
from ai_batch.emulator.contract.fault_kinds import FAULT_KINDS, FaultKind
from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.options import Timing

__all__ = ["FaultTableContract"]

MINUTE = 60.0
HOUR = 3600.0


class FaultTableContract(WithLaboratory):
    """Whatever goes wrong, and wherever: one result per request, and nothing is paid for twice."""

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("kind", FAULT_KINDS, ids=lambda kind: f"{kind.group}: {kind.name}")
    def test_a_row_of_the_table(self, lab: Laboratory, kind: FaultKind) -> None:
        """The first call of every route is struck; the job ends as if nothing had been."""
        first = lab.requests(1, word="the first")
        lab.check(first, lab.processor().process(first))
        routes = list(lab.emulator.stats.requests)
        for fault in kind.faults(routes, lab.subject.results):
            lab.emulator.inject(fault)
        before = lab.emulator.stats.batches_created
        requests = lab.requests(5, word=kind.name)
        lab.check(requests, lab.processor(shard=2, **kind.options).process(requests))
        assert lab.emulator.stats.batches_created - before == 3 + kind.loses

    @pytest.mark.parametrize("lag", [1.0, 10.0, MINUTE])
    @pytest.mark.parametrize(
        "loss", [{"cut": "after"}, {"status": 500, "effect": True}, {"spoil": "empty_object"}]
    )
    def test_a_create_whose_answer_was_lost_is_never_repeated(
        self, make_lab: MakeLab, lag: float, loss: dict[str, object]
    ) -> None:
        """The vendor's list shows the batch only ``lag`` seconds later: we wait, and adopt it."""
        lab = make_lab(speed=200.0)
        lost = Fault(route="batches.create", nth=1, **loss)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lab.emulator.inject(lost)
        lab.emulator.inject(Fault(route="batches.list", hide_seconds=lag / lab.clock.speed))
        requests = lab.requests(3)
        # As it comes: a quarter of an hour, which no test has to wait for.
        lab.check(requests, lab.processor(settle_wait=15 * MINUTE).process(requests))
        assert lab.emulator.stats.creates_attempted == 1

    @pytest.mark.parametrize("jump", [HOUR, -5 * MINUTE, 25 * HOUR], ids=["hour", "back", "day"])
    def test_the_clock_may_jump(self, make_lab: MakeLab, jump: float) -> None:
        """A clock that is set while batches run delays nothing for good, and repeats nothing."""
        lab = make_lab(timing=Timing(in_progress=0.3))
        requests = lab.requests(5)
        job = lab.processor(shard=2).submit(requests)
        until(lambda: lab.emulator.stats.batches_created >= 3)
        lab.clock.advance(jump)
        lab.check(requests, job.join())
        assert lab.emulator.stats.creates_attempted == 3

    def test_the_server_may_be_away_for_a_while(self, make_lab: MakeLab) -> None:
        """Nobody listens at the vendor's port for some minutes: the job waits, and goes on."""
        lab = make_lab(timing=Timing(in_progress=0.2))
        requests = lab.requests(5)
        job = lab.processor(shard=2).submit(requests)
        until(lambda: lab.emulator.stats.batches_created >= 3)
        lab.emulator.inject(Fault(route="*", cut="before"))
        lab.clock.advance(10 * MINUTE)
        time.sleep(0.3)
        lab.emulator.clear_faults()
        lab.check(requests, job.join())
        assert lab.emulator.stats.creates_attempted == 3
