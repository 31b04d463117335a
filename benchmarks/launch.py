"""Runs one contestant in this process, and measures it: `runner` starts it in any environment.

Needs nothing but Python. What the module of a contestant imports is measured by itself; all
figures of the work are of what comes behind that. Memory is the highest above the imports.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

TOLD = 4
"""So many numbers of a vector are written down, behind its length."""

Answer = str | list[float] | None
Row = tuple[str | None, Answer, str | None]
"""An id (None where the library returns answers by position only), an answer, an error."""


@dataclass(frozen=True)
class Task:
    """What a contestant has to do: answer the prompts of a file by a server at ``url``.

    ``home`` is a folder that is still there when the same work is started again.
    """

    url: str
    source: Path
    home: Path
    at_once: int

    def requests(self) -> Iterator[tuple[str, str]]:
        """Ids and prompts, one at a time."""
        with self.source.open(encoding="utf-8") as lines:
            for line in lines:
                request = json.loads(line)
                yield request["id"], request["prompt"]

    @staticmethod
    def brief(vector: Sequence[float]) -> list[float]:
        """What is written down of a vector: its length and its first numbers."""
        return [len(vector), *map(float, vector[:TOLD])]


def memory(field: str) -> float:
    """A figure of this process in MB, as Linux keeps it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def processor_seconds() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def load(path: Path) -> ModuleType:
    """The module of a contestant, under a name that no library has."""
    spec = importlib.util.spec_from_file_location("contestant_of_the_benchmark", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # curator reads the source of a class by its module's name.
    spec.loader.exec_module(module)
    return module


def write(rows: Iterable[Row], target: Path) -> None:
    """Write answers down in the order in which they come."""
    with target.open("w", encoding="utf-8") as lines:
        for id, answer, error in rows:
            lines.write(json.dumps({"id": id, "answer": answer, "error": error}) + "\n")


def main() -> None:
    """Import the contestant, do the work, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", type=Path)
    parser.add_argument("mode", choices=("native", "concurrent", "native_embeddings", "embeddings"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--at-once", type=int, default=100)
    for name in ("source", "home", "target", "figures"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    started = time.perf_counter(), processor_seconds()
    module = load(given.contestant)
    imported = time.perf_counter(), processor_seconds()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Forget the peak so far.
    baseline = memory("VmRSS")
    task = Task(given.url, given.source, given.home, given.at_once)
    write(getattr(module, given.mode)(task), given.target)
    figures = {
        "import_s": imported[0] - started[0],
        "import_cpu_s": imported[1] - started[1],
        "import_mb": baseline,
        "wall_s": time.perf_counter() - imported[0],
        "cpu_s": processor_seconds() - imported[1],
        "peak_mb": memory("VmHWM") - baseline,
    }
    given.figures.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
