"""A batch as the operation of the wire: pure.

Counts are strings, those that are zero are left out, and so is `done` while it is false, as in
every proto3 message (https://ai.google.dev/api/batch-api).
"""

from __future__ import annotations

from ai_batch.emulator.gemini.lifecycle import LIVE, State, end_of, rows_by, state_at
from ai_batch.emulator.gemini.records import GeminiBatch, time_text
from ai_batch.emulator.json_types import JsonObject

_TYPES = "type.googleapis.com/google.ai.generativelanguage.v1main."
_WITH_OUTPUT: frozenset[State] = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED", "CANCELLED"})
_INTERNAL = 13
_DEADLINE_EXCEEDED = 4
_INVALID_ARGUMENT = 3


def operation(
    batch: GeminiBatch, now: float, output: JsonObject | None, progress: int | None
) -> JsonObject:
    """Return the operation; `output` is what the batch gave, `progress` its rows done so far."""
    state = state_at(batch, now)
    name = f"batches/{batch.id}"
    kind = "EmbedContentBatch" if batch.embeds else "GenerateContentBatch"
    output = output if state in _WITH_OUTPUT else None
    metadata: JsonObject = {"@type": _TYPES + kind, "model": f"models/{batch.model}"}
    if batch.display_name is not None:
        metadata["displayName"] = batch.display_name
    if batch.input_file is not None:
        metadata["inputConfig"] = {"fileName": f"files/{batch.input_file}"}
    if output is not None:
        metadata["output"] = output
    metadata |= _times(batch, now)
    if stats := _stats(batch, state, now, progress):
        metadata["batchStats"] = stats
    metadata["state"] = f"BATCH_STATE_{state}"
    metadata["name"] = name
    if batch.priority not in {None, "0"}:
        metadata["priority"] = batch.priority
    found: JsonObject = {"name": name, "metadata": metadata}
    if state in LIVE:
        return found
    found["done"] = True
    error = _error(batch, state)
    if error is not None:
        found["error"] = error
    elif output is not None:
        found["response"] = {"@type": f"{_TYPES}{kind}Output", **output}
    return found


def _times(batch: GeminiBatch, now: float) -> JsonObject:
    times: JsonObject = {"createTime": time_text(batch.created_at)}
    end = end_of(batch)
    if now >= end:
        times["endTime"] = time_text(end)
    times["updateTime"] = time_text(end if now >= end else batch.created_at)
    return times


def _stats(batch: GeminiBatch, state: State, now: float, progress: int | None) -> JsonObject:
    done = failed = 0
    executed = batch.executed
    if executed is not None and state not in LIVE:
        done, failed = executed.completed, executed.failed
    elif state == "RUNNING":
        done = progress if progress is not None else min(rows_by(batch, now), batch.total)
    counts = {
        "requestCount": batch.total,
        "successfulRequestCount": done,
        "failedRequestCount": failed,
        "pendingRequestCount": batch.total - done - failed if state != "FAILED" else 0,
    }
    return {name: str(count) for name, count in counts.items() if count}


def _error(batch: GeminiBatch, state: State) -> JsonObject | None:
    match state:
        case "FAILED" if batch.failure is not None:
            return {"code": _INVALID_ARGUMENT, "message": batch.failure}
        case "FAILED" | "CANCELLED":
            # The service says so even of a batch that its owner has cancelled.
            return {"code": _INTERNAL, "message": f"Batch {batch.id} failed without error."}
        case "EXPIRED":
            return {"code": _DEADLINE_EXCEEDED, "message": f"Batch {batch.id} expired."}
        case _:
            return None
