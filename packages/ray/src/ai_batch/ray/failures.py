"""Errors that cross processes: plain ones, in which no vendor's exception and no key is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from ai_batch.core.errors import AIBatchError, BatchFailed, UsageError, mask

__all__ = ["RowsFailed", "StepFailed", "placed", "plainly"]


class StepFailed(AIBatchError):
    """A task on some machine failed for a cause that is none of ours, or its process died.

    Nothing is lost: the same call goes on where it stopped.
    """


class RowsFailed(AIBatchError):
    """Some rows have no answer, and ``should_continue_on_error`` is off.

    The answers of all others are kept; with it on, ``collect`` gives them for nothing.
    """


@contextmanager
def plainly(what: str) -> Generator[None]:
    """Let only errors of ours out, which hold texts and numbers; ``what`` begins all others.

    Ray pickles what a task raises, shows it on its dashboard and writes it to its logs.
    """
    try:
        yield
    except BatchFailed as error:
        # It holds its job, and that an open ledger.
        raise StepFailed(f"{what}: {error}") from None
    except AIBatchError:
        raise
    except Exception as error:  # noqa: BLE001 - a vendor's own may hold the key
        text = mask(f"{what}: {type(error).__name__}: {error}")
        raise StepFailed(text) from None


def placed(error: UsageError, first: int) -> UsageError:
    """The error of a part with the rows' places in the whole, of which ``first`` is its first."""
    problems = [
        problem if problem.index is None else replace(problem, index=problem.index + first)
        for problem in error.problems
    ]
    return UsageError(error.message, problems, total=error.total) if problems else error
