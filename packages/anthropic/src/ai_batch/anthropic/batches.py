"""The batch object of the wire, read into the engine's terms. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteState, RemoteStatus, Submission

__all__ = [
    "NO_BATCHES",
    "created_at",
    "is_archived",
    "is_marked",
    "is_over",
    "mark_of",
    "may_belong_to",
    "read_status",
    "token_of_row",
]

NO_BATCHES = "-"
"""The mark of a workspace that had no batches yet."""

SKEW = 10.0
"""Seconds by which the clocks of the vendor's machines may differ: a batch can seem to be a little
older than one that was there before it."""

COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


class _RowId(msgspec.Struct):
    custom_id: str


_ROW_ID = msgspec.json.Decoder(_RowId)


def mark_of(newest: JSONObject | None) -> str:
    """A mark between the batches that there are and those to come: the newest one's id and time.

    It holds also where that batch is deleted meanwhile, and whatever this machine's clock says.
    """
    return NO_BATCHES if newest is None else f"{newest['id']} {newest.get('created_at') or ''}"


def is_marked(batch: JSONObject, mark: str) -> bool:
    """Whether the batch was certainly there when the mark was made, and so everything older."""
    batch_id, _, text = mark.partition(" ")
    created, marked = created_at(batch), _time(text)
    if created is None or marked is None:
        return batch.get("id") == batch_id
    return created < marked - SKEW


def created_at(batch: JSONObject) -> float | None:
    """When the server made the batch, in Unix seconds."""
    return _time(batch.get("created_at"))


def _time(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None


def may_belong_to(batch: JSONObject, submission: Submission) -> bool:
    """Whether the batch has as many requests as the submission, and is not known to be another.

    No batch has none: counts of zero tell nothing.
    """
    marked = (submission.high_water or NO_BATCHES).partition(" ")[0]
    known = batch.get("id") in {marked, *submission.rejected}
    return not known and sum(_counts(batch).values()) in {0, submission.count}


def is_over(batch: JSONObject) -> bool:
    """Whether nothing more will be executed of the batch, so that its rows can be read."""
    return batch.get("processing_status") == "ended"


def is_archived(batch: JSONObject) -> bool:
    """Whether the results are gone, 29 days after the batch was made."""
    return bool(batch.get("archived_at"))


def token_of_row(row: bytes) -> str | None:
    """The token in front of a row's id; None where it can't be told."""
    try:
        return _ROW_ID.decode(row).custom_id.rpartition("-")[0]
    except (ValueError, RecursionError):
        return None


def _counts(batch: JSONObject) -> dict[str, int]:
    found = cast("dict[str, Any]", batch.get("request_counts") or {})
    return {name: found[name] for name in COUNTS if isinstance(found.get(name), int)}


def read_status(batch: JSONObject) -> RemoteStatus:
    """What the batch object says.

    ``cut`` stays None for a batch that was canceled or expired: its results have a row for every
    request all the same, so that one which is missing was lost on the way.
    """
    counts = _counts(batch)
    total = sum(counts.values())
    completed = counts.get("succeeded", 0)
    over = is_over(batch)
    return RemoteStatus(
        remote_id=str(batch.get("id")),
        # "canceling" goes on until it has ended, and so does a status not heard of yet.
        state=RemoteState.ENDED if over else RemoteState.RUNNING,
        total=total,
        completed=completed,
        failed=total - completed - counts.get("processing", 0),
        rows=total or None if over else None,
    )
