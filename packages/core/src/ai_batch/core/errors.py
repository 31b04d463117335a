"""The errors that ai-batch raises, grouped by what the caller can do next.

    AIBatchError
    ├── UsageError              the call is wrong: fix it; nothing was sent
    │   ├── NotApproved
    │   └── ProviderNotInstalled
    ├── ProviderError           the vendor, or the way to it, failed; the job can be resumed
    │   ├── AuthenticationFailed
    │   ├── QuotaExhausted
    │   ├── RateLimited
    │   ├── QueueFull
    │   ├── ProviderUnavailable
    │   ├── OutcomeUnknown
    │   ├── RemoteNotFound
    │   └── RequestRefused
    ├── BatchFailed             the vendor refused every batch of a job; carries the job
    └── LedgerError             the job's records could not be read or written
        ├── NoRoom
        ├── LedgerUnavailable
        ├── SpoolDamaged
        └── LeaseLost

A single request that fails is not an exception but a value: ``result.error``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_batch.core.job import Job

__all__ = [
    "AIBatchError",
    "AuthenticationFailed",
    "BatchFailed",
    "LeaseLost",
    "LedgerError",
    "LedgerUnavailable",
    "NoRoom",
    "NotApproved",
    "OutcomeUnknown",
    "Problem",
    "ProviderError",
    "ProviderNotInstalled",
    "ProviderUnavailable",
    "QueueFull",
    "QuotaExhausted",
    "RateLimited",
    "RemoteNotFound",
    "RequestRefused",
    "UsageError",
    "VendorFault",
    "hide",
    "mask",
]

MAX_PROBLEMS = 100
"""How many faults of one input are reported together."""

_SECRETS = re.compile(
    r"(?i)(?:bearer\s+|x-api-key['\":=\s]+|api-key['\":=\s]+)[^\s'\",}]+"
    r"|\b(?:sk|gsk|xai|whsec|pk)[-_][A-Za-z0-9_\-]{6,}"
    r"|\bAIza[0-9A-Za-z_\-]{10,}"
    r"|\beyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-.]+"
    r"|\bya29\.[A-Za-z0-9_\-.]+"
    r"|\b(?:pa|al)-[A-Za-z0-9_\-]{30,}"
    r"|(?<=[?&])(?:key|api_key|access_token|token)=[^&\s'\"<>]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|authorization['\":=\s]+basic\s+[^\s'\",}]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


_HINTS = (
    *(
        "bearer",
        "api-key",
        "sk-",
        "sk_",
        "gsk",
        "xai",
        "whsec",
        "pk-",
        "pk_",
        "aiza",
        "eyj",
        "ya29",
    ),
    *("pa-", "al-", "key=", "token=", "://", "basic", "private key"),
)

SHORTEST_SECRET = 12
"""Characters; what is shorter is no key, and may well be a word."""

LONGEST_WORD = 5
"""Characters of what may be a stand-in's key, such as ``test``, and is left as it is."""

_hidden: set[str] = set()


def hide(*secrets: str | None) -> None:
    """Have ``mask`` replace these in all texts from now on, whoever repeats them.

    A vendor may answer with the key that it refuses, also in the rows of a batch.
    """
    _hidden.update(secret for secret in secrets if secret and len(secret) >= SHORTEST_SECRET)


def mask(text: str, *secrets: str | None) -> str:
    """``text`` with the given secrets, and whatever looks like an API key, replaced by ``***``."""
    for secret in (*secrets, *tuple(_hidden)):
        # A stand-in's key of a few letters is part of many words.
        if secret and len(secret) > LONGEST_WORD:
            text = text.replace(secret, "***")
    # The pattern is slow on long texts, and hardly any of them holds what it looks for.
    lowered = text.lower()
    return _SECRETS.sub("***", text) if any(hint in lowered for hint in _HINTS) else text


class AIBatchError(Exception):
    """Base of every error that ai-batch raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of the input: which request, which field, what was found and what is allowed."""

    message: str
    id: str | None = None
    index: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        """The fault in one line, with the request's place in front."""
        place = "" if self.index is None else f"request {self.id!r} (index {self.index})"
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {field}{self.message}" if place else f"{field}{self.message}"


