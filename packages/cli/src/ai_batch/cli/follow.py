"""Works on a job to its end while it is shown; Ctrl-C lets go of it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from ai_batch.cli.consent import is_yes
from ai_batch.cli.desk import Desk
from ai_batch.cli.display import Display
from ai_batch.cli.failures import ExitCode, leave
from ai_batch.cli.snapshot import take
from ai_batch.core import BatchResponse, JobRecord
from ai_batch.core.job import Job

__all__ = ["detach", "follow", "watch"]

INTERVAL = 0.5
"""Seconds between two looks at the ledger; longer where a look itself takes long."""

SECOND_THOUGHTS = 3.0
"""Seconds in which a second Ctrl-C is a wish to cancel."""

IDLE_SECONDS = 90.0
"""Seconds without a lease after which nobody seems to work on a job; between two polls none is
held."""


def follow(desk: Desk, job: Job, display: Display) -> BatchResponse:
    """Work on the job until every request has its result. Ends the command on Ctrl-C."""
    try:
        response = _work(desk, job, display)
    except KeyboardInterrupt:
        display.close()
        _interrupted(desk, job, display)
    finally:
        display.close()
    return response


def _work(desk: Desk, job: Job, display: Display) -> BatchResponse:
    record = desk.ledger.job(job.id)
    wait = INTERVAL
    while True:
        wait = _look(desk, record, display)
        try:
            response = job.join(timeout=wait)
        except TimeoutError:
            continue
        _look(desk, record, display)
        return response


def _look(desk: Desk, record: JobRecord, display: Display) -> float:
    """Show the job; the seconds until it should be looked at again."""
    began = time.monotonic()
    display.show(take(desk.ledger, record, desk.provider))
    # Twenty thousand batches take a while to read: the job needs the processor more.
    return max(INTERVAL, 20 * (time.monotonic() - began))


def detach(job: Job) -> str:
    """Let go of the job; how to come back to it."""
    with contextlib.suppress(KeyboardInterrupt):
        job.detach()
    return f"come back with: ai-batch resume {job.id}"


def _interrupted(desk: Desk, job: Job, display: Display) -> NoReturn:
    """Let go after a Ctrl-C; a second one offers to cancel."""
    try:
        sys.stderr.write(
            f"\nDetached: what is at the provider goes on, and costs what it costs; {detach(job)}\n"
        )
        if sys.stdin.isatty() and sys.stderr.isatty():
            sys.stderr.write("Press Ctrl-C again to cancel the job instead.\n")
            time.sleep(SECOND_THOUGHTS)
    except KeyboardInterrupt:
        if _wants_cancel(job):
            _cancel(desk, job, display)
    leave(ExitCode.INTERRUPTED)


def _wants_cancel(job: Job) -> bool:
    sys.stderr.write("\n")
    try:
        return is_yes(f"Cancel {job.id} at the provider? What is finished is kept.")
    except KeyboardInterrupt:
        return False


def _cancel(desk: Desk, job: Job, display: Display) -> NoReturn:
    desk.ledger.cancel_job(job.id)
    try:
        response = _work(desk, job, display)
    except KeyboardInterrupt:
        job.detach()
        sys.stderr.write(f"\nThe job is being cancelled; {detach(job)}\n")
        leave(ExitCode.INTERRUPTED)
    display.close()
    sys.stderr.write(
        f"Cancelled: {response.completed} of {response.total} requests have an answer; "
        f"ai-batch results {job.id} -o FILE writes them\n"
    )
    leave(ExitCode.DECLINED)


def watch(desk: Desk, record: JobRecord, display: Display, nobody: Callable[[], None]) -> None:
    """Show a job that another process works on, to its end.

    ``nobody`` is called once where no process seems to work on it.
    """
    from ai_batch.core.owners import is_gone

    idle: float | None = 0.0
    while not desk.ledger.job(record.id).finished:
        wait = _look(desk, record, display)
        owners = desk.ledger.owners(record.id)
        if idle is not None:
            idle = idle + wait if all(map(is_gone, owners)) else 0.0
            if idle >= IDLE_SECONDS:
                idle = None
                nobody()
        time.sleep(wait)
    _look(desk, record, display)
