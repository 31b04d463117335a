"""The command ``report``: a job as one HTML file that needs nothing beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from ai_batch.cli.arguments import Place
from ai_batch.cli.failures import ExitCode
from ai_batch.cli.home import Home
from ai_batch.cli.outputs import written
from ai_batch.cli.report_causes import Cause, Causes
from ai_batch.cli.report_facts import Facts, Reading, reading
from ai_batch.cli.report_markup import Markup
from ai_batch.cli.report_page import report
from ai_batch.cli.report_series import series_of
from ai_batch.core import JobRecord, LedgerError, UsageError

__all__ = ["render", "write_report"]


def write_report(place: Place, wanted: str, output: str | None) -> ExitCode:
    """Write a job's report; ``-`` is standard output. Raises ``UsageError`` and ``OSError``."""
    home = Home(*place)
    record = home.find(wanted)
    target = output or f"{record.id}.html"
    _check(target)
    page = render(home, record).encode("utf-8")
    if target == "-":
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
        return ExitCode.OK
    with written(Path(target)) as file:
        file.write(page)
    sys.stderr.write(f"{record.id}: {target}\n")
    return ExitCode.OK


def _check(target: str) -> None:
    if target == "-":
        return
    path = Path(target)
    if path.is_dir():
        raise UsageError(f"-o {target} is a folder: name a file in it")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"-o {target}: there is no folder {path.absolute().parent}; make it first")


def render(home: Home, record: JobRecord) -> Markup:
    """A job's report as it is now. Its results are read once, and not kept."""
    with reading(home, record) as read:
        facts = Facts.of(home, record.id, read)
        now = facts.snapshot.now
        shards = facts.snapshot.batches
        events = home.ledger.events(record.id)
        series = series_of(facts.record, shards, events, read.prices, now)
        del events
        causes = _causes(home, facts, read)
        return report(facts, series, causes, read.why, now)


def _causes(home: Home, facts: Facts, read: Reading) -> list[Cause]:
    try:
        folder = home.spool.open(facts.record.folder)
    except LedgerError:
        # Its folder is gone; what the ledger has is a report all the same.
        return []
    causes = Causes(folder, read.rows)
    causes.read(facts.snapshot.batches, live=read.live)
    return causes.found
