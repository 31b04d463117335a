"""Batches of the Developer API in the engine's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packages.gemini.tests.rows import CHAT

from ai_batch.core.provider import RemoteState, Submission
from ai_batch.gemini.batches import (
    belongs_to,
    create_body,
    ended_before,
    file_id,
    inline_answers,
    is_over,
    label_of,
    name_of,
    read_status,
)

ERROR = {"code": 13, "message": "Batch failed without error."}


def operation(state: str = "BATCH_STATE_RUNNING", **changes: Any) -> dict[str, Any]:
    """A batch as it is sent; ``changes`` are of its metadata, ``error`` and ``response`` of it."""
    outer: dict[str, Any] = {
        name: changes.pop(name) for name in ("error", "response") if name in changes
    }
    metadata: dict[str, Any] = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": "models/gemini-2.5-flash",
        "displayName": "ai-batch-token",
        "inputConfig": {"fileName": "files/ai-batch-token"},
        "batchStats": {"requestCount": "3", "pendingRequestCount": "3"},
        "state": state,
        "name": "batches/b1",
        **changes,
    }
    return {"name": "batches/b1", "metadata": metadata, **outer}


def submission(**changes: Any) -> Submission:
    """A submission of three requests."""
    given: dict[str, Any] = {"token": "token", "count": 3, "input_path": Path("input"), **changes}
    return Submission(job_id="job", seq=1, route=CHAT, **given)


STATES = [
    ("PENDING", RemoteState.PENDING),
    ("QUEUED", RemoteState.PENDING),
    ("RUNNING", RemoteState.RUNNING),
    ("UPDATING", RemoteState.RUNNING),
    ("PAUSED", RemoteState.RUNNING),
    ("CANCELLING", RemoteState.RUNNING),
    ("NEVER_HEARD_OF", RemoteState.RUNNING),
    ("SUCCEEDED", RemoteState.ENDED),
    ("PARTIALLY_SUCCEEDED", RemoteState.ENDED),
    ("CANCELLED", RemoteState.ENDED),
    ("EXPIRED", RemoteState.ENDED),
    ("FAILED", RemoteState.REFUSED),
]


@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_", ""])
@pytest.mark.parametrize(("word", "state"), STATES)
def test_states_are_spelt_in_two_ways(prefix: str, word: str, state: RemoteState) -> None:
    """Sent as BATCH_STATE_, documented as JOB_STATE_; an unknown one is on the way."""
    status = read_status(operation(prefix + word))
    assert (status.remote_id, status.state, status.total) == ("batches/b1", state, 3)
    assert is_over(operation(prefix + word)) is (state in (RemoteState.ENDED, RemoteState.REFUSED))


@pytest.mark.parametrize("state", [None, 7, ""])
def test_a_batch_without_a_state_is_on_the_way(state: Any) -> None:
    """Nothing is decided by its absence."""
    assert read_status(operation(state)).state is RemoteState.RUNNING


@pytest.mark.parametrize(
    ("word", "cut"), [("EXPIRED", "expired"), ("CANCELLED", "cancelled"), ("SUCCEEDED", None)]
)
def test_a_batch_may_have_been_cut(word: str, cut: str | None) -> None:
    """Then rows may be missing, and its counts are those of before."""
    status = read_status(operation(f"BATCH_STATE_{word}", error=ERROR))
    assert (status.cut, status.rows, status.faults) == (cut, None, ())


def test_counts_are_strings_and_absent_for_zero() -> None:
    """As all int64 in Google's JSON."""
    stats: dict[str, Any] = {
        "requestCount": "7",
        "successfulRequestCount": "4",
        "failedRequestCount": 2,
    }
    status = read_status(operation(batchStats=stats))
    assert (status.total, status.completed, status.failed) == (7, 4, 2)
    for odd in ({}, None, {"requestCount": "-1", "failedRequestCount": None}, "odd"):
        status = read_status(operation(batchStats=odd))
        assert (status.total, status.completed, status.failed) == (0, 0, 0)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ({"code": 3, "message": "Invalid."}, RemoteState.REFUSED),
        ({"code": 8, "message": "Quota."}, RemoteState.QUEUE_FULL),
        ({"code": 429, "message": "Quota."}, RemoteState.QUEUE_FULL),
        ({"code": 13, "message": "Internal."}, RemoteState.INPUT_LOST),
        ({"code": 5, "message": "File files/x not found."}, RemoteState.INPUT_LOST),
        (None, RemoteState.REFUSED),
        ("odd", RemoteState.REFUSED),
    ],
)
def test_a_failed_batch_says_why(error: Any, state: RemoteState) -> None:
    """Whether the batch is at fault, and whether sending it again may help."""
    status = read_status(operation("BATCH_STATE_FAILED", error=error))
    assert status.state is state
    told = [fault.message for fault in status.faults]
    assert told == ([error["message"]] if isinstance(error, dict) else [])


