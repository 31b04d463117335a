"""A job as the resource of the wire: pure."""

from __future__ import annotations

import math

from ai_batch.emulator.json_types import JsonObject, JsonValue
from ai_batch.emulator.vertex.lifecycle import LIVE, State, end_of, started_at, state_at
from ai_batch.emulator.vertex.records import VertexJob, time_text

_CANCELLED = 1
_DEADLINE_EXCEEDED = 4


def job_resource(job: VertexJob, now: float) -> JsonObject:
    """Return a `BatchPredictionJob`."""
    state = state_at(job, now)
    found: JsonObject = {
        "name": job.name,
        "displayName": job.display_name,
        "model": job.model,
        "inputConfig": {
            "instancesFormat": "jsonl",
            "gcsSource": {"uris": list[JsonValue](job.input_uris)},
        },
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": job.output_prefix},
        },
    }
    ended = state not in LIVE
    if ended and job.executed is not None:
        found["outputInfo"] = {"gcsOutputDirectory": job.output_directory}
    found["state"] = f"JOB_STATE_{state}"
    error = _error(job, state)
    if error is not None:
        found["error"] = error
    if ended and job.executed is not None:
        found["completionStats"] = _stats(job)
    found |= _times(job, now)
    if job.labels:
        found["labels"] = {**job.labels}
    found["modelVersionId"] = "1"
    return found


def _times(job: VertexJob, now: float) -> JsonObject:
    start, end = started_at(job), end_of(job)
    times: JsonObject = {"createTime": time_text(job.created_at)}
    latest = job.created_at
    if start != math.inf and start <= now:
        times["startTime"] = time_text(start)
        latest = start
    if end is not None and end <= now:
        times["endTime"] = time_text(end)
        latest = end
    return {**times, "updateTime": time_text(latest)}


def _stats(job: VertexJob) -> JsonObject:
    executed = job.executed
    if executed is None:
        return {}
    counts = {
        "successfulCount": executed.completed,
        "failedCount": executed.failed,
        "incompleteCount": job.total - executed.rows,
    }
    return {name: str(count) for name, count in counts.items() if count}


def _error(job: VertexJob, state: State) -> JsonObject | None:
    match state:
        case "FAILED" if job.error is not None:
            return {"code": job.error.code, "message": job.error.message}
        case "CANCELLED":
            return {"code": _CANCELLED, "message": "CANCELLED"}
        case "EXPIRED":
            message = "The job has expired: it was queued for more than 72 hours."
            return {"code": _DEADLINE_EXCEEDED, "message": message}
        case _:
            return None
