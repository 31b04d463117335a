"""Writes what was measured into docs/benchmarks.md: tables between its marks, charts beside it.

python -m benchmarks.report
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import tables
from benchmarks.charts import Bar, chart
from benchmarks.environments import contestants
from benchmarks.results import Case, load
from benchmarks.tables import median

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"
IMAGES = DOCS / "images"
MARK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
OURS = "ai-batch"
MODES = {"refused": "native", "imports": "native"}
"""The mode of a section that has another name."""


def _machine(section: str) -> str:
    found = load(section)["machine"]
    if not found:
        return "Not measured yet.\n"
    return (
        f"{found['date']}, {found['python']}, {found['system']}, {found['cores']} cores of "
        f"{found['processor']}, {found['memory']}; load while it ran {found['load']:g}.\n"
    )


def left_out(section: str) -> list[tuple[str, str]]:
    """Who would have been in a section, and why they are not."""
    everybody = contestants().values()
    return [
        (one.name, one.left_out)
        for one in everybody
        if one.left_out and MODES.get(section, section) in one.modes
    ]


def _versions() -> str:
    lines = ["| | pinned | licence |", "|---|---|---|"]
    for one in contestants().values():
        pinned = ", ".join(f"`{each}`" for each in one.requires) or f"not run: {one.left_out}"
        if one.members:
            pinned = f"this repository, {pinned}"
        lines.append(f"| {one.name} | {pinned} | {one.licence or '-'} |")
    return "\n".join(lines) + "\n"


def text(name: str) -> str:
    """What stands between the marks of a name."""
    if name == "versions":
        return _versions()
    if name == "machine":
        return _machine("native")
    return tables.body(name, load(name)["cases"], left_out(name))


def page(old: str) -> str:
    """The page with what was measured in the place of what was there."""
    return MARK.sub(lambda found: f"{found[1]}\n{text(found[2])}\n{found[3]}", old)


def _bars(
    cases: list[Case], value: Callable[[Case], float], form: Callable[[float], str]
) -> list[Bar]:
    found = [(case["contestant"], value(case)) for case in cases]
    known = sorted((pair for pair in found if pair[1] == pair[1]), key=lambda pair: pair[1])
    return [Bar(name, size, form(size), ours=name == OURS) for name, size in known]


def charts() -> Iterator[tuple[str, str]]:
    """The name and content of each picture."""
    jobs = [
        case
        for case in load("native")["cases"]
        if case["work"]["requests"] == 50_000 and "wall_s" in case["figures"]
    ]
    yield (
        "benchmarks-batch-processor.svg",
        chart(
            "Processor seconds of the client",
            "A batch job of 50,000 requests of 1 KB; shorter is better",
            _bars(jobs, lambda case: median(case, "cpu_s"), lambda size: f"{size:.1f} s"),
        ),
    )
    yield (
        "benchmarks-batch-memory.svg",
        chart(
            "Peak memory above imports",
            "A batch job of 50,000 requests of 1 KB; shorter is better",
            _bars(jobs, lambda case: median(case, "peak_mb"), lambda size: f"{size:.0f} MB"),
        ),
    )
    calls = [
        case
        for case in load("concurrent")["cases"]
        if case["work"]["at_once"] == 100 and "wall_s" in case["figures"]
    ]
    bars = _bars(
        calls,
        lambda case: case["work"]["requests"] / median(case, "wall_s"),
        lambda size: f"{size:,.0f} a second",
    )
    note = (
        "100 at once, a server that answers in 0.1 s, so that 1,000 are the most; longer is better"
    )
    yield "benchmarks-calls.svg", chart("Live calls per second", note, bars[::-1])


def main() -> None:
    """Write the page and its pictures."""
    IMAGES.mkdir(exist_ok=True)
    for name, content in charts():
        (IMAGES / name).write_text(content, "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
