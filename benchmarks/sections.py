"""What is measured: each section gives the runs of all who take part in it, in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.environments import Contestant, megabytes, versions
from benchmarks.killing import Moment, kill_and_go_on
from benchmarks.runner import Run, Work, measure

LATENCY = 0.1
"""Seconds that a live answer takes: 10 at once are 100 calls a second at best, 500 are 5,000."""

Everybody = Sequence[Contestant]


@dataclass(frozen=True)
class Effort:
    """How much is measured: batches of these sizes and so on, and each how often."""

    batches: Mapping[int, int]
    calls: Mapping[int, int]
    runs: int
    embeddings: int
    kills: int
    imports: int
    limit: float


QUICK = Effort(
    batches={1_000: 3, 10_000: 1},
    calls={10: 200, 100: 1_000},
    runs=1,
    embeddings=1_920,
    kills=1,
    imports=3,
    limit=120,
)
FULL = Effort(
    batches={1_000: 5, 50_000: 5, 1_000_000: 3},
    calls={10: 500, 100: 2_000, 500: 5_000},
    runs=5,
    embeddings=9_600,
    kills=3,
    imports=7,
    limit=600,
)


@contextmanager
def _source(work: Work) -> Generator[Path]:
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        path = Path(file.name)
        work.write(path)
        yield path


def _in_turn(
    everybody: Everybody, work: Work, times: int, run: Callable[[Contestant, Path], Run]
) -> Iterator[Run]:
    """A, B, C, A, B, C: what the machine does meanwhile meets all alike."""
    given_up: set[str] = set()
    with _source(work) as source:
        for _ in range(times):
            for one in everybody:
                if one.name in given_up:
                    continue
                found = run(one, source) if not one.broken else _broken(one, asdict(work))
                if found.trouble:
                    given_up.add(one.name)
                yield found


def _broken(one: Contestant, work: dict[str, object]) -> Run:
    return Run(one.name, work, trouble=f"could not be installed: {one.broken}")


def _measured(work: Work, one: Contestant, source: Path, latency: float = 0.0) -> Run:
    return measure(one, work, source, latency)


def _killed(work: Work, moment: Moment, one: Contestant, source: Path) -> Run:
    return kill_and_go_on(one, work, source, moment)


def _who(everybody: Everybody, mode: str) -> list[Contestant]:
    return [one for one in everybody if mode in one.modes]


def native(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """Batch jobs of chat requests, done as soon as the server can."""
    for size, times in effort.batches.items():
        who = [one for one in _who(everybody, "native") if size <= one.most]
        work = Work("native", size, limit=effort.limit)
        yield from _in_turn(who, work, times, partial(_measured, work))


def refused(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """A batch job of which the server refuses each seventh request."""
    work = Work("native", 700, some_refused=True, limit=effort.limit)
    who = _who(everybody, "native")
    yield from _in_turn(who, work, 1, partial(_measured, work))


def native_embeddings(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """Batch jobs of texts, a vector of 1,536 numbers each."""
    work = Work("native_embeddings", effort.embeddings, limit=effort.limit)
    who = _who(everybody, "native_embeddings")
    yield from _in_turn(who, work, effort.runs, partial(_measured, work))


def embeddings(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """Live calls of 96 texts each."""
    work = Work("embeddings", effort.embeddings, at_once=10, limit=effort.limit)
    who = _who(everybody, "embeddings")
    yield from _in_turn(who, work, effort.runs, partial(_measured, work))


def concurrent(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """Live calls, so many at once."""
    who = _who(everybody, "concurrent")
    for at_once, calls in effort.calls.items():
        work = Work("concurrent", calls, at_once=at_once, limit=effort.limit)
        yield from _in_turn(who, work, effort.runs, partial(_measured, work, latency=LATENCY))


def resume(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """The same script again, after a SIGKILL."""
    moments: dict[Moment, Work] = {
        "in progress": Work("native", 2_000, limit=effort.limit),
        "in create": Work("native", 2_000, limit=effort.limit),
        "half": Work("concurrent", 2_000, at_once=50, limit=effort.limit),
    }
    for moment, work in moments.items():
        who = _who(everybody, work.mode)
        yield from _in_turn(who, work, effort.kills, partial(_killed, work, moment))


TIMED = (
    "import time; a = time.perf_counter(), time.process_time()\n{0}\n"
    "print(time.perf_counter() - a[0], time.process_time() - a[1])"
)


def imports(everybody: Everybody, effort: Effort) -> Iterator[Run]:
    """The import of what a script begins with, of all that it uses, and what is installed."""
    sizes = {
        one.name: {"packages": len(versions(one)), "installed_mb": megabytes(one)}
        for one in everybody
        if not one.broken
    }
    for _ in range(effort.imports):
        for one in everybody:
            work: dict[str, object] = {"mode": "imports", "statement": one.statement}
            if one.broken:
                yield _broken(one, work)
                continue
            run = Run(one.name, work)
            run.figures.update(sizes[one.name])
            used = f"import runpy; runpy.run_path({str(one.path)!r})"
            for name, statement in (("import", one.statement), ("used", used)):
                took = _timed(one, statement)
                if isinstance(took, str):
                    run.trouble = took
                else:
                    run.figures[f"{name}_s"], run.figures[f"{name}_cpu_s"] = took
            yield run


def _timed(contestant: Contestant, statement: str) -> tuple[float, float] | str:
    """Seconds and processor seconds of a statement in a fresh process, or what it told instead."""
    done = subprocess.run(
        [contestant.python, "-P", "-c", TIMED.format(statement)],
        env={**contestant.environment, "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr[-400:]
    wall, cpu = map(float, done.stdout.split()[-2:])
    return wall, cpu


SECTIONS: dict[str, Callable[[Everybody, Effort], Iterator[Run]]] = {
    "imports": imports,
    "native": native,
    "refused": refused,
    "native_embeddings": native_embeddings,
    "embeddings": embeddings,
    "concurrent": concurrent,
    "resume": resume,
}


def tell(run: Run) -> None:
    """A line on the terminal for each run, since all of them take long."""
    shown = {name: round(value, 2) for name, value in run.figures.items()}
    right = "right" if run.verdict.get("correct", True) else f"WRONG {run.verdict}"
    sys.stderr.write(f"{run.contestant}: {run.work}: {shown} {run.trouble or right}\n")
    sys.stderr.flush()
