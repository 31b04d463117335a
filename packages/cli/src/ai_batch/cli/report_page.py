"""The parts of a job's page, in a report and in the browser, and the report as one document."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from ai_batch.cli.report_causes import Cause, Example
from ai_batch.cli.report_charts import charts
from ai_batch.cli.report_facts import Facts, options_of, word_of
from ai_batch.cli.report_markup import Content, Markup, element, joined, raw
from ai_batch.cli.report_scales import lasting
from ai_batch.cli.report_series import Series
from ai_batch.cli.snapshot import batch_fields
from ai_batch.cli.texts import count, moment, money, plural
from ai_batch.core.state import Shard, ShardState

__all__ = [
    "batch_table",
    "cause_list",
    "document",
    "fault_list",
    "policy",
    "report",
    "state_mark",
    "style",
    "summary",
]

MAX_BATCHES = 500
"""Batches that a table lists: a page of 20,000 rows is of no use to anybody."""

MAX_FAULTS = 20


def report(
    facts: Facts, series: Series, causes: Sequence[Cause], why: str, made_at: float
) -> Markup:
    """A job's report: one document that needs nothing beside it."""
    record = facts.record
    head = element(
        "header",
        element("h1", record.id, " ", state_mark(record.state)),
        element("p", f"as of {moment(made_at)} {_zone(made_at)}", class_="told"),
    )
    failed = facts.snapshot.progress.failed
    body = [
        head,
        summary(facts),
        _unread(why),
        charts(series, causes),
        batch_table(facts),
        fault_list(facts.faults),
        cause_list(causes, failed),
    ]
    safety = element("meta", http_equiv="Content-Security-Policy", content=policy())
    dress = element("style", raw(style()))
    return document(f"{record.id} {record.state}", element("main", body), [safety, dress])


def _zone(at: float) -> str:
    """Which times these are: a report may be read elsewhere."""
    return time.strftime("%Z (%z)", time.localtime(at))


def document(title: str, body: Content, head: Content) -> Markup:
    """A whole document. ``head`` comes after what every document has."""
    given = [
        element("meta", charset="utf-8"),
        head,
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
    ]
    page = element("html", element("head", given), element("body", body), lang="en")
    return Markup(f"<!doctype html>\n{page}\n")


@cache
def style() -> str:
    """The style of all pages."""
    return Path(__file__).with_name("report.css").read_text("utf-8")


@cache
def policy() -> str:
    """What a report may load: nothing. Its own style is known by its hash."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def state_mark(state: str) -> Markup:
    """A job's state, coloured by its kind."""
    known = {"running", "cancelling", "completed", "cancelled", "refused"}
    return element("span", state, class_=f"state s-{state}" if state in known else "state")


def summary(facts: Facts) -> Markup:
    """What there is to say of a job in a few words."""
    record, progress = facts.record, facts.snapshot.progress
    usage = progress.usage
    failed = element("span", f"{progress.failed:,}", class_="bad" if progress.failed else None)
    ended = "-" if record.finished_at is None else moment(record.finished_at)
    left = "" if progress.eta is None or record.finished else f", {lasting(progress.eta)} left"
    tokens = f"{count(usage.input_tokens)} in, {count(usage.output_tokens)} out"
    if usage.cached_input_tokens:
        tokens += f" ({count(usage.cached_input_tokens)} from a cache)"
    batches = f"{count(progress.batches_done)} of {count(progress.batches)} done"
    pairs: list[tuple[str, Content]] = [
        ("provider", record.provider),
        ("model", ", ".join(facts.models[:5])),
        ("requests", f"{progress.total:,}"),
        ("answered", f"{progress.completed:,}"),
        ("failed", failed),
        ("at the provider", f"{progress.in_flight:,}"),
        ("batches", batches),
        ("tokens", tokens),
        ("cost", money(progress.cost)),
        ("started", moment(record.created_at)),
        ("ended", ended),
        ("duration", lasting(progress.elapsed) + left),
        ("input", facts.input or "-"),
        ("output", facts.output or "-"),
        ("options", ", ".join(f"{name}={value}" for name, value in options_of(record)) or "-"),
    ]
    items = [
        element("div", element("dt", name), element("dd", value), class_=_wide(name))
        for name, value in pairs
    ]
    return element("dl", items, class_="summary")


