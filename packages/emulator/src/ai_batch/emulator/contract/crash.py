"""A script that is killed, at every point at which something has just become visible to others.

Whatever the point: the same script, run again, ends with one result per request, each executed and
billed once, with nothing left at the vendor and nothing held in the ledger.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ai_batch.emulator.contract.answers import REFUSED, STUMBLING, Moody
from ai_batch.emulator.contract.laboratory import Laboratory, vectors_of
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory
from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.options import Timing

__all__ = ["CrashContract"]

KILLED = -signal.SIGKILL
PATIENCE = 120.0
SLICES = 4
FEWEST_POINTS = 20
DELIVERY = "commit of change_job (delivered_at)"
"""Behind it all results have been printed: there is nothing to go on with."""


class Nursery:
    """The warm parent of all runs."""

    def __init__(self, place: str) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._parent = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-m", "ai_batch.emulator.contract.crash_program", place],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        answer: dict[str, Any] = json.loads(self._parent.stdout.readline())
        return answer

    def start(self, run: dict[str, Any]) -> int:
        """Start a run; its process id."""
        return int(self._order(run)["pid"])

    def wait(self, pid: int) -> int:
        """The exit code of a run, or minus the signal that ended it."""
        return int(self._order({"wait": pid})["status"])

    def close(self) -> None:
        """End the parent."""
        self._parent.communicate(timeout=10)
        assert self._parent.returncode == 0


class Scene:
    """A script of seven requests in three batches: one is refused, one fails at first."""

    count = 7
    refused = 1
    stumbling = 3

    def __init__(
        self,
        nursery: Nursery,
        lab: Laboratory,
        folder: Path,
        name: str,
        *,
        moody: bool = True,
    ) -> None:
        """Without ``moody`` all requests are answered at once."""
        self.nursery = nursery
        self.lab = lab
        self.emulator = lab.emulator
        self._folder = folder / "scenes" / name.replace("/", "-")
        self._folder.mkdir(parents=True)
        self._epoch = time.time()
        self._runs = 0
        self._moody = moody
        moods = {self.refused: f"{REFUSED} ", self.stumbling: f"{STUMBLING} "} if moody else {}
        self._texts = [f"{moods.get(n, '')}{name} {n}" for n in range(self.count)]
        self._before = self.emulator.stats.items_billed

    def start(self, kill: tuple[str, int] | None = None) -> int:
        """Start the script; its process id."""
        self._runs += 1
        return self.nursery.start(
            {
                "url": self.emulator.url,
                "home": str(self._folder / "home"),
                "output": str(self._output()),
                "log": str(self._log()),
                "texts": self._texts,
                "shard": 3,
                "epoch": self._epoch,
                "speed": 200.0,
                "kill": kill,
            }
        )

    def _output(self) -> Path:
        return self._folder / f"run{self._runs}.jsonl"

    def _log(self) -> Path:
        return self._folder / f"run{self._runs}.log"

    def points(self) -> list[str]:
        """What the latest run has reached."""
        log = self._log()
        return log.read_text("utf-8").splitlines() if log.exists() else []

    def run(self, kill: tuple[str, int] | None = None) -> int:
        """Run the script to its end; how it ended."""
        return self.nursery.wait(self.start(kill))

    def finish(self) -> None:
        """Run the script again, which now ends well."""
        assert self.run() == 0, self.errors()

    def suffer(self, *kills: tuple[str, int]) -> None:
        """Run the script, killed at each of the points in turn, until it has come to its end."""
        for kill in kills:
            status = self.run(kill)
            if status == 0:
                # It came through without this point: it is delivered, and would begin anew.
                return
            assert status == KILLED, self.errors()
        self.finish()

    def errors(self) -> str:
        """What the latest run complained of."""
        return self._output().with_suffix(".jsonl.err").read_text("utf-8")

    def check(self) -> None:
        """The latest run printed everything; nothing was paid for twice, nothing is left over."""
        lines = [json.loads(line) for line in self._output().read_text("utf-8").splitlines()]
        assert "Traceback" not in self.errors()
        assert [line["id"] for line in lines] == [f"q{n}" for n in range(self.count)]
        assert [line["index"] for line in lines] == list(range(self.count))
        for number, (line, text) in enumerate(zip(lines, self._texts, strict=True)):
            self._check_answer(number, line, text)
        stats = self.emulator.stats
        assert stats.billed_twice() == [], "something was paid for twice"
        assert stats.items_billed - self._before == self.count - self._moody
        assert stats.files_live == 0, "files are left at the vendor"
        assert self.lab.budget(self._folder / "home") == (0, 0)

    def _check_answer(self, number: int, line: dict[str, Any], text: str) -> None:
        if self._moody and number == self.refused:
            assert "as you wish" in line["error"]
        elif self.lab.subject.kind == "chat":
            assert line["content"] == text, line
        else:
            assert line["vectors"] == [self._vectors()[text]]

    def _vectors(self) -> dict[str, list[float]]:
        asked = (self.lab.subject.request(text, text) for text in self._texts)
        return vectors_of(self.lab.subject, asked)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


class CrashContract(WithLaboratory):
    """The script goes on, wherever it was killed.

    Killed before a step it leaves what it leaves after the step before: ``both_sides`` tests that
    as well, at twice the time.
    """

    both_sides: ClassVar[bool] = True

    @pytest.fixture(scope="class")
    @classmethod
    def nursery(cls) -> Iterator[Nursery]:
        """The warm parent, for all tests of this class."""
        nursery = Nursery(cls.subject.place)
        yield nursery
        nursery.close()

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("part", range(SLICES))
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

    def test_a_job_is_delivered_once_all_was_printed(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path
    ) -> None:
        """A script that dies right after the last mark had printed all results before."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=0.15))
        scene = Scene(nursery, lab, tmp_path, "delivered")
        assert scene.run((f"after {DELIVERY}", 1)) == KILLED
        scene.check()

    @pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
    def test_a_stopped_script_goes_on(
        self, nursery: Nursery, make_lab: MakeLab, tmp_path: Path, signal_number: int
    ) -> None:
        """SIGTERM and Ctrl-C end the script while its batches run; the next run picks them up."""
        lab = make_lab(answer=Moody(), timing=Timing(in_progress=1.0))
        scene = Scene(nursery, lab, tmp_path, f"signal {signal_number}")
        pid = scene.start()
        until(lambda: scene.points().count("after commit of submit intent") >= 3)
        os.kill(pid, signal_number)
        assert nursery.wait(pid) in (-signal_number, 1)
        scene.finish()
        scene.check()

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
