"""Scripts that are killed, at every point at which something has just become visible to others.

Whatever the point: the same script, run again, ends with one result per request, each executed and
billed once, with nothing left at the vendor and nothing held in the ledger.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.emulator import Emulator, Timing

if TYPE_CHECKING:
    from tests.conftest import Lab

WORKER = Path(__file__).parent / "programs" / "crash_worker.py"
KILLED = -signal.SIGKILL
PATIENCE = 30.0

COMMITS = (
    "migrate",
    "add_job",
    "claim",
    "reserve planned",
    "move reserved -> uploaded",
    "move uploaded -> intent",
    "submit intent",
    "release submitted",
    "note",
    "move submitted -> ended",
    "holding ended",
    "move ended -> collected",
    "update collected (cleaned)",
    "release collected",
    "change_job (finished_at, state)",
)
CALLS = (
    "POST /v1/files",
    "POST /v1/batches",
    "GET /v1/batches/{batch}",
    "GET /v1/files/{file}/content",
    "DELETE /v1/files/{file}",
)
RENAMES = ("output.jsonl", "errors.jsonl", "local.jsonl", "rows", "members", "input.jsonl")
DELIVERY = "commit of change_job (delivered_at)"

STEPS = (
    *(f"commit of {name}" for name in COMMITS),
    *CALLS,
    *(f"rename of {name}" for name in RENAMES),
)
POINTS = [f"{side} {step}" for step in STEPS for side in ("before", "after")]
POINTS.append(f"before {DELIVERY}")
LATER = [
    "before POST /v1/batches",
    "after POST /v1/batches",
    "after POST /v1/files",
    "after commit of move uploaded -> intent",
    "before commit of submit intent",
    "before commit of move ended -> collected",
    "after DELETE /v1/files/{file}",
]
"""Where a kill in the midst of several batches is worth a run of its own."""

AGAIN = [
    ("before commit of add_job", "after commit of add_job"),
    ("after POST /v1/files", "after POST /v1/files"),
    ("before POST /v1/batches", "after POST /v1/batches"),
    ("after POST /v1/batches", "before commit of submit intent"),
    ("after commit of submit intent", "after rename of output.jsonl"),
    ("after rename of rows", "before commit of move ended -> collected"),
    ("after rename of input.jsonl", "after rename of members"),
    ("after DELETE /v1/files/{file}", "before commit of change_job (finished_at, state)"),
]


class Nursery:
    """The warm parent of all runs."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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