class UsageError(AIBatchError, ValueError):
    """The call or its input is wrong; nothing was sent and nothing was paid.

    ``problems`` holds the faults (the first 100), each with the request's id and index.
    """

    def __init__(
        self, message: str, problems: Sequence[Problem] = (), *, total: int | None = None
    ) -> None:
        """``total`` is the number of faults found when more were found than are listed."""
        self.message = message
        self.problems = list(problems[:MAX_PROBLEMS])
        self.total = len(problems) if total is None else total
        lines = [message, *(f"  - {problem}" for problem in self.problems)]
        if self.total > len(self.problems):
            lines.append(f"  ... and {self.total - len(self.problems)} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process borders with plain fields only."""
        return _rebuild_usage, (type(self), self.message, self.problems, self.total)


def _rebuild_usage(
    kind: type[UsageError], message: str, problems: list[Problem], total: int
) -> UsageError:
    return kind(message, problems, total=total)


class NotApproved(UsageError):
    """Whoever was asked by ``approve=`` does not want the job; nothing was sent."""


class ProviderNotInstalled(UsageError, ImportError):
    """A provider's distribution, or the vendor's SDK, is not installed.

    The message names the ``pip install`` that brings it.
    """


class ProviderError(AIBatchError):
    """The vendor answered with an error, or could not be reached.

    The job is kept as it is: the same call, or ``attach(job_id)``, goes on with it. Vendors'
    own exceptions hold the API key and are therefore never chained; what matters of them is
    here in plain fields.
    """

    retryable = False
    """Whether the engine itself tries again."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        faults: Sequence[VendorFault] = (),
    ) -> None:
        """``status`` is the HTTP status, ``retry_after`` is in seconds."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process borders with plain fields only."""
        return _rebuild_provider, (type(self), self.message, dict(vars(self)))


def _rebuild_provider(
    kind: type[ProviderError], message: str, fields: dict[str, Any]
) -> ProviderError:
    error = kind(message)
    vars(error).update(fields)
    return error


class AuthenticationFailed(ProviderError):
    """The key is missing, unknown or not allowed to do this (HTTP 401, 403)."""


class QuotaExhausted(ProviderError):
    """The account has no credit left; top it up and run the same script again."""


class RateLimited(ProviderError):
    """Too many calls (HTTP 429); waits ``retry_after`` seconds where the vendor said so."""

    retryable = True


class QueueFull(ProviderError):
    """The vendor's queue of batches or tokens is full; the batch waits for others to end."""

    retryable = True


class ProviderUnavailable(ProviderError):
    """The vendor could not be reached or answered 5xx, and certainly did nothing."""

    retryable = True


class OutcomeUnknown(ProviderError):
    """The call was cut: whether the vendor carried it out must be found out before any retry."""

    retryable = True


class RemoteNotFound(ProviderError):
    """The vendor does not know the batch or file (HTTP 404), or does not know it yet."""

    retryable = True


class RequestRefused(ProviderError):
    """The vendor refused the call for good (HTTP 4xx): the same call would fail again."""


@dataclass(frozen=True, slots=True)
class VendorFault:
    """One entry of the error list of a failed batch, mapped back to the request it is about.

    ``line`` counts from 1 in the file that was sent; ``id`` and ``index`` are the request's.
    """

    message: str
    code: str | None = None
    param: str | None = None
    line: int | None = None
    id: str | None = None
    index: int | None = None

    def __str__(self) -> str:
        """The fault in one line, with the request's id where it is known."""
        place = "" if self.id is None else f"request {self.id!r}: "
        code = "" if self.code is None else f"[{self.code}] "
        return f"{place}{code}{self.message}"


class BatchFailed(AIBatchError):
    """The vendor refused every batch of the job as a whole, so that no request was executed.

    ``job`` is the job (its ``results()`` still give one error per request) and ``errors`` the
    vendor's errors, mapped back to request ids where they name a line.
    """

    def __init__(self, job: Job, errors: Sequence[VendorFault]) -> None:
        """Both are kept as attributes."""
        self.job = job
        self.errors = list(errors)
        lines = [f"  - {fault}" for fault in self.errors[:MAX_PROBLEMS]]
        if len(self.errors) > MAX_PROBLEMS:
            lines.append(f"  ... and {len(self.errors) - MAX_PROBLEMS} more")
        head = f"job {job.id}: the provider refused every batch; nothing was executed or billed"
        super().__init__("\n".join([head, *lines]))


class LedgerError(AIBatchError):
    """The ledger or the spool could not be read or written; the message says what to do."""


class NoRoom(LedgerError):
    """The disk is full, or the user's quota of it; nothing is lost, and room mends it."""


class LedgerUnavailable(LedgerError):
    """The database of the ledger can't be reached, or has broken off; nothing is lost.

    What was being written may have got there all the same: whoever goes on reads the record
    first, as after a crash.
    """


class LeaseLost(LedgerError):
    """Another process has taken over this piece of work; this one must stop touching it."""
