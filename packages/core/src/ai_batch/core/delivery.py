"""When a job counts as delivered, so that the same requests may be paid for anew.

A job is delivered once its results were read to the end *and* the program that read them either
ended without an uncaught exception or asked the same again. A program that crashes while it
works on its results, or is killed, thus gets them again for nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading

from ai_batch.core.errors import LedgerError
from ai_batch.core.ledger import Ledger

__all__ = ["confirm", "read_to_end"]

_lock = threading.Lock()
_read: dict[tuple[str, str], Ledger] = {}
"""By the ledger's own id and the job's: two homes may have jobs of the same name."""


def read_to_end(ledger: Ledger, job_id: str) -> None:
    """Note that a job's results have been read to the end."""
    with _lock:
        if not _read:
            atexit.register(_at_exit)
        _read[ledger.store_id, job_id] = ledger


def confirm(store_id: str, job_id: str) -> bool:
    """Mark a job as delivered if this program has read it to the end; whether it had.

    ``store_id`` is that of the job's ledger.
    """
    with _lock:
        ledger = _read.pop((store_id, job_id), None)
    if ledger is None:
        return False
    ledger.change_job(job_id, delivered_at=ledger.now())
    return True


def _at_exit() -> None:
    # Python leaves the exception that ended the program here, and nothing after a clean end.
    if getattr(sys, "last_value", None) is not None:
        return
    for (store_id, job_id), ledger in list(_read.items()):
        # A home that was deleted meanwhile, as tests do, needs no mark.
        with contextlib.suppress(LedgerError):
            confirm(store_id, job_id)
            ledger.close()