class Stumbling:
    """Answers like the emulator, but fails some requests at their first attempt."""

    def __init__(self, *contents: str) -> None:
        self._waiting = set(contents)

    def __call__(self, endpoint: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        content = body["messages"][-1]["content"]
        if content not in self._waiting:
            return None
        self._waiting.remove(content)
        error = {"message": "overloaded", "type": "server_error", "param": None, "code": None}
        return 503, {"error": error}


class Scene:
    """A script of seven requests in three batches: one is refused, two fail at first."""

    count = 7
    refused = "q1"
    stumbling = ("q3", "q5")

    def __init__(self, nursery: Nursery, lab: Lab, folder: Path) -> None:
        self.nursery = nursery
        self.lab = lab
        self.emulator = lab.emulator
        self._folder = folder
        self._epoch = time.time()
        self._runs = 0
        self.requests = lab.questions(self.count)

    def start(self, kill: tuple[str, int] | None = None) -> int:
        """Start the script; its process id."""
        self._runs += 1
        return self.nursery.start(
            {
                "url": self.emulator.openai_url,
                "home": str(self.lab.home),
                "output": str(self._output()),
                "log": str(self._log()),
                "requests": self.count,
                "shard": 3,
                "refused": self.refused,
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

    def printed(self) -> list[tuple[str, str | None, str | None]]:
        """Id, content and error of each result that the latest run has printed."""
        lines = [json.loads(line) for line in self._output().read_text("utf-8").splitlines()]
        assert [line["index"] for line in lines] == list(range(len(lines)))
        return [(line["id"], line["content"], line["error"]) for line in lines]

    def expected(self) -> list[tuple[str, str | None, str | None]]:
        """What a run prints."""
        answers = [(f"q{n}", f"question {n}", None) for n in range(self.count)]
        refusal = (self.refused, None, "decimal_above_max_value")
        return [refusal if answer[0] == self.refused else answer for answer in answers]

    def check(self, stumbling: int = 2) -> None:
        """The latest run printed everything; nothing was paid for twice, nothing is left over.

        `stumbling` requests failed at their first attempt.
        """
        assert "Traceback" not in self._output().with_suffix(".jsonl.err").read_text("utf-8")
        assert self.printed() == self.expected()
        self.check_vendor(stumbling)

    def check_vendor(self, stumbling: int = 2) -> None:
        """Each request was executed as often as it had to be, and billed once."""
        stats = self.emulator.stats
        executions = sorted(stats.executions.values())
        assert executions == [1] * (self.count - stumbling) + [2] * stumbling
        assert sorted(stats.billings.values()) == [1] * (self.count - 1)
        assert stats.files_live == 0
        assert self.lab.budget() == (0, 0)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """The warm parent, for all tests of this module."""
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def make_scene(
    nursery: Nursery, make_lab: Callable[..., Lab], tmp_path: Path
) -> Callable[..., Scene]:
    """Make a scene whose emulator has these options."""

    def make(**options: Any) -> Scene:
        stumbling = Stumbling(*(f"question {name[1:]}" for name in Scene.stumbling))
        given = {"answer": stumbling, "timing": Timing(in_progress=0.15), **options}
        return Scene(nursery, make_lab(**given), tmp_path)

    return make


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """The usual scene."""
    return make_scene()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_every_point_is_known(scene: Scene) -> None:
    """A run passes exactly the points that the other tests kill it at, far more than twenty."""
    assert scene.run() == 0
    scene.check()
    assert set(scene.points()) == {*POINTS, f"after {DELIVERY}"}
    assert len(POINTS) >= 20


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_script_goes_on(scene: Scene, point: str) -> None:
    """Killed where the point is first reached, the script goes on when it is run again."""
    assert scene.run((point, 1)) == KILLED
    assert scene.run() == 0
    scene.check()


@pytest.mark.parametrize("point", LATER)
def test_a_script_that_is_killed_among_its_batches_goes_on(scene: Scene, point: str) -> None:
    """Killed when some batches have passed the point and others have not, it goes on too."""
    assert scene.run((point, 3)) == KILLED
    assert scene.run() == 0
    scene.check()


@pytest.mark.parametrize(("first", "second"), AGAIN)
def test_a_script_that_is_killed_twice_goes_on(scene: Scene, first: str, second: str) -> None:
    """Killed, and killed again while it recovers, it still goes on."""
    assert scene.run((first, 1)) == KILLED
    assert scene.run((second, 1)) == KILLED
    assert scene.run() == 0
    scene.check()


def test_a_job_is_delivered_once_all_was_printed(scene: Scene) -> None:
    """A script that dies right after the last mark had printed all results before."""
    assert scene.run((f"after {DELIVERY}", 1)) == KILLED
    assert scene.printed() == scene.expected()
    scene.check_vendor()


@pytest.mark.parametrize(
    "point",
    [
        "after POST /v1/files",
        "before POST /v1/batches",
        "after POST /v1/batches",
        "after rename of rows",
    ],
)
def test_another_process_takes_over(make_scene: Callable[..., Scene], point: str) -> None:
    """Of two processes that work on the same job one is killed: the other finishes it."""
    scene = make_scene(timing=Timing(in_progress=0.7))
    victim = scene.start((point, 2))
    until(lambda: "after commit of add_job" in scene.points())
    survivor = scene.start()
    statuses = scene.nursery.wait(victim), scene.nursery.wait(survivor)
    assert statuses[1] == 0
    assert statuses[0] in (KILLED, 0)
    scene.check()


def test_two_processes_share_a_job(make_scene: Callable[..., Scene]) -> None:
    """Two processes that ask the same at the same time get the same results, paid for once."""
    scene = make_scene(timing=Timing(in_progress=0.7))
    first = scene.start()
    until(lambda: "after commit of add_job" in scene.points())
    second = scene.start()
    assert scene.nursery.wait(first) == 0
    assert scene.nursery.wait(second) == 0
    scene.check()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_script_goes_on(make_scene: Callable[..., Scene], signal_number: int) -> None:
    """SIGTERM and Ctrl-C end the script while its batches run; the next run picks them up."""
    scene = make_scene(timing=Timing(in_progress=3600))
    pid = scene.start()
    until(lambda: scene.points().count("after commit of submit intent") == 3)
    os.kill(pid, signal_number)
    assert scene.nursery.wait(pid) in (-signal_number, 1)
    assert scene.printed() == []
    pid = scene.start()
    until(lambda: "after GET /v1/batches/{batch}" in scene.points())
    scene.emulator.advance(hours=1)
    # The two that fail at first are asked again in a batch of their own.
    until(lambda: scene.emulator.stats.batches_created == 4)
    scene.emulator.advance(hours=1)
    assert scene.nursery.wait(pid) == 0
    scene.check()


@pytest.mark.parametrize("point", ["after POST /v1/files", "after POST /v1/batches"])
def test_the_server_is_killed_and_comes_back(
    nursery: Nursery, make_lab: Callable[..., Lab], tmp_path: Path, point: str
) -> None:
    """A server that loses its power and comes back neither ends nor repeats a job."""
    server = Emulator.spawn(home=tmp_path / "server", timing=Timing(in_progress=0.15))
    with server:
        scene = Scene(nursery, make_lab(server), tmp_path)
        pid = scene.start()
        until(lambda: point in scene.points())
        server.kill()
        time.sleep(0.3)
        server.restart()
        assert nursery.wait(pid) == 0
        scene.check(stumbling=0)


def test_server_and_script_are_killed(
    nursery: Nursery, make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """Both sides lose their power at the worst moment, right after a batch was created."""
    server = Emulator.spawn(home=tmp_path / "server", timing=Timing(in_progress=0.15))
    with server:
        scene = Scene(nursery, make_lab(server), tmp_path)
        assert scene.run(("after POST /v1/batches", 2)) == KILLED
        server.kill()
        server.restart()
        assert scene.run() == 0
        scene.check(stumbling=0)
