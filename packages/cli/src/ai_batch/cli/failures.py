"""Every error as one message that says what to do, and the exit codes."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

__all__ = ["Declined", "ExitCode", "explain", "leave", "told"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The disk is full, the quota is used up, or a file may not grow further."""

UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


class ExitCode(IntEnum):
    """How a command ended; documented in ``docs/cli.md``."""

    OK = 0  # done, and every request has its answer
    SOME_FAILED = 1  # done, and some requests have an error instead of an answer
    USAGE = 2  # the call or the input is wrong: nothing was sent
    PROVIDER = 3  # the provider refused or could not be reached; the job is kept
    RECORDS = 4  # the disk, the home or the ledger is in the way; the job is kept
    DECLINED = 5  # the user said no, or the job was cancelled
    UNFINISHED = 6  # asked for what is not there yet
    INTERRUPTED = 130  # Ctrl-C: this process has let go, the job goes on


class Declined(Exception):
    """The user said no."""


def leave(code: ExitCode) -> NoReturn:
    """End the command with this exit code."""
    sys.exit(int(code))


def explain(error: BaseException) -> tuple[str, ExitCode] | None:
    """The message and the exit code of an error; None for a fault of our own."""
    if isinstance(error, Declined):
        return str(error), ExitCode.DECLINED
    if isinstance(error, OSError):
        return _of_system(error), ExitCode.RECORDS
    return _of_library(error)


def _of_library(error: BaseException) -> tuple[str, ExitCode] | None:
    # Only now: who asks for help, or says no, need not wait for it.
    from ai_batch.core import AIBatchError, BatchFailed, LedgerError, NotApproved, UsageError

    if isinstance(error, NotApproved):
        return "nothing was sent", ExitCode.DECLINED
    if isinstance(error, UsageError):
        return str(error), ExitCode.USAGE
    if isinstance(error, LedgerError):
        return _of_ledger(error), ExitCode.RECORDS
    if isinstance(error, BatchFailed):
        hint = "Mend what it says, and give the same command again."
        return f"{error}\n{hint}", ExitCode.PROVIDER
    if isinstance(error, AIBatchError):
        return f"{error}\n{_of_provider(error)}", ExitCode.PROVIDER
    return None


def _of_provider(error: Exception) -> str:
    from ai_batch.core import AuthenticationFailed, ProviderUnavailable, QuotaExhausted

    if isinstance(error, AuthenticationFailed):
        return (
            "Set the right key in the environment (`ai-batch providers` names the variables); "
            "then go on with `ai-batch resume`."
        )
    if isinstance(error, QuotaExhausted):
        return "Top up the account; then go on with `ai-batch resume`."
    if isinstance(error, ProviderUnavailable):
        return "Nothing is lost: try `ai-batch resume` later."
    return "The job is kept: `ai-batch resume` goes on with it."


def _of_system(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL:
        return (
            f"no room left on the disk{place}: {error.strerror}\n"
            "Make room, or choose another disk with --home or -o, and give the same command again."
        )
    if error.errno in UNWRITABLE:
        return (
            f"not allowed to write or read{place}: {error.strerror}\n"
            "Choose another place with --home (or AI_BATCH_HOME) or -o."
        )
    if error.errno == errno.ENOENT:
        return f"there is no such file or folder{place}"
    return f"{error.strerror or error}{place}"


def _of_ledger(error: Exception) -> str:
    from ai_batch.core import NoRoom

    text = str(error)
    if isinstance(error, NoRoom) or "disk I/O" in text:
        return f"{text}\nThe job is kept: `ai-batch jobs` lists it, `ai-batch resume` goes on."
    if "readonly" in text or "unable to open" in text or "AI_BATCH_HOME" in text:
        return f"{text}\nChoose another place with --home or AI_BATCH_HOME."
    return text


@contextmanager
def told() -> Generator[None, None, None]:
    """Tell errors on stderr, without a traceback, and end with their exit code."""
    try:
        yield
    except KeyboardInterrupt:
        # Before the command has begun; what it does about it itself is its own.
        leave(ExitCode.INTERRUPTED)
    except Exception as error:
        found = explain(error)
        if found is None:
            raise
        message, code = found
        notes = [note for note in getattr(error, "__notes__", []) if "attach(" not in note]
        _tell("\n".join([message, *notes]), code)
        leave(code)


def _tell(message: str, code: ExitCode) -> None:
    sys.stderr.write(f"ai-batch: {message}\n")
    if "--json" in sys.argv:
        line = {"type": "error", "message": message, "exit_code": int(code)}
        sys.stdout.write(json.dumps(line) + "\n")
