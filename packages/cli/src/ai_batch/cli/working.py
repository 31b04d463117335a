"""The command ``work``: brings jobs to their ends that others have planned."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any

from ai_batch.cli.arguments import Place
from ai_batch.cli.desk import options_of
from ai_batch.cli.failures import ExitCode, explain
from ai_batch.cli.home import Home
from ai_batch.cli.making import read_options
from ai_batch.cli.texts import count, plural
from ai_batch.core import Options, Worker, WorkEvent, WorkReport
from ai_batch.core.records import Totals
from ai_batch.core.remaking import Remaking

__all__ = ["work"]

COUNTS_SECONDS = 10.0
"""The shortest time between two lines with counts."""


def work(
    place: Place,
    wanted: list[str],
    options: list[str],
    *,
    drain: bool,
    max_jobs: int,
    as_json: bool,
) -> ExitCode:
    """Work on jobs until a signal comes, or until none is left."""
    given = read_options(options)
    home = Home(*place)
    only = [home.find(one).id for one in wanted] or None
    general = Options(home=home.path, ledger=home.ledger)
    teller = _JsonTeller() if as_json else _Teller()
    worker = Worker(
        Remaking(general, given, partial(options_of, home)),
        ledger=home.ledger,
        home=home.path,
        only=only,
        max_jobs=max_jobs,
        on_event=teller.event,
    )
    with _logged(), _counted(home, worker, teller):
        which = "all open jobs" if only is None else plural(len(only), "job")
        logger.info("working on %s in %s", which, home.path)
        report = worker.run(drain=drain)
    teller.end(report)
    return _code(report)


logger = logging.getLogger("ai_batch.worker")


@contextmanager
def _logged() -> Generator[None]:
    """The library's log on standard error, a line for each thing that happens."""
    ours = logging.getLogger("ai_batch")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(before)


@contextmanager
def _counted(home: Home, worker: Worker, teller: _Teller) -> Generator[None]:
    """Tell now and then how far all jobs have come that are worked on."""
    ended = threading.Event()
    thread = threading.Thread(target=_count, args=(home, worker, teller, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _count(home: Home, worker: Worker, teller: _Teller, ended: threading.Event) -> None:
    from ai_batch.core import LedgerError

    wait = COUNTS_SECONDS
    while not ended.wait(wait):
        began = time.monotonic()
        try:
            jobs = worker.working_on
            totals = [home.ledger.totals(job_id) for job_id in jobs]
        except LedgerError:
            # The worker says so, and tries again.
            continue
        if totals:
            teller.counts(jobs, totals)
        wait = max(COUNTS_SECONDS, 20 * (time.monotonic() - began))


class _Teller:
    """Lines with counts on standard error; the rest is in the log."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def event(self, event: WorkEvent) -> None:
        """What the worker did with a job."""

    def counts(self, jobs: Iterable[str], totals: list[Totals]) -> None:
        """How far the jobs have come together, where that has changed."""
        found = {
            "jobs": len(set(jobs)),
            "completed": sum(one.completed for one in totals),
            "failed": sum(one.failed for one in totals),
            "in_flight": sum(one.in_flight for one in totals),
            "batches": sum(one.batches for one in totals),
            "batches_done": sum(one.batches_done for one in totals),
        }
        if found != self._last:
            self._last = found
            self.tell_counts(found)

    def tell_counts(self, found: dict[str, int]) -> None:
        """Write the counts."""
        logger.info(
            "%s: %s answered, %s failed, %s at the provider, %s of %s batches done",
            plural(found["jobs"], "job"),
            *(count(found[name]) for name in ("completed", "failed", "in_flight")),
            *(count(found[name]) for name in ("batches_done", "batches")),
        )

    def end(self, report: WorkReport) -> None:
        """Say what is left."""
        ended = f"{plural(report.ended, 'job')} ended"
        if report.stopped_by is not None:
            ended += "; stopped, and all that is open stays on record"
        lines = [ended, *(f"left: {id}: {event.message}" for id, event in report.left.items())]
        sys.stderr.write("\n".join(lines) + "\n")


class _JsonTeller(_Teller):
    """A JSON object for each event on standard output."""

    def event(self, event: WorkEvent) -> None:
        line = {"type": event.type, **_fields(event), "total": event.job.total}
        if event.type == "ended":
            line |= {"completed": event.completed, "failed": event.failed}
        if event.retry_after is not None:
            line["retry_after"] = event.retry_after
        _write(line)

    def tell_counts(self, found: dict[str, int]) -> None:
        _write({"type": "counts", **found})

    def end(self, report: WorkReport) -> None:
        kind = "drained" if report.stopped_by is None else "stopped"
        left = [_fields(event) for event in report.left.values()]
        _write({"type": kind, "ended": report.ended, "left": left})


def _fields(event: WorkEvent) -> dict[str, Any]:
    job = event.job
    return {"job": job.id, "provider": job.provider, "message": event.message}


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _code(report: WorkReport) -> ExitCode:
    """How the command ends: after a SIGTERM well, since that is how a service is stopped."""
    if report.stopped_by == signal.SIGINT:
        return ExitCode.INTERRUPTED
    if report.stopped_by is not None or not report.left:
        return ExitCode.OK
    for event in report.left.values():
        if event.type == "left":
            told = None if event.error is None else explain(event.error)
            return ExitCode.PROVIDER if told is None else told[1]
    return ExitCode.UNFINISHED
