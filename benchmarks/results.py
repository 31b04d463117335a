"""What was measured, as JSON: one file a section, each run's figures side by side."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runner import Run

FOLDER = Path(__file__).with_name("results")
PLACES = 3

Case = dict[str, Any]
"""A contestant and its work; ``figures`` has a list for each figure, a number for each run."""


def gather(runs: Iterable[Run]) -> list[Case]:
    """Put the runs of the same contestant and work together."""
    found: dict[str, Case] = {}
    for run in runs:
        work = {name: value for name, value in run.work.items() if name != "limit"}
        key = json.dumps([run.contestant, work])
        empty: Case = {"contestant": run.contestant, "work": work, "figures": {}, "verdicts": []}
        case = found.setdefault(key, empty)
        for name, value in run.figures.items():
            case["figures"].setdefault(name, []).append(round(value, PLACES))
        verdict = {"trouble": run.trouble} if run.trouble else _shortened(run.verdict)
        if verdict not in case["verdicts"]:
            case["verdicts"].append(verdict)
    return list(found.values())


def _shortened(verdict: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in verdict.items() if value != 0 or value is False}


def machine() -> dict[str, object]:
    """The kind of machine, and how busy it was."""
    processor = memory = ""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
    for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 1024**2:.0f} GiB"
    return {
        "processor": processor or platform.machine(),
        "cores": os.cpu_count(),
        "memory": memory,
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "load": round(os.getloadavg()[0], 1),
    }


def merged(old: Sequence[Case], new: Sequence[Case]) -> list[Case]:
    """New cases in the place of those of the same contestant and work, behind what stays."""
    found = {json.dumps([case["contestant"], case["work"]]): case for case in (*old, *new)}
    return list(found.values())


def save(section: str, cases: Sequence[Case], folder: Path = FOLDER) -> None:
    """Write a section; others stay as they were."""
    folder.mkdir(exist_ok=True)
    # A line for each case, so that a change of one is a change of a line.
    lines = ",\n".join(f"  {json.dumps(case, sort_keys=True)}" for case in cases)
    text = f'{{"machine": {json.dumps(machine())},\n "cases": [\n{lines}\n]}}\n'
    (folder / f"{section}.json").write_text(text, "utf-8")


def load(section: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Read a section; one that was never measured has no cases."""
    path = folder / f"{section}.json"
    if not path.exists():
        return {"machine": {}, "cases": []}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
