"""A script that is killed, at every point at which something has just become visible to others.

Whatever the point: the same script, run again, ends with one result per request, each executed and
billed once, with nothing left at the vendor and nothing held in the ledger.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from ai_batch.emulator.contract.answers import Moody
from ai_batch.emulator.contract.crash_scene import KILLED, Nursery, Scene, until
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.options import Timing

__all__ = ["DELIVERY", "CrashContract", "WithNursery"]

SLICES = 4
FEWEST_POINTS = 20
DELIVERY = "commit of change_job (delivered_at)"
"""Behind it all results have been printed: there is nothing to go on with."""


TROUBLES: Mapping[str, Fault] = {
    "a create whose answer is lost": Fault(route="batches.create", nth=1, cut="after"),
    "a create that never arrives": Fault(route="batches.create", nth=1, cut="before"),
    "a create that comes too soon": Fault(route="batches.create", nth=1, status=429),
    "a create without its input": Fault(route="batches.create", nth=1, status=503, effect=True),
    "polls that fail": Fault(route="batches.get", nth=1, status=500),
}
"""What makes a job take steps that it does not take otherwise."""


class WithNursery(WithLaboratory):
    """Tests of scripts that run in processes of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def nursery(cls) -> Iterator[Nursery]:
        """The warm parent, for all tests of this class."""
        nursery = Nursery(cls.subject.place)
        yield nursery
        nursery.close()


class CrashContract(WithNursery):
    """The script goes on, wherever it was killed.

    Killed before a step it leaves what it leaves after the step before: ``both_sides`` tests that
    as well, at twice the time.
    """

    both_sides: ClassVar[bool] = True

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("part", range(SLICES))
    @pytest.mark.crash
    def test_a_script_goes_on_wherever_it_was_killed(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path, part: int
    ) -> None:
        """Killed when it reaches a point first, and again among several batches."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        kills = self._kills(Scene(nursery, lab, tmp_path, "not killed"))
        assert len(kills) >= FEWEST_POINTS
        for point, time_of_it in kills[part::SLICES]:
            scene = Scene(nursery, lab, tmp_path, f"{point} {time_of_it}")
            scene.suffer((point, time_of_it))
            scene.check()

    def _kills(self, scene: Scene) -> list[tuple[str, int]]:
        """Where a run can be killed: each point when it is first reached, calls the third time."""
        assert scene.run() == 0, scene.errors()
        scene.check()
        wanted = ("before ", "after ") if self.both_sides else ("after ",)
        seen = [point for point in scene.points() if point.startswith(wanted)]
        seen = [point for point in seen if point != f"after {DELIVERY}"]
        often = {point for point in seen if seen.count(point) >= 3 and "/" in point}
        return [(point, 1) for point in dict.fromkeys(seen)] + [(point, 3) for point in often]

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("trouble", TROUBLES)
    @pytest.mark.crash
    def test_a_script_goes_on_wherever_it_was_killed_in_trouble(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path, trouble: str
    ) -> None:
        """Killed at each point that only a job in this trouble reaches."""
        lab = make_lab(timing=Timing(in_progress=0.15))
        usual = dict(self._kills(Scene(nursery, lab, tmp_path, "untroubled", moody=False)))
        fault = TROUBLES[trouble]
        scene = Scene(nursery, lab, tmp_path, trouble, moody=False, faults=[fault])
        kills = [kill for kill in self._kills(scene) if kill[0] not in usual]
        assert kills, "this trouble makes no difference"
        for point, time_of_it in kills:
            name = f"{trouble} {point} {time_of_it}"
            scene = Scene(nursery, lab, tmp_path, name, moody=False, faults=[fault])
            scene.suffer((point, time_of_it))
            scene.check()

    @pytest.mark.exhaustive
    @pytest.mark.crash
    def test_a_script_that_is_killed_again_goes_on(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """Killed, and killed again while it recovers, at points drawn by chance."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        kills = self._kills(Scene(nursery, lab, tmp_path, "not killed"))
        chance = random.Random(len(kills))
        for number in range(5):
            scene = Scene(nursery, lab, tmp_path, f"twice {number}")
            scene.suffer(*chance.sample(kills, 2))
            scene.check()

    @pytest.mark.crash
    def test_a_job_is_delivered_once_all_was_printed(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """A script that dies right after the last mark had printed all results before."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        scene = Scene(nursery, lab, tmp_path, "delivered")
        assert scene.run((f"after {DELIVERY}", 1)) == KILLED
        scene.check()

    @pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.crash
    def test_a_stopped_script_goes_on(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path, signal_number: int
    ) -> None:
        """SIGTERM and Ctrl-C end the script while its batches run; the next run picks them up."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=1.0))
        scene = Scene(nursery, lab, tmp_path, f"signal {signal_number}")
        pid = scene.start()
        until(lambda: _at_the_vendor(scene.points()) >= 3)
        os.kill(pid, signal_number)
        assert nursery.wait(pid) in (-signal_number, 1)
        scene.finish()
        scene.check()


def _at_the_vendor(points: list[str]) -> int:
    """Batches that are there; one whose create took too long to answer was found there."""
    return sum(points.count(f"after commit of {how} intent") for how in ("submit", "adopt"))
