"""The batch object of the wire, read into the engine's terms. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ai_batch.core.errors import VendorFault
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteState, RemoteStatus, Submission
from ai_batch.openai.errors import is_input_missing, is_queue_full

__all__ = ["TOKEN_KEY", "belongs_to", "create_body", "is_over", "read_status", "token_of"]

TOKEN_KEY = "ai_batch_token"  # noqa: S105 - the name of a metadata key

STATES = {
    "validating": RemoteState.PENDING,
    "queued": RemoteState.PENDING,
    "in_progress": RemoteState.RUNNING,
    "finalizing": RemoteState.RUNNING,
    "cancelling": RemoteState.RUNNING,
    "completed": RemoteState.ENDED,
    "expired": RemoteState.ENDED,
    "cancelled": RemoteState.ENDED,
    "canceled": RemoteState.ENDED,
    "failed": RemoteState.REFUSED,
}
"""Azure capitalises statuses, and its samples know ``canceled`` as well."""

SHARED_CODES = frozenset(
    {"model_not_found", "invalid_url", "url_mismatch", "mismatched_model", "model_mismatch"}
)
"""Faults of what all lines of a batch have in common, although they name the first line."""


def create_body(submission: Submission, window: str) -> JSONObject:
    """The body of ``POST /batches``; its metadata is what an orphan is found by."""
    return {
        "input_file_id": submission.input_id,
        "endpoint": submission.route.endpoint,
        "completion_window": window,
        "metadata": {
            TOKEN_KEY: submission.token,
            "ai_batch_job": submission.job_id,
            "ai_batch_shard": str(submission.seq),
        },
    }


def token_of(batch: JSONObject) -> str | None:
    """The token of the submission that a batch came of; None for other programs' batches."""
    metadata = batch.get("metadata")
    found = cast("JSONObject", metadata).get(TOKEN_KEY) if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None


def belongs_to(batch: JSONObject, submission: Submission) -> bool:
    """Whether the batch came of the submission; servers without metadata still name the input."""
    if batch.get("id") in submission.rejected:
        return False
    same_input = bool(submission.input_id) and batch.get("input_file_id") == submission.input_id
    return same_input or token_of(batch) == submission.token


def is_over(batch: JSONObject) -> bool:
    """Whether nothing more will be executed of the batch."""
    return _state(batch) in (RemoteState.ENDED, RemoteState.REFUSED)


def _word(batch: JSONObject) -> str:
    return str(batch.get("status") or "").lower()


def _state(batch: JSONObject) -> RemoteState:
    # A status that nobody has heard of yet is taken for one on the way.
    return STATES.get(_word(batch), RemoteState.RUNNING)


def read_status(batch: JSONObject) -> RemoteStatus:
    """What the batch object says, with empty file ids taken for absent ones."""
    state = _state(batch)
    counts = _counts(batch.get("request_counts"))
    total, completed, failed = (counts.get(key, 0) for key in ("total", "completed", "failed"))
    faults = _faults(batch.get("errors"))
    if state is RemoteState.REFUSED:
        state = _refusal(faults)
    word = _word(batch)
    return RemoteStatus(
        remote_id=str(batch.get("id")),
        state=state,
        total=total,
        completed=completed,
        failed=failed,
        rows=_rows(word, total, completed + failed),
        cut=_cut(word),
        faults=faults,
        details={
            "output": _text(batch.get("output_file_id")),
            "errors": _text(batch.get("error_file_id")),
        },
    )


def _rows(word: str, total: int, done: int) -> int | None:
    """The number of rows that is promised. A cancelled batch's counts can't be relied upon."""
    if word == "completed":
        return total or None
    return done or None if word == "expired" else None


def _cut(word: str) -> Any:
    if word == "expired":
        return "expired"
    return "cancelled" if word in {"cancelled", "canceled"} else None


def _counts(value: object) -> Mapping[str, int]:
    if not isinstance(value, dict):
        return {}
    found = cast("JSONObject", value)
    return {key: count for key, count in found.items() if isinstance(count, int)}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _faults(value: object) -> Sequence[VendorFault]:
    entries = cast("JSONObject", value).get("data") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        return ()
    return tuple(
        _fault(cast("JSONObject", entry))
        for entry in cast("list[object]", entries)
        if isinstance(entry, dict)
    )


def _fault(entry: JSONObject) -> VendorFault:
    code, line = _text(entry.get("code")), entry.get("line")
    return VendorFault(
        message=str(entry.get("message") or code or "the batch failed"),
        code=code,
        param=_text(entry.get("param")),
        line=line if isinstance(line, int) and code not in SHARED_CODES else None,
    )


def _refusal(faults: Sequence[VendorFault]) -> RemoteState:
    if any(is_queue_full(fault.code, fault.message) for fault in faults):
        return RemoteState.QUEUE_FULL
    if any(is_input_missing(fault.code, fault.message) for fault in faults):
        return RemoteState.INPUT_LOST
    return RemoteState.REFUSED
