"""The Developer API's batch, an operation of the wire, read into the engine's terms. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteState, RemoteStatus, Submission
from ai_batch.core.wire_json import value_of
from ai_batch.gemini.states import (
    count_of,
    cut_of,
    object_at,
    state_of,
    text_of,
    time_of,
    vendor_fault,
    word_of,
)

__all__ = [
    "belongs_to",
    "create_body",
    "ended_before",
    "file_id",
    "inline_answers",
    "is_over",
    "label_of",
    "name_of",
    "read_status",
]


def label_of(token: str) -> str:
    """The name by which a batch is found again: its display name."""
    return f"ai-batch-{token}"


def file_id(token: str) -> str:
    """The id of an input file, which may be 40 characters long and is ours to choose."""
    return label_of(token)


def create_body(submission: Submission, lines: Iterable[bytes] = ()) -> JSONObject:
    """The body of the create call; ``lines`` are those of an input that travels with it."""
    config: JSONObject = {"fileName": submission.input_id}
    if submission.input_id is None:
        inlined = [_inlined(value_of(line)) for line in lines]
        config = {"requests": {"requests": inlined}}
    return {"batch": {"displayName": label_of(submission.token), "inputConfig": config}}


def _inlined(line: JSONObject) -> JSONObject:
    return {"request": line["request"], "metadata": {"key": line["key"]}}


def name_of(operation: JSONObject) -> str:
    """The batch's name, ``batches/...``, by which it is asked for."""
    return str(operation.get("name") or object_at(operation, "metadata").get("name") or "")


def belongs_to(operation: JSONObject, submission: Submission) -> bool:
    """Whether the batch came of the submission."""
    metadata = object_at(operation, "metadata")
    if name_of(operation) in submission.rejected:
        return False
    sent = object_at(metadata, "inputConfig").get("fileName")
    same_input = bool(submission.input_id) and sent == submission.input_id
    return same_input or metadata.get("displayName") == label_of(submission.token)


def _word(operation: JSONObject) -> str:
    return word_of(object_at(operation, "metadata").get("state"))


def is_over(operation: JSONObject) -> bool:
    """Whether nothing more will be executed of the batch."""
    state = read_status(operation).state
    return state not in (RemoteState.PENDING, RemoteState.RUNNING)


def read_status(operation: JSONObject) -> RemoteStatus:
    """What the operation says; the SDK drops half of it."""
    word = _word(operation)
    stats = object_at(operation, "metadata", "batchStats")
    done = count_of(stats, "successfulRequestCount")
    failed = count_of(stats, "failedRequestCount")
    error = operation.get("error")
    output = text_of(_output(operation).get("responsesFile"))
    state = state_of(word, error, executed=bool(done or output))
    return RemoteStatus(
        remote_id=name_of(operation),
        state=state,
        total=count_of(stats, "requestCount"),
        completed=done,
        failed=failed,
        # Where it was cut, the counts are those of before: they promise nothing.
        rows=None,
        cut=cut_of(word),
        faults=() if state is RemoteState.ENDED else vendor_fault(error),
        details={"output": output},
    )


def _output(operation: JSONObject) -> JSONObject:
    # Either may be missing: the SDK reads the one, users of REST the other.
    return object_at(operation, "metadata", "output") or object_at(operation, "response")


def ended_before(operation: JSONObject, since: float) -> bool:
    """Whether the batch is known to have ended before ``since`` (Unix seconds)."""
    ended = time_of(object_at(operation, "metadata").get("endTime"))
    return ended is not None and ended < since


def inline_answers(operation: JSONObject) -> list[JSONObject]:
    """The answers to requests that travelled with the create call."""
    found = object_at(_output(operation), "inlinedResponses").get("inlinedResponses")
    answers = cast("list[object]", found) if isinstance(found, list) else []
    return [cast("JSONObject", answer) for answer in answers if isinstance(answer, dict)]
