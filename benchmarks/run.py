"""Measures ai-batch beside others, and prints tables: `make bench`, `make bench ARGS=--full`.

Everything runs on this machine against the emulator in a process of its own. Shared machines are
noisy: processor seconds are steadier than seconds, and ratios within one run steadier than both.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from pathlib import Path
from types import FrameType

# Not the script's own folder: its modules have names that libraries have, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import report, results, tables  # noqa: E402 - behind sys.path
from benchmarks.environments import Contestant, alone, contestants, make  # noqa: E402
from benchmarks.results import Case  # noqa: E402
from benchmarks.runner import Run  # noqa: E402
from benchmarks.sections import FULL, QUICK, SECTIONS, Effort, tell  # noqa: E402

TOLD = 160


def _ready(names: list[str] | None) -> list[Contestant]:
    """Who takes part, with an environment or a reason why there is none."""
    ready: list[Contestant] = []
    for one in contestants().values():
        if one.left_out or (names and one.name not in names):
            continue
        try:
            make(one)
        except RuntimeError as error:
            ready.append(dataclasses.replace(one, broken=str(error)[-TOLD:]))
        else:
            ready.append(one)
    return ready


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)  # Unlike the signal itself, ends what was started, too.


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all sizes, medians of five: two hours")
    parser.add_argument("--save", action="store_true", help="write results/ and docs/benchmarks.md")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--contestants", nargs="+", help="names in peers.toml (default: all)")
    parser.add_argument("--runs", type=int, help="the most runs of each case")
    parser.add_argument("--sizes", type=int, nargs="+", help="of batch jobs: only these")
    given = parser.parse_args()
    effort = FULL if given.full else QUICK
    most = given.runs or 99
    sizes = given.sizes or list(effort.batches)
    effort = dataclasses.replace(
        effort,
        batches={size: min(effort.batches.get(size, 1), most) for size in sizes},
        runs=min(effort.runs, most),
        kills=min(effort.kills, most),
        imports=min(effort.imports, most),
    )
    signal.signal(signal.SIGTERM, _stop)
    with alone():
        _measure(given, effort)


def _measure(given: argparse.Namespace, effort: Effort) -> None:
    everybody = _ready(given.contestants)
    for name in given.only:
        part = given.sizes or given.contestants
        old: list[Case] = results.load(name)["cases"] if part else []
        runs: list[Run] = []
        for run in SECTIONS[name](everybody, effort):
            tell(run)
            runs.append(run)
            if given.save:  # After each, since all of them take long.
                results.save(name, results.merged(old, results.gather(runs)))
        print(tables.section(name, results.gather(runs), report.left_out(name)), flush=True)
    if given.save:
        report.main()


if __name__ == "__main__":
    try:
        main()
    except BlockingIOError as error:
        sys.exit(str(error))
