"""The command ``prune``: deletes jobs that are over, with all that they keep on disk."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ai_batch.cli.arguments import Place
from ai_batch.cli.consent import is_yes
from ai_batch.cli.failures import Declined, ExitCode
from ai_batch.cli.home import Home
from ai_batch.cli.texts import age, plural
from ai_batch.core import JobRecord
from ai_batch.core.deletion import delete_job
from ai_batch.core.spool import PLANNING

__all__ = ["prune"]

DAY = 86_400.0


def prune(place: Place, days: float, *, undelivered: bool, yes: bool, as_json: bool) -> ExitCode:
    """Delete what was finished so many days ago, once the user has agreed.

    Raises ``Declined`` where the user says no, or can't be asked.
    """
    home = Home(*place)
    leftover = list(_without_job(home))
    found = list(_over(home, days, undelivered=undelivered))
    size = sum(_size(home.path / record.folder) for record in found) + sum(map(_size, leftover))
    made = {"jobs": [record.id for record in found], "bytes": size, "deleted": yes}
    if not as_json:
        _tell(home, found, size)
    if found and not yes and not as_json:
        _ask()
    if yes or not as_json:
        _delete(home, found, leftover)
    if as_json:
        sys.stdout.write(json.dumps(made) + "\n")
    return ExitCode.OK


def _over(home: Home, days: float, *, undelivered: bool) -> Iterator[JobRecord]:
    """Finished jobs with nothing left to do at the provider."""
    limit = home.ledger.now() - days * DAY
    for record in home.ledger.jobs():
        if record.finished_at is None or record.finished_at > limit:
            continue
        # A refused job has no results that somebody might want.
        wanted = record.delivered_at is not None or record.state == "refused"
        if (wanted or undelivered) and not home.ledger.totals(record.id).open:
            yield record


def _without_job(home: Home) -> Iterator[Path]:
    """Folders whose job is deleted: a prune was killed in between.

    The folders are listed first: one that a job gets meanwhile is not among them.
    """
    folders = [
        path for path in (home.path / "jobs").glob("job_*") if not (path / PLANNING).exists()
    ]
    known = {record.folder for record in home.ledger.jobs()}
    yield from (p for p in folders if p.relative_to(home.path).as_posix() not in known)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _tell(home: Home, found: list[JobRecord], size: int) -> None:
    now = home.ledger.now()
    for record in found:
        ended = age(now - (record.finished_at or now))
        delivered = "" if record.delivered_at is not None else ", results never written"
        sys.stdout.write(f"{record.id}  {record.state} {ended} ago{delivered}\n")
    sys.stdout.write(f"{plural(len(found), 'job')}, {size / 1e6:,.1f} MB\n")
    sys.stdout.flush()


def _ask() -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Declined("nothing was deleted: --yes deletes them")
    if not is_yes("Delete them, with their requests and results?"):
        raise Declined("nothing was deleted")


def _delete(home: Home, found: list[JobRecord], leftover: list[Path]) -> None:
    for record in found:
        delete_job(home.ledger, home.spool, record.id)
    for folder in leftover:
        shutil.rmtree(folder, ignore_errors=True)
