"""Vertex AI's batch prediction job, and where its files lie, in the engine's terms. Pure."""

from __future__ import annotations

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteState, RemoteStatus, Submission
from ai_batch.gemini.batches import label_of
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
    "ANSWERED",
    "create_body",
    "input_uri",
    "job_belongs_to",
    "job_path",
    "output_prefix",
    "read_job",
]

JOBS = "batchPredictionJobs"


def input_uri(folder: str, token: str) -> str:
    """Where a batch's input lies."""
    return f"{folder.rstrip('/')}/{token}.jsonl"


def output_prefix(folder: str, token: str) -> str:
    """Below which a batch's results lie, in a folder that Vertex AI names by the time."""
    return f"{folder.rstrip('/')}/{token}/"


def job_path(remote_id: str) -> str:
    """Where a job is asked for: its name holds the project's number, the path its id."""
    return f"{JOBS}/{remote_id.rpartition('/')[2]}"


ANSWERED = "answered"
"""The detail of a batch that says how many requests have an answer."""


def create_body(submission: Submission, folder: str) -> JSONObject:
    """The body of the create call."""
    model = submission.route.model
    if "/" not in model:
        model = f"publishers/google/models/{model}"
    prefix = output_prefix(folder, submission.token)
    return {
        "displayName": label_of(submission.token),
        "model": model,
        "inputConfig": {
            "instancesFormat": "jsonl",
            "gcsSource": {"uris": [submission.input_id]},
        },
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": prefix},
        },
    }


def job_belongs_to(job: JSONObject, submission: Submission) -> bool:
    """Whether the job came of the submission."""
    if job.get("name") in submission.rejected:
        return False
    return job.get("displayName") == label_of(submission.token)


LONGEST_RUN = 24 * 3600.0 - 60.0
"""Seconds that a job may run; what is unfinished then is cancelled, and asked for again here.
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini"""


def read_job(job: JSONObject) -> RemoteStatus:
    """What the job says."""
    word = word_of(job.get("state"))
    stats = object_at(job, "completionStats")
    done, failed = count_of(stats, "successfulCount"), count_of(stats, "failedCount")
    error = job.get("error")
    state = state_of(word, error, executed=bool(done))
    return RemoteStatus(
        remote_id=str(job.get("name") or ""),
        state=state,
        # -1 where it is not known, which counts for nothing.
        total=done + failed + count_of(stats, "incompleteCount"),
        completed=done,
        failed=failed,
        rows=None,
        cut="expired" if _ran_out(job) else cut_of(word),
        faults=() if state is RemoteState.ENDED else vendor_fault(error),
        details={
            "output": text_of(object_at(job, "outputInfo").get("gcsOutputDirectory")),
            ANSWERED: str(done) if done else None,
        },
    )


def _ran_out(job: JSONObject) -> bool:
    """Whether it was cut for its time, which ends as cancelled too, and not at somebody's wish."""
    began, ended = time_of(job.get("startTime")), time_of(job.get("endTime"))
    return began is not None and ended is not None and ended - began >= LONGEST_RUN
