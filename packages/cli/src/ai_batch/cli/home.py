"""The ledger and the jobs' folders of one home, opened without any provider."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from ai_batch.core import JobRecord, LedgerError, Options, UsageError
from ai_batch.core.ledgers import open_ledger
from ai_batch.core.spool import Spool

__all__ = ["NOTES", "Home", "Notes"]

NOTES = "cli.json"
"""In a job's folder: what the command was asked for, so that ``resume`` need not be told again."""


class Notes(msgspec.Struct, omit_defaults=True):
    """What the command keeps of a job beside what the ledger has.

    ``options`` are those of the processor that no record of the ledger holds. No key is kept.
    """

    input: str = ""
    output: str | None = None
    schema: str | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class Home:
    """Where jobs are kept: ``--home``, else ``AI_BATCH_HOME``, else the user's state folder."""

    def __init__(self, given: Path | None, ledger: str | None = None) -> None:
        """Makes the folder where there is none; ``ledger`` is an address or a path.

        Raises ``LedgerError``, ``UsageError`` and ``OSError``.
        """
        self.path = Options(home=given).home_path
        self.spool = Spool(self.path)
        self.ledger = open_ledger(ledger, self.path)

    def find(self, wanted: str) -> JobRecord:
        """The job of an id, of the beginning of one, or the newest for ``last``.

        Raises ``UsageError`` where none or several fit.
        """
        if wanted != "last":
            try:
                return self.ledger.job(wanted)
            except LedgerError:
                pass
        jobs = self.ledger.jobs()
        if not jobs:
            raise UsageError(f"there are no jobs in {self.path}")
        if wanted == "last":
            return jobs[0]
        fitting = [job for job in jobs if _fits(job.id, wanted)]
        if len(fitting) != 1:
            raise _not_one(wanted, fitting)
        return fitting[0]

    def notes(self, record: JobRecord) -> Notes:
        """What the command noted of a job; nothing for one of a program."""
        try:
            data = (self.path / record.folder / NOTES).read_bytes()
            return msgspec.json.decode(data, type=Notes)
        except FileNotFoundError:
            return Notes()
        except msgspec.DecodeError as error:
            sys.stderr.write(f"ai-batch: the notes of {record.id} can't be read: {error}\n")
            return Notes()

    def note(self, record: JobRecord, notes: Notes) -> None:
        """Keep the notes of a job."""
        folder = self.spool.open(record.folder)
        with folder.written(folder.path / NOTES) as file:
            file.write(msgspec.json.encode(notes))

    def mark_delivered(self, job_id: str) -> None:
        """The results are in the user's hands: the same requests may be asked anew."""
        self.ledger.change_job(job_id, delivered_at=self.ledger.now())


def _fits(job_id: str, wanted: str) -> bool:
    """Whether the id begins so, with or without ``job_``, or its last part does."""
    bare = job_id.removeprefix("job_")
    starts = (job_id, bare, bare.rpartition("-")[2])
    return any(start.startswith(wanted) for start in starts)


def _not_one(wanted: str, fitting: list[JobRecord]) -> UsageError:
    if not fitting:
        return UsageError(f"no job begins with {wanted!r}: `ai-batch jobs` lists those there are")
    names = ", ".join(job.id for job in fitting[:5])
    return UsageError(f"{wanted!r} fits {len(fitting)} jobs ({names}): give more of the id")
