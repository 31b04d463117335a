"""Deletes a job for good: its records, its requests and its results."""

from __future__ import annotations

from ai_batch.core.ledger import Ledger
from ai_batch.core.spool import JobFolder, Spool

__all__ = ["delete_job"]


def delete_job(ledger: Ledger, spool: Spool, job_id: str, *, force: bool = False) -> None:
    """Delete a job. Raises ``LedgerError`` while it is not done, unless ``force``.

    Records first: one without its folder would be a job that can't be read, and a folder without
    its record is only room on the disk, which whoever looks for such folders gives back.
    """
    record = ledger.delete_job(job_id, force=force)
    spool.discard(JobFolder(spool.home / record.folder))
