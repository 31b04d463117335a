"""Runs a contestant in a fresh process, and finds out what it took and whether it was right."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Unpack

from ai_batch.emulator import Emulator
from ai_batch.emulator.openai.embeddings import unit_vector
from ai_batch.emulator.options import OptionArguments
from ai_batch.emulator.remote import SpawnedEmulator
from benchmarks.check import Wanted, judge, read
from benchmarks.environments import Contestant
from benchmarks.launch import Task
from benchmarks.refusal import REFUSED, REFUSER

LAUNCH = Path(__file__).with_name("launch.py")
TEXT = "The quick brown fox jumps over the lazy dog, and then it does so once more. " * 13
DIMENSIONS = 1536
EACH = 7
"""So many requests, and one of them is refused, where some are."""

TOLD_OF_ERRORS = 400


@dataclass(frozen=True)
class Work:
    """What all contestants get: so many requests in a mode."""

    mode: str
    requests: int
    at_once: int = 100
    some_refused: bool = False
    limit: float = 300.0

    def prompt(self, number: int) -> str:
        """About 1 KB for chat, 200 bytes to be embedded; no two are the same."""
        text = TEXT[:200] if "embeddings" in self.mode else TEXT
        refused = self.some_refused and number % EACH == 0
        return f"{number}: {REFUSED if refused else text}"

    def write(self, path: Path) -> None:
        """The file that contestants read."""
        with path.open("w", encoding="utf-8") as lines:
            for number in range(self.requests):
                request = {"id": f"request-{number}", "prompt": self.prompt(number)}
                lines.write(json.dumps(request) + "\n")

    def wanted(self) -> list[Wanted]:
        """The right answers."""
        return [self._wanted(number) for number in range(self.requests)]

    def _wanted(self, number: int) -> Wanted:
        prompt = self.prompt(number)
        if "embeddings" in self.mode:
            return Wanted(f"request-{number}", Task.brief(unit_vector(prompt, DIMENSIONS)))
        return Wanted(f"request-{number}", None if REFUSED in prompt else prompt)


@dataclass
class Run:
    """One run: its figures, whether it was right, and why not if it did not end well."""

    contestant: str
    work: dict[str, object]
    figures: dict[str, float] = field(default_factory=dict[str, float])
    verdict: dict[str, object] = field(default_factory=dict[str, object])
    trouble: str = ""


@dataclass(frozen=True)
class Place:
    """Where a contestant works: a folder that it may fill, and the requests in it."""

    folder: Path

    @property
    def source(self) -> Path:
        """The requests."""
        return self.folder / "requests.jsonl"

    @property
    def target(self) -> Path:
        """The answers."""
        return self.folder / "answers.jsonl"

    @property
    def figures(self) -> Path:
        """What the process tells of itself."""
        return self.folder / "figures.json"

    def environment(self, contestant: Contestant, url: str) -> dict[str, str]:
        """Neither the user's keys nor caches, and the server wherever a library looks for one."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True, mode=0o700)
        given = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": url, "HOME": str(home)}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, **given, **contestant.environment}

    def start(
        self, contestant: Contestant, work: Work, url: str, errors: int
    ) -> subprocess.Popen[bytes]:
        """Start the process; it is the caller's to end."""
        paths = {"source": self.source, "target": self.target, "figures": self.figures}
        paths["home"] = self.folder / "home"
        options = [f"--{name}={path}" for name, path in paths.items()]
        # -P: the folder of launch.py has modules with names that libraries have, too.
        command = [str(contestant.python), "-P", str(LAUNCH), str(contestant.path), work.mode]
        return subprocess.Popen(
            [*command, f"--url={url}", f"--at-once={work.at_once}", *options],
            env=self.environment(contestant, url),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def server(work: Work, **options: Unpack[OptionArguments]) -> SpawnedEmulator:
    """The emulator in a process of its own, the same for all contestants."""
    answer: OptionArguments = {"answer": REFUSER if work.some_refused else "echo"}
    given: OptionArguments = {"track_items": False, **options, **answer}
    return Emulator.spawn(**given)


def measure(contestant: Contestant, work: Work, source: Path, latency: float = 0.0) -> Run:
    """Run a contestant once, against a server of its own."""
    run = Run(contestant.name, asdict(work))
    with tempfile.TemporaryDirectory(prefix="ai-batch-bench-") as name:
        place = Place(Path(name))
        place.source.symlink_to(source)
        with server(work, latency=latency) as emulator:
            wait(contestant, work, place, emulator, run)
            live = emulator.stats.live.get("openai")
            run.figures["most_at_once"] = live.most_in_flight if live else 0
            run.figures["batches"] = emulator.stats.batches_created
            run.figures["server_cpu_s"] = _processor_seconds(emulator.pid)
        if not run.trouble:
            run.verdict = judge(work.wanted(), read(place.target)).to_json()
    return run


def wait(
    contestant: Contestant, work: Work, place: Place, emulator: SpawnedEmulator, run: Run
) -> None:
    """Start the process, and note its figures when it has ended by itself, or why it has not."""
    with (place.folder / "errors.txt").open("w+b") as errors:
        process = place.start(contestant, work, emulator.openai_url, errors.fileno())
        ended = _ended(process, work.limit)
        errors.seek(0)
        told = errors.read().decode(errors="replace").strip()
    if ended is None:
        run.trouble = f"not done after {work.limit:g} s"
    elif ended or not place.figures.exists():
        run.trouble = told[-TOLD_OF_ERRORS:] or f"ended with {ended}"
    else:
        run.figures.update(json.loads(place.figures.read_text("utf-8")))


def _ended(process: subprocess.Popen[bytes], limit: float) -> int | None:
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.kill()
        process.wait()


def _processor_seconds(pid: int | None) -> float:
    """What another process has used until now."""
    stat = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
