"""Which charts a report has, and the tables that say the same in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TypeVar

from ai_batch.cli.report_causes import Cause
from ai_batch.cli.report_markup import Markup, element
from ai_batch.cli.report_scales import amounts, brief, durations, lasting, sums
from ai_batch.cli.report_series import Batch, Series, grouped
from ai_batch.cli.report_svg import Bar, Frame, Stack, areas, bars, columns
from ai_batch.cli.texts import count, money

__all__ = ["charts"]

Item = TypeVar("Item")

MAX_BARS = 24
"""Batches that get a line of their own in the picture of their times."""

MAX_COLUMNS = 40
MAX_ROWS = 12
"""Rows of the table below a chart over time."""


def charts(series: Series, causes: Sequence[Cause]) -> Markup:
    """All charts of a job; those that would be empty are left out."""
    drawn = [_progress(series)]
    if series.batches:
        drawn += [_times(series), _tokens(series)]
    if series.priced and series.moments[-1].cost:
        drawn.append(_costs(series))
    if causes:
        drawn.append(_failures(causes))
    return element("div", drawn, class_="charts")


def _progress(series: Series) -> Markup:
    moments = series.moments
    stacks = [
        Stack("answered", "c-good", [moment.answered for moment in moments]),
        Stack("failed", "c-bad", [moment.failed for moment in moments]),
        Stack("at the provider", "c-wait", [moment.waiting for moment in moments]),
    ]
    last = moments[-1]
    told = (
        f"{last.answered:,} of {series.total:,} requests answered and "
        f"{last.failed:,} failed after {lasting(last.at)}"
    )
    # Before a batch is here, its counts are the provider's.
    told += ", by what the provider says of open batches, too." if last.waiting else "."
    frame = Frame("progress", "Progress", told)
    times = [moment.at for moment in moments]
    picture = areas(frame, times, stacks, durations(series.seconds), amounts(series.total))
    rows = [
        (lasting(one.at), count(one.answered), count(one.failed), count(one.waiting))
        for one in _some(moments)
    ]
    table = _table(("after", "answered", "failed", "at the provider"), rows)
    return _figure(frame, picture, table, stacks)


def _times(series: Series) -> Markup:
    batches = series.batches
    lengths = [batch.seconds(series.seconds) for batch in batches]
    told = (
        f"From submission to end: {lasting(min(lengths))} at least, {lasting(median(lengths))} "
        f"in the middle, {lasting(max(lengths))} at most."
    )
    if (together := -(-len(batches) // MAX_COLUMNS)) > 1:
        told += f" Each column is the middle of {together} batches."
    frame = Frame("times", "Time per batch", told)
    rows = [
        (batch.name, lasting(batch.start), _end(batch), lasting(length))
        for batch, length in _some(list(zip(batches, lengths, strict=True)))
    ]
    table = _table(("batch", "submitted after", "ended after", "took"), rows)
    if len(batches) <= MAX_BARS:
        lines = [_bar(batch, series.seconds) for batch in batches]
        return _figure(frame, bars(frame, lines, durations(series.seconds)), table)
    return _figure(frame, _middles(frame, series), table)


def _end(batch: Batch) -> str:
    return "-" if batch.end is None else lasting(batch.end)


def _bar(batch: Batch, now: float) -> Bar:
    took = lasting(batch.seconds(now))
    colour = "c-bad" if batch.failed else "c-wait" if batch.end is None else "c-main"
    still = " so far" if batch.end is None else ""
    end = now if batch.end is None else batch.end
    hint = f"batch {batch.name}: {took}{still}"
    return Bar(batch.name, batch.start, end, colour, took + still, hint)


def _middles(frame: Frame, series: Series) -> Markup:
    """The middle of neighbours' times, where there are too many batches for a line each."""
    groups = grouped(series.batches, MAX_COLUMNS)
    middles = [median(batch.seconds(series.seconds) for batch in group) for group in groups]
    names = [group[0].name for group in groups]
    hints = [
        f"{_span(g)}: {lasting(m)} in the middle" for g, m in zip(groups, middles, strict=True)
    ]
    # The scale of an axis of time ends at its longest value, which here need not be a mark.
    return columns(
        frame, names, [Stack("middle", "c-main", middles)], durations(max(middles)), hints
    )


def _span(group: Sequence[Batch]) -> str:
    first, last = group[0].name, group[-1].name
    return f"batch {first}" if first == last else f"batches {first} to {last}"


def _tokens(series: Series) -> Markup:
    groups = grouped(series.batches, MAX_COLUMNS)
    into = [float(sum(batch.input_tokens for batch in group)) for group in groups]
    out = [float(sum(batch.output_tokens for batch in group)) for group in groups]
    told = f"{count(int(sum(into)))} tokens in, {count(int(sum(out)))} out."
    if len(groups[0]) > 1:
        told += f" Each column is {len(groups[0])} batches."
    frame = Frame("tokens", "Tokens per batch", told)
    stacks = [Stack("in", "c-main", into), Stack("out", "c-other", out)]
    numbers = list(zip(groups, into, out, strict=True))
    hints = [f"{_span(g)}: {brief(i)} in, {brief(o)} out" for g, i, o in numbers]
    highest = max(i + o for _, i, o in numbers)
    picture = columns(frame, [g[0].name for g in groups], stacks, amounts(highest), hints)
    rows = [(_span(g), count(int(i)), count(int(o))) for g, i, o in _some(numbers)]
    return _figure(frame, picture, _table(("", "in", "out"), rows), stacks)


def _costs(series: Series) -> Markup:
    moments = series.moments
    frame = Frame("cost", "Cost", "What the answers cost, as their batches were collected.")
    stack = Stack("USD", "c-main", [moment.cost for moment in moments])
    times = [moment.at for moment in moments]
    picture = areas(frame, times, [stack], durations(series.seconds), sums(moments[-1].cost))
    rows = [(lasting(one.at), money(one.cost)) for one in _some(moments)]
    return _figure(frame, picture, _table(("after", "USD"), rows))


def _failures(causes: Sequence[Cause]) -> Markup:
    number = sum(cause.number for cause in causes)
    frame = Frame("failures", "Failures by cause", f"{count(number)} requests failed.")
    shown = causes[:MAX_COLUMNS]
    highest = amounts(max(cause.number for cause in shown))
    lines = [
        Bar("", 0.0, float(c.number), "c-bad", f"{count(c.number)} {_short(c.code)}", c.code)
        for c in shown
    ]
    rows = [(cause.code, count(cause.number)) for cause in shown]
    return _figure(frame, bars(frame, lines, highest), _table(("cause", "failed"), rows))


def _short(text: str, length: int = 44) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _some(items: Sequence[Item]) -> Sequence[Item]:
    """At most ``MAX_ROWS`` of the items, the last among them."""
    every = max(-(-len(items) // MAX_ROWS), 1)
    return items[(len(items) - 1) % every :: every]


def _figure(frame: Frame, picture: Markup, table: Markup, stacks: Sequence[Stack] = ()) -> Markup:
    keys = [
        element("span", element("i", class_=f"key {stack.colour}"), stack.name) for stack in stacks
    ]
    numbers = element("details", element("summary", "numbers"), table, id=f"{frame.key}-numbers")
    caption = element("figcaption", element("b", frame.title), element("span", keys, class_="keys"))
    told = element("p", frame.description, class_="told")
    return element("figure", caption, told, picture, numbers)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    names = element("tr", [element("th", name, scope="col") for name in head])
    lines = [element("tr", [element("td", cell) for cell in row]) for row in rows]
    return element("table", element("thead", names), element("tbody", lines))
