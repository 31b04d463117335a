"""Several processes on one job: shared, taken over, suspended and back, killed by chance.

Also a server that is killed. Whoever dies or sleeps: one result per request, billed once.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from ai_batch.emulator.contract.answers import Moody
from ai_batch.emulator.contract.crash import DELIVERY, WithNursery
from ai_batch.emulator.contract.crash_scene import KILLED, Nursery, Scene, until
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, needs
from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.options import Timing

__all__ = ["CompanyContract"]

KILLS = int(os.environ.get("AI_BATCH_KILLS", "10"))
"""How often a script is killed at a moment drawn by chance; `make crash` draws more."""

LONGEST = 0.6
"""Seconds that a script runs at most before it is killed by chance: about what a job takes."""

SETTLE = 3.0
"""Seconds within which the server has carried out a call, also while a machine is busy, whose
client was killed when it had just been sent."""

PAUSE = signal.SIGSTOP

INTENT = "after commit of move uploaded -> intent"

SLEEPS = [
    INTENT,
    "after commit of submit intent",
    "after commit of move submitted -> ended",
    "after commit of move ended -> collected",
]
"""Where a process is suspended: in front of what another one then does in its place.

Never within a transaction: SQLite's lock is held by whoever sleeps there, and all others wait.
"""


class CompanyContract(WithNursery):
    """Processes share a job, replace each other, and come back from the dead."""

    @pytest.mark.crash
    def test_two_processes_share_a_job(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """Two processes that ask the same at the same time get the same results, paid for once."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.7))
        scene = Scene(nursery, lab, tmp_path, "shared")
        first = scene.start()
        until(lambda: "after commit of add_job" in scene.points())
        second = scene.start()
        assert nursery.wait(first) == 0
        assert nursery.wait(second) == 0, scene.errors()
        scene.check()

    @pytest.mark.parametrize(
        "point",
        [
            "after commit of move uploaded -> intent",
            "before commit of submit intent",
            "after rename of rows",
        ],
    )
    @pytest.mark.crash
    def test_another_process_takes_over(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path, point: str
    ) -> None:
        """Of two processes that work on the same job one is killed: the other finishes it."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.7))
        scene = Scene(nursery, lab, tmp_path, "taken over")
        victim = scene.start((point, 2))
        until(lambda: "after commit of add_job" in scene.points())
        survivor = scene.start()
        assert nursery.wait(victim) in (KILLED, 0)
        assert nursery.wait(survivor) == 0, scene.errors()
        scene.check()

    @pytest.mark.parametrize("point", SLEEPS)
    @pytest.mark.crash
    def test_a_suspended_process_comes_back(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path, point: str
    ) -> None:
        """It slept until its lease had run out and another had finished: it harms nothing."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        scene = Scene(nursery, lab, tmp_path, "suspended")
        sleeper = scene.start((point, 1), PAUSE)
        until(lambda: point in scene.points())
        self._finish_and_wake(nursery, scene, sleeper)

    @needs("fence")
    @pytest.mark.crash
    def test_a_process_that_is_suspended_within_its_create_comes_back(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """Its call goes out when the job is long finished: the vendor finds no input to work on."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        scene = Scene(nursery, lab, tmp_path, "not suspended")
        scene.finish()
        points = scene.points()
        create = next(each for each in points[points.index(INTENT) :] if "before POST" in each)
        scene = Scene(nursery, lab, tmp_path, "suspended in a call")
        sleeper = scene.start((create, points[: points.index(INTENT)].count(create) + 1), PAUSE)
        until(lambda: INTENT in scene.points())
        time.sleep(0.2)
        self._finish_and_wake(nursery, scene, sleeper)

    def _finish_and_wake(self, nursery: Nursery, scene: Scene, sleeper: int) -> None:
        """Another process finishes the job, and then the first one wakes up: both end well."""
        scene.finish()
        os.kill(sleeper, signal.SIGCONT)
        assert nursery.wait(sleeper) == 0
        scene.check(runs=[1])

    @pytest.mark.exhaustive
    @pytest.mark.crash
    def test_of_five_processes_three_are_killed(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """Five work on one job; three die on the way, at different steps; two finish it."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.7))
        scene = Scene(nursery, lab, tmp_path, "five")
        deaths = ("before commit of submit intent", "after rename of rows", "before rename of rows")
        victims = [scene.start((point, 1)) for point in deaths]
        survivors = [scene.start() for _ in range(2)]
        for victim in victims:
            assert nursery.wait(victim) in (KILLED, 0)
        for survivor in survivors:
            assert nursery.wait(survivor) == 0, scene.errors()
        scene.check(runs=[4])

    @pytest.mark.exhaustive
    @pytest.mark.crash
    def test_a_script_goes_on_after_kills_at_any_moment(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """Killed again and again, after times drawn by chance, until it has come to its end."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        chance = random.Random(KILLS)
        kills = scenes = 0
        while kills < KILLS:
            scenes += 1
            scene = Scene(nursery, lab, tmp_path, f"by chance {scenes}", settle=SETTLE)
            kills += self._killed_by_chance(nursery, scene, chance)
            scene.check()

    def _killed_by_chance(self, nursery: Nursery, scene: Scene, chance: random.Random) -> int:
        """How often the script was killed before it came to its end."""
        for kills in range(3):
            pid = scene.start()
            time.sleep(chance.uniform(0.0, LONGEST))
            os.kill(pid, signal.SIGKILL)
            ended = nursery.wait(pid) == 0
            if ended or any(DELIVERY in point for point in scene.points()):
                # All is printed: the same script, run again, would ask anew.
                return kills
        scene.finish()
        return 3

    @pytest.mark.crash
    def test_the_server_is_killed_and_comes_back(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """A server that loses its power right after a create neither ends nor repeats a job."""
        server = Emulator.spawn(home=tmp_path / "server", timing=Timing(in_progress=0.15))
        with server:
            scene = Scene(nursery, make_lab(server), tmp_path, "server", moody=False)
            pid = scene.start()
            until(lambda: "after commit of submit intent" in scene.points())
            server.kill()
            time.sleep(0.3)
            server.restart()
            assert nursery.wait(pid) == 0, scene.errors()
            scene.check()

    @pytest.mark.crash
    def test_server_and_script_are_killed(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """Both sides lose their power at the worst moment, right after a batch was created."""
        server = Emulator.spawn(home=tmp_path / "server", timing=Timing(in_progress=0.15))
        with server:
            scene = Scene(nursery, make_lab(server), tmp_path, "both", moody=False)
            assert scene.run(("before commit of submit intent", 2)) == KILLED
            server.kill()
            server.restart()
            scene.finish()
            scene.check()
