"""The pages of ``ai-batch ui``: all jobs, and one job, as the ledger has them now."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from urllib.parse import quote

from ai_batch.cli.home import Home
from ai_batch.cli.report import render
from ai_batch.cli.report_causes import Causes
from ai_batch.cli.report_facts import Facts, Reading, model_of, reading
from ai_batch.cli.report_markup import Content, Markup, element
from ai_batch.cli.report_page import (
    batch_table,
    cause_list,
    document,
    fault_list,
    state_mark,
    summary,
)
from ai_batch.cli.report_scales import lasting
from ai_batch.cli.texts import age, count, moment, plural
from ai_batch.core import JobRecord, LedgerError
from ai_batch.core.records import Totals

__all__ = ["PAGE_SIZE", "Pages"]

PAGE_SIZE = 100
"""Jobs on a page: a thousand rows every two seconds would be work for a browser, too."""

COLUMNS = (
    *("job", "state", "progress", "requests", "answered", "failed", "at provider"),
    *("provider", "model", "age", "took", "input"),
)
NUMBERS = frozenset({"requests", "answered", "failed", "at provider", "age", "took"})
"""Columns that are read from the right."""

MAX_BATCHES = 100

READ_SECONDS = 0.2
"""How long one page counts failures; the next one goes on where it stopped."""

KEPT = 8
"""Jobs whose failures are remembered, the ones looked at last."""


class Pages:
    """Makes the pages. The ledger and the jobs' folders are only read, no vendor is asked."""

    def __init__(self, home: Home) -> None:
        """Nothing is read yet."""
        self._home = home
        self._lock = threading.Lock()
        self._ended: dict[str, Totals] = {}
        self._causes: dict[str, Causes] = {}

    # -- all jobs ---------------------------------------------------------------------------

    def jobs(self, number: int = 1) -> Markup:
        """The jobs, newest first, page by page; ``number`` counts the pages from 1."""
        records = self._home.ledger.jobs()
        last = max(-(-len(records) // PAGE_SIZE), 1)
        number = min(max(number, 1), last)
        shown = records[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        now = self._home.ledger.now()
        running = sum(not record.finished for record in records)
        told = f"{plural(len(records), 'job')}, {count(running)} not finished"
        body = [
            element("header", element("h1", "Jobs"), element("p", told, class_="told")),
            self._table(shown, now) if shown else _nothing(self._home),
            _links(number, last),
        ]
        return _page("ai-batch", body)

    def _table(self, records: Sequence[JobRecord], now: float) -> Markup:
        head = [
            element("th", name, scope="col", class_="n" if name in NUMBERS else None)
            for name in COLUMNS
        ]
        lines = [self._line(record, now) for record in records]
        table = element(
            "table",
            element("thead", element("tr", head)),
            element("tbody", lines),
            class_="list jobs",
        )
        return element("div", table, class_="scroll", tabindex=0, role="region", aria_label="Jobs")

    def _line(self, record: JobRecord, now: float) -> Markup:
        totals = self._totals(record)
        took = (record.finished_at or now) - record.created_at
        done = totals.completed + totals.failed + totals.done_remotely
        failed = element("span", count(totals.failed), class_="bad" if totals.failed else None)
        numbers: list[Content] = [
            count(record.total),
            count(totals.completed),
            failed,
            count(totals.in_flight),
        ]
        file = self._home.notes(record).input or "-"
        link = element("a", element("code", record.id), href=f"/job/{quote(record.id, safe='')}")
        created = moment(record.created_at)
        cells = [
            element("td", state_mark(record.state)),
            element("td", _bar(done, record.total, f"progress of {record.id}")),
            [element("td", number, class_="n") for number in numbers],
            element("td", record.provider),
            element("td", model_of(record) or "-"),
            element("td", age(now - record.created_at), class_="n", title=created),
            element("td", lasting(took), class_="n"),
            element("td", file, class_="file", title=file),
        ]
        return element("tr", element("th", link, scope="row"), cells)

    def _totals(self, record: JobRecord) -> Totals:
        """A job's counts; those of a finished one do not change any more."""
        found = self._ended.get(record.id)
        if found is None:
            found = self._home.ledger.totals(record.id)
            if record.finished:
                self._ended[record.id] = found
        return found

    def knows(self, job_id: str) -> bool:
        """Whether there is such a job."""
        try:
            return self._home.ledger.job(job_id).id == job_id
        except LedgerError:
            return False

    # -- one job ----------------------------------------------------------------------------

    def job(self, job_id: str) -> Markup:
        """One job. Raises ``LedgerError`` where there is none of this id."""
        record = self._home.ledger.job(job_id)
        with reading(self._home, record) as read:
            facts = Facts.of(self._home, job_id, read)
            causes, whole = self._failures(facts, read)
        progress = facts.snapshot.progress
        part = f"{progress.fraction:.1%} done"
        done = progress.done + progress.done_remotely
        path = f"/job/{quote(job_id, safe='')}"
        body = [
            element("nav", element("a", "Jobs", href="/")),
            element(
                "header",
                element("h1", job_id, " ", state_mark(facts.record.state)),
                element("p", part, ", ", element("a", "report", href=f"{path}/report")),
            ),
            element("div", _bar(done, progress.total, "progress"), class_="whole"),
            summary(facts),
            element("p", f"Not all can be read: {read.why}", class_="notice") if read.why else None,
            batch_table(facts, MAX_BATCHES),
            fault_list(facts.faults),
            cause_list(causes.found if causes else (), progress.failed, read=whole),
        ]
        return _page(f"{part} {job_id}", body)

    def _failures(self, facts: Facts, read: Reading) -> tuple[Causes | None, bool]:
        """The failures as far as they have been counted, and whether that is all of them."""
        with self._lock:
            job_id = facts.record.id
            causes = self._causes.pop(job_id, None)
            if causes is None:
                try:
                    folder = self._home.spool.open(facts.record.folder)
                except LedgerError:
                    return None, True
                causes = Causes(folder, None)
            causes.use(read.rows)
            whole = causes.read(facts.snapshot.batches, seconds=READ_SECONDS)
            self._causes[job_id] = causes
            while len(self._causes) > KEPT:
                del self._causes[next(iter(self._causes))]
            return causes, whole

    def report(self, job_id: str) -> Markup:
        """A job's report, as the command ``report`` writes it."""
        return render(self._home, self._home.ledger.job(job_id))


def _page(title: str, body: Content) -> Markup:
    head = [
        element("link", rel="stylesheet", href="/style.css"),
        element("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        element("script", "", src="/ui.js", defer=True),
    ]
    lost = element(
        "p",
        "Not up to date: `ai-batch ui` does not answer any more.",
        id="lost",
        class_="lost",
        role="status",
        hidden=True,
    )
    return document(title, element("main", lost, element("div", body, id="live")), head)


def _bar(done: int, total: int, label: str) -> Markup:
    return element("progress", f"{done}/{total}", value=done, max=max(total, 1), aria_label=label)


def _nothing(home: Home) -> Markup:
    return element("p", "There are no jobs in ", element("code", str(home.path)), ".")


def _links(number: int, last: int) -> Markup | None:
    if last == 1:
        return None
    newer = _link("newer", number - 1, "prev") if number > 1 else None
    older = _link("older", number + 1, "next") if number < last else None
    place = element("span", f"page {count(number)} of {count(last)}", class_="told")
    return element("p", newer, place, older, class_="pages")


def _link(text: str, number: int, rel: str) -> Markup:
    return element("a", text, href=f"/?page={number}", rel=rel)
