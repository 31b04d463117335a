"""Markdown tables of what was measured: medians, with the range where it is wide."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks.results import Case

TITLES = {
    "imports": "Import and install",
    "native": "Batch jobs",
    "refused": "Batch jobs of which the server refuses each seventh request",
    "native_embeddings": "Batch jobs of embeddings",
    "embeddings": "Live embeddings",
    "concurrent": "Live calls",
    "resume": "Killed, and started again",
}
NOISE = 1.3
"""A range is shown where the highest is so many times the lowest, or more."""

Missing = Sequence[tuple[str, str]]
Columns = dict[str, Callable[[Case], str]]


def section(name: str, cases: Sequence[Case], missing: Missing = ()) -> str:
    """All tables of a section, under a heading."""
    return f"\n## {TITLES[name]}\n\n{body(name, cases, missing)}"


def body(name: str, cases: Sequence[Case], missing: Missing = ()) -> str:
    """All tables of a section."""
    parts: list[str] = []
    for title, part in _parts(name, cases):
        columns = COLUMNS[name]
        heading = f"{title}, {_runs(part)}" if title else _runs(part).capitalize()
        parts.append(f"{heading}:\n\n{_table(columns, part, missing)}")
    return "\n\n".join(parts) + "\n"


def _parts(name: str, cases: Sequence[Case]) -> Iterator[tuple[str, list[Case]]]:
    """The cases of the same work, under a title."""
    titles: dict[str, Callable[[Any], str]] = {
        "native": lambda work: f"{work['requests']:,} requests",
        "concurrent": lambda work: f"{work['at_once']} at once, {work['requests']:,} calls",
        "resume": lambda work: MOMENTS[work["moment"]].format(**work),
    }
    found: dict[str, list[Case]] = {}
    for case in cases:
        title = titles[name](case["work"]) if name in titles else ""
        found.setdefault(title, []).append(case)
    yield from found.items()


def _runs(cases: Sequence[Case]) -> str:
    """How many runs there were."""
    counts = {len(values) for case in cases for values in case["figures"].values()}
    if counts <= {1}:
        return "one run"
    low, high = min(counts), max(counts)
    return f"medians of {high} runs" if low == high else f"medians of {low} to {high} runs"


MOMENTS = {
    "in progress": "Killed while its batch of {requests:,} requests was running",
    "in create": "Killed in a create call whose batch the vendor had made, but not yet told of",
    "half": "Killed when half of {requests:,} live calls had been answered",
}


def _table(columns: Columns, cases: Sequence[Case], missing: Missing) -> str:
    names = ["", *columns]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for case in sorted(cases, key=_cost):
        cells = [read(case) for read in columns.values()]
        if trouble := _trouble(case):
            cells = [trouble, *("-" for _ in cells[1:])]
        lines.append(f"| {_name(case)} | {' | '.join(cells)} |")
    for name, why in missing:
        cells = [f"not run: {why}", *("-" for _ in list(columns)[1:])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _name(case: Case) -> str:
    name = case["contestant"]
    return f"**{name}**" if name == "ai-batch" else str(name)


def _trouble(case: Case) -> str:
    told = [verdict["trouble"] for verdict in case["verdicts"] if "trouble" in verdict]
    return " ".join(told[0].split())[-160:].replace("|", "/") if told else ""


def _cost(case: Case) -> float:
    """What rows are sorted by: mostly processor seconds, which are steadier than seconds."""
    name = "import_cpu_s" if case["work"]["mode"] == "imports" else "cpu_s"
    if "moment" in case["work"]:
        name = "paid_twice"
    values: list[float] = case["figures"].get(name, [])
    return statistics.median(values) if values else float("inf")


def median(case: Case, figure: str) -> float:
    """The median of a figure's runs; not a number where there are none."""
    values: list[float] = case["figures"].get(figure, [])
    return statistics.median(values) if values else float("nan")


def _shown(figure: str, form: str = ".2f", *, spread: bool = True) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        values = case["figures"].get(figure)
        if not values:
            return "-"
        text = format(statistics.median(values), form)
        low, high = min(values), max(values)
        if spread and low > 0 and high / low >= NOISE:
            text += f" ({low:{form}} to {high:{form}})"
        return text

    return read


def _rate(figure: str) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        took = median(case, figure)
        return f"{case['work']['requests'] / took:,.0f}" if took > 0 else "-"

    return read


def _answers(case: Case) -> str:
    """Whether each request came to what it should, or what went wrong."""
    texts: list[str] = []
    for verdict in case["verdicts"]:
        if verdict.get("correct"):
            texts.append("all right")
        else:
            names = ("lost", "doubled", "swapped", "wrong", "failed", "foreign")
            texts.append(
                ", ".join(f"{verdict[name]:,} {name}" for name in names if name in verdict)
            )
    return "; ".join(_once(texts))


def _order(case: Case) -> str:
    found = {bool(verdict.get("in_order")) for verdict in case["verdicts"]}
    return "yes" if found == {True} else "no"


def _errors(case: Case) -> str:
    [verdict] = case["verdicts"]
    return f"{verdict.get('refused', 0):,}"


def _whole(figure: str) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        values = sorted(set(case["figures"].get(figure, [])))
        return " to ".join(_once(f"{value:,.0f}" for value in (values[:1] + values[-1:]))) or "-"

    return read


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


_WORK: Columns = {
    "wall s": _shown("wall_s"),
    "processor s": _shown("cpu_s"),
    "requests per processor second": _rate("cpu_s"),
    "peak MB above imports": _shown("peak_mb", ".0f", spread=False),
}
_RIGHT: Columns = {"answers": _answers, "in order": _order}
COLUMNS: dict[str, Columns] = {
    "imports": {
        "import s": _shown("import_cpu_s", spread=False),
        "all that a run uses s": _shown("used_cpu_s", spread=False),
        "packages": _whole("packages"),
        "MB installed": _shown("installed_mb", ".0f"),
    },
    "native": {**_WORK, "batches": _whole("batches"), **_RIGHT},
    "refused": {"answers": _answers, "given as errors": _errors, "batches": _whole("batches")},
    "native_embeddings": {**_WORK, **_RIGHT},
    "embeddings": {**_WORK, **_RIGHT},
    "concurrent": {
        "wall s": _shown("wall_s"),
        "calls per second": _rate("wall_s"),
        "processor s": _shown("cpu_s"),
        "calls per processor second": _rate("cpu_s"),
        "peak MB above imports": _shown("peak_mb", ".0f", spread=False),
        "most at once": _whole("most_at_once"),
        **_RIGHT,
    },
    "resume": {
        "results after s": _shown("again_s", ".1f"),
        "requests paid twice": _whole("paid_twice"),
        "answers": _answers,
    },
}
"""The columns of each section's tables."""
