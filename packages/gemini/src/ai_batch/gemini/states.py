"""What the states of batches mean, which both APIs spell alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

from ai_batch.core.errors import VendorFault
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteState
from ai_batch.gemini.errors import is_input_missing
from ai_batch.gemini.wire_faults import code_name, is_passing

__all__ = [
    "Cut",
    "count_of",
    "cut_of",
    "object_at",
    "state_of",
    "text_of",
    "time_of",
    "vendor_fault",
    "word_of",
]

Cut: TypeAlias = Literal["expired", "cancelled"] | None

STATES = {
    "queued": RemoteState.PENDING,
    "pending": RemoteState.PENDING,
    "running": RemoteState.RUNNING,
    "updating": RemoteState.RUNNING,
    "paused": RemoteState.RUNNING,
    "cancelling": RemoteState.RUNNING,
    "succeeded": RemoteState.ENDED,
    "partially_succeeded": RemoteState.ENDED,
    "cancelled": RemoteState.ENDED,
    "expired": RemoteState.ENDED,
    "failed": RemoteState.REFUSED,
}
"""A paused job can be resumed, by the enumeration's own words."""

RESOURCE_EXHAUSTED = "resource_exhausted"


def word_of(state: object) -> str:
    """The state without its prefix: BATCH_STATE_ as it is sent, JOB_STATE_ as it is documented."""
    word = state.lower() if isinstance(state, str) else ""
    return word.removeprefix("batch_state_").removeprefix("job_state_")


def state_of(word: str, error: object, *, executed: bool) -> RemoteState:
    """What a batch is doing.

    A failed batch of which something was ``executed`` has ended like others: what there is was
    paid for.
    """
    # A state that nobody has heard of yet is taken for one on the way.
    state = STATES.get(word, RemoteState.RUNNING)
    if state is not RemoteState.REFUSED:
        return state
    return RemoteState.ENDED if executed else _refusal(error)


def _refusal(error: object) -> RemoteState:
    facts = cast("JSONObject", error) if isinstance(error, dict) else {}
    code, message = facts.get("code"), str(facts.get("message") or "")
    if code_name(code) == RESOURCE_EXHAUSTED:
        return RemoteState.QUEUE_FULL
    # Nothing was executed, and it was not the batch's fault: sent again, a few times at most.
    if is_input_missing(message) or is_passing(code):
        return RemoteState.INPUT_LOST
    return RemoteState.REFUSED


def cut_of(word: str) -> Cut:
    """Why a batch that has ended did not work through everything."""
    return cast("Cut", word) if word in {"expired", "cancelled"} else None


def vendor_fault(error: object) -> tuple[VendorFault, ...]:
    """The batch's error as a fault; nothing where there is none."""
    if not isinstance(error, dict):
        return ()
    facts = cast("JSONObject", error)
    code = code_name(facts.get("code"))
    return (VendorFault(message=str(facts.get("message") or code), code=code),)


def count_of(counts: Mapping[str, Any], name: str) -> int:
    """A number among counts: an int64, which is a string in Google's JSON, and absent for 0."""
    value = counts.get(name)
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isdecimal() else 0


def object_at(value: JSONObject, *path: str) -> JSONObject:
    """The object below some keys; an empty one where there is none."""
    found = value
    for key in path:
        inner = found.get(key)
        if not isinstance(inner, dict):
            return {}
        found = cast("JSONObject", inner)
    return found


def text_of(value: object) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def time_of(value: object) -> float | None:
    """Unix seconds of an RFC 3339 time with up to nanoseconds; None where it is none."""
    text = value if isinstance(value, str) else ""
    try:
        return datetime.fromisoformat(text[:19] + "+00:00").timestamp()
    except ValueError:
        return None