def _wide(name: str) -> str | None:
    return "wide" if name in {"input", "output", "options"} else None


def _unread(why: str) -> Markup | None:
    return element("p", f"Without the provider's formats: {why}", class_="notice") if why else None


def batch_table(facts: Facts, most: int = MAX_BATCHES) -> Markup:
    """The batches; those on their way first where not all are listed."""
    shards = facts.snapshot.batches
    shown = _chosen(shards, most)
    names = ("batch", "state", "requests", "answered", "failed", "again", "in", "out", "took")
    head = [
        element("th", name, scope="col", class_="n" if place > 1 else None)
        for place, name in enumerate(names)
    ]
    head.append(element("th", "provider's id", scope="col"))
    lines = [_line(shard, facts.snapshot.now) for shard in shown]
    hidden = len(shards) - len(shown)
    more = f"{plural(hidden, 'batch')} more: ai-batch show {facts.record.id} --json lists all"
    table = element(
        "table",
        element("thead", element("tr", head)),
        element("tbody", lines),
        class_="list batches",
    )
    return element(
        "section",
        element("h2", "Batches ", element("small", count(len(shards)))),
        element("div", table, class_="scroll", tabindex=0, role="region", aria_label="Batches"),
        element("p", more, class_="told") if hidden else None,
    )


def _chosen(shards: Sequence[Shard], most: int) -> Sequence[Shard]:
    if len(shards) <= most:
        return shards
    ranks = {ShardState.PLANNED: 1, ShardState.COLLECTED: 2}
    first = sorted(shards, key=lambda shard: (ranks.get(shard.state, 0), shard.seq))[:most]
    return sorted(first, key=lambda shard: shard.seq)


def _line(shard: Shard, now: float) -> Markup:
    row = batch_fields(shard, now)
    took = "-" if row["age"] is None else lasting(row["age"])
    answering = word_of(shard) == "answering"
    done = shard.ok if answering else row["completed"]
    failed = shard.failed if answering else row["failed"]
    numbers = (count(shard.count), count(done), count(failed), count(shard.retried))
    tokens = (count(shard.usage[0]), count(shard.usage[1]))
    return element(
        "tr",
        element("th", row["name"], scope="row"),
        element("td", word_of(shard), class_=f"b-{shard.state}"),
        [element("td", number, class_="n") for number in numbers],
        [element("td", number, class_="n") for number in (*tokens, took)],
        element("td", element("code", row["batch_id"] or "-")),
    )


def fault_list(faults: Sequence[str]) -> Markup | None:
    """What the vendor said of whole batches."""
    if not faults:
        return None
    items = [element("li", element("code", fault)) for fault in faults[:MAX_FAULTS]]
    hidden = len(faults) - MAX_FAULTS
    more = element("p", f"and {count(hidden)} more", class_="told") if hidden > 0 else None
    return element("section", element("h2", "The provider said"), element("ul", items), more)


def cause_list(causes: Iterable[Cause], failed: int, *, read: bool = True) -> Markup:
    """The failures by cause, with examples; ``read`` tells that all have been looked at."""
    shown = [_cause(place, cause) for place, cause in enumerate(causes)]
    if not failed and not shown:
        return element("section", element("h2", "Failures"), element("p", "None.", class_="told"))
    still = None if read else element("p", "Still being counted.", class_="told")
    if read and not shown:
        still = element("p", "Their errors are not here, or not here yet.", class_="told")
    head = element("h2", "Failures ", element("small", count(failed)))
    return element("section", head, still, shown, class_="failures")


def _cause(place: int, cause: Cause) -> Markup:
    examples = [_example(example) for example in cause.examples]
    title = [element("code", cause.code), " ", element("small", count(cause.number))]
    return element(
        "details",
        element("summary", title),
        element("ul", examples) if examples else element("p", "No examples.", class_="told"),
        open=place < 3,
        id=f"cause-{place}",
    )


def _example(example: Example) -> Markup:
    raw_text = element("pre", example.raw) if example.raw else None
    place = element("small", f"index {example.index:,}")
    return element(
        "li",
        element("p", element("code", example.id), " ", place),
        element("p", joined(example.message)),
        raw_text,
    )
