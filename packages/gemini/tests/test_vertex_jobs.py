"""Jobs of Vertex AI in the engine's terms, and where their files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packages.gemini.tests.rows import VERTEX

from ai_batch.core.provider import RemoteState, Submission
from ai_batch.gemini.vertex_jobs import (
    create_body,
    input_uri,
    job_belongs_to,
    job_path,
    output_prefix,
    read_job,
)

NAME = "projects/123/locations/us-central1/batchPredictionJobs/456"


def job(state: str = "JOB_STATE_RUNNING", **changes: Any) -> dict[str, Any]:
    """A job as it is sent."""
    return {"name": NAME, "displayName": "ai-batch-token", "state": state, **changes}


def submission(**changes: Any) -> Submission:
    """A submission of three requests."""
    given: dict[str, Any] = {"route": VERTEX, "input_id": "gs://b/f/token.jsonl", **changes}
    return Submission(
        job_id="job", seq=1, token="token", count=3, input_path=Path("input"), **given
    )


def test_a_job_is_asked_for_by_its_id() -> None:
    """Its name holds the project's number, which the path must not."""
    assert job_path(NAME) == "batchPredictionJobs/456"
    assert job_path("456") == "batchPredictionJobs/456"


@pytest.mark.parametrize("folder", ["gs://b/f", "gs://b/f/", "gs://b"])
def test_files_lie_below_the_folder(folder: str) -> None:
    """Under the token, which is nobody else's."""
    bare = folder.rstrip("/")
    assert input_uri(folder, "token") == f"{bare}/token.jsonl"
    assert output_prefix(folder, "token") == f"{bare}/token/"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"),
        ("publishers/meta/models/llama", "publishers/meta/models/llama"),
    ],
)
def test_a_create_names_model_input_and_output(model: str, path: str) -> None:
    """Other publishers' models, and tuned ones, have their path."""
    body = create_body(submission(route=VERTEX._replace(model=model)), "gs://b/f")
    assert body == {
        "displayName": "ai-batch-token",
        "model": path,
        "inputConfig": {
            "instancesFormat": "jsonl",
            "gcsSource": {"uris": ["gs://b/f/token.jsonl"]},
        },
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "gs://b/f/token/"},
        },
    }


def test_a_job_is_told_by_its_name() -> None:
    """One that was found to be another's stays rejected."""
    assert job_belongs_to(job(), submission())
    assert not job_belongs_to(job(displayName="other"), submission())
    assert not job_belongs_to(job(), submission(rejected=frozenset({NAME})))


def test_counts_and_the_place_of_results() -> None:
    """-1 where it is not known, which counts for nothing."""
    stats = {"successfulCount": "5", "failedCount": "1", "incompleteCount": "2"}
    out = {"gcsOutputDirectory": "gs://b/f/token/prediction-model-x"}
    status = read_job(job("JOB_STATE_SUCCEEDED", completionStats=stats, outputInfo=out))
    assert (status.remote_id, status.state) == (NAME, RemoteState.ENDED)
    assert (status.total, status.completed, status.failed, status.rows) == (8, 5, 1, None)
    assert status.details == {"output": "gs://b/f/token/prediction-model-x", "answered": "5"}
    status = read_job(job(completionStats={"incompleteCount": "-1"}))
    assert (status.total, status.details) == (0, {"output": None, "answered": None})


def test_a_job_that_ran_for_a_day_has_expired() -> None:
    """It ends as cancelled, though nobody wished it: the rest is asked for again."""
    times = {"startTime": "2026-01-06T11:00:00.5Z", "endTime": "2026-01-07T11:00:01Z"}
    assert read_job(job("JOB_STATE_CANCELLED", **times)).cut == "expired"
    times["endTime"] = "2026-01-06T12:00:00Z"
    assert read_job(job("JOB_STATE_CANCELLED", **times)).cut == "cancelled"
    assert read_job(job("JOB_STATE_CANCELLED")).cut == "cancelled"
    assert read_job(job("JOB_STATE_EXPIRED")).cut == "expired"


@pytest.mark.parametrize(
    ("code", "message", "state"),
    [
        (3, "Do not support publisher model x", RemoteState.REFUSED),
        (8, "Quota", RemoteState.QUEUE_FULL),
        (14, "Unavailable", RemoteState.INPUT_LOST),
        (5, "gs://b/f/token.jsonl does not exist", RemoteState.INPUT_LOST),
    ],
)
def test_a_failed_job_says_why(code: int, message: str, state: RemoteState) -> None:
    """With a fault that a user can read; what was executed is fetched all the same."""
    error = {"code": code, "message": message}
    status = read_job(job("JOB_STATE_FAILED", error=error))
    assert (status.state, [fault.message for fault in status.faults]) == (state, [message])
    some = {"successfulCount": "1"}
    status = read_job(job("JOB_STATE_FAILED", error=error, completionStats=some))
    assert (status.state, status.faults) == (RemoteState.ENDED, ())
