"""A user's script in a process of its own, started again and again, and what it has to leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ai_batch.emulator.contract.answers import REFUSED, STUMBLING
from ai_batch.emulator.contract.laboratory import Laboratory, vectors_of
from ai_batch.emulator.faults import Fault

__all__ = ["KILLED", "Nursery", "Scene", "until"]

KILLED = -signal.SIGKILL
PATIENCE = 120.0


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
        faults: Iterable[Fault] = (),
        settle: float = 0.3,
    ) -> None:
        """Without ``moody`` all requests are answered at once; ``faults`` strike its first run.

        ``settle`` is for how many real seconds a create of unknown outcome is looked for.
        """
        self.nursery = nursery
        self.lab = lab
        self.emulator = lab.emulator
        self._folder = folder / "scenes" / name.replace("/", "-")
        self._folder.mkdir(parents=True)
        self._epoch = time.time()
        self._runs = 0
        self._moody = moody
        self._settle = settle
        moods = {self.refused: f"{REFUSED} ", self.stumbling: f"{STUMBLING} "} if moody else {}
        self._texts = [f"{moods.get(n, '')}{name} {n}" for n in range(self.count)]
        self._before = self.emulator.stats.items_billed
        self.emulator.clear_faults()
        for fault in faults:
            self.emulator.inject(fault)

    def start(
        self, kill: tuple[str, int] | None = None, signal_number: int = signal.SIGKILL
    ) -> int:
        """Start the script, to be struck by a signal at a point; its process id."""
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
                "settle": self._settle,
                "kill": kill,
                "signal_number": int(signal_number),
            }
        )

    def _output(self, run: int | None = None) -> Path:
        return self._folder / f"run{run or self._runs}.jsonl"

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

    def check(self, runs: Iterable[int] = ()) -> None:
        """The latest run printed everything; nothing was paid for twice, nothing is left over.

        So did these other ``runs``, counted from 1.
        """
        assert "Traceback" not in self.errors()
        for run in (*runs, self._runs):
            self._check_output(self._output(run))
        stats = self.emulator.stats
        assert stats.billed_twice() == [], "something was paid for twice"
        assert stats.items_billed - self._before == self.count - self._moody
        assert stats.files_live == 0, "files are left at the vendor"
        assert self.lab.budget(self._folder / "home") == (0, 0)

    def _check_output(self, path: Path) -> None:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert [line["id"] for line in lines] == [f"q{n}" for n in range(self.count)]
        assert [line["index"] for line in lines] == list(range(self.count))
        for number, (line, text) in enumerate(zip(lines, self._texts, strict=True)):
            self._check_answer(number, line, text)

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