def test_a_failed_batch_of_which_something_was_executed_has_ended() -> None:
    """What there is was paid for, and is fetched."""
    for executed in (
        {"batchStats": {"successfulRequestCount": "1"}},
        {"output": {"responsesFile": "files/batch-b1"}},
    ):
        given: dict[str, Any] = executed
        status = read_status(operation("BATCH_STATE_FAILED", error=ERROR, **given))
        assert (status.state, status.faults) == (RemoteState.ENDED, ())


@pytest.mark.parametrize("place", ["metadata", "response"])
def test_results_are_named_in_two_places(place: str) -> None:
    """Either may be missing."""
    output = {"responsesFile": "files/batch-b1"}
    given: dict[str, Any] = {"output": output} if place == "metadata" else {"response": output}
    status = read_status(operation("BATCH_STATE_SUCCEEDED", **given))
    assert status.details == {"output": "files/batch-b1"}


def test_inline_answers_are_nested_twice() -> None:
    """What is no answer is left out."""
    answers: dict[str, Any] = {
        "inlinedResponses": {"inlinedResponses": [{"response": {}}, None, "odd"]}
    }
    assert inline_answers(operation(output=answers)) == [{"response": {}}]
    assert inline_answers(operation(response=answers)) == [{"response": {}}]
    assert inline_answers(operation()) == []
    assert inline_answers(operation(output={"inlinedResponses": []})) == []


def test_a_batch_is_told_by_its_name_or_its_input() -> None:
    """And one that was found to be another's stays rejected."""
    assert belongs_to(operation(), submission())
    assert not belongs_to(operation(displayName="ai-batch-other"), submission())
    renamed = operation(displayName="other")
    assert belongs_to(renamed, submission(input_id="files/ai-batch-token"))
    assert not belongs_to(renamed, submission(input_id="files/other"))
    assert not belongs_to(operation(displayName="x", inputConfig={}), submission())
    assert not belongs_to(operation(), submission(rejected=frozenset({"batches/b1"})))


def test_the_name_may_be_in_the_metadata_only() -> None:
    """A pending operation's."""
    assert name_of({"metadata": {"name": "batches/b2"}}) == "batches/b2"
    assert name_of({}) == ""


def test_names_fit() -> None:
    """An id of a file has 40 characters at most."""
    assert label_of("t" * 31) == file_id("t" * 31)
    assert len(file_id("t" * 31)) == 40


def test_a_create_names_a_file_or_holds_the_requests() -> None:
    """Requests that travel with the call have their keys as metadata."""
    body = create_body(submission(input_id="files/x"))
    assert body == {
        "batch": {"displayName": "ai-batch-token", "inputConfig": {"fileName": "files/x"}}
    }
    body = create_body(submission(), [b'{"key":"token-0","request":{"contents":[]}}'])
    assert body["batch"]["inputConfig"] == {
        "requests": {"requests": [{"request": {"contents": []}, "metadata": {"key": "token-0"}}]}
    }


def test_times_may_have_nanoseconds() -> None:
    """A time that can't be read is none."""
    ended = operation(endTime="2026-01-06T11:10:19.736868930Z")
    at = 1767697819.0
    assert ended_before(ended, at + 1)
    assert not ended_before(ended, at - 1)
    assert not ended_before(operation(endTime="yesterday"), at)
    assert not ended_before(operation(), at)
