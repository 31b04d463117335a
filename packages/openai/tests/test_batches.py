"""The batch object of the wire, read: pure, one object in, one status out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_batch.core.provider import RemoteState, Route, Submission
from ai_batch.openai.batches import belongs_to, create_body, is_over, read_status, token_of

SUBMISSION = Submission(
    job_id="job_1",
    seq=7,
    token="tokentoken",
    route=Route("chat", "/v1/chat/completions", "gpt-4o-mini"),
    count=3,
    input_path=Path("0007.input.jsonl"),
    input_id="file-1",
)


def batch(status: str, **fields: Any) -> dict[str, Any]:
    """A batch as the vendor shows it."""
    return {"id": "batch_1", "status": status, "errors": None, **fields}


def failed(*faults: dict[str, Any]) -> dict[str, Any]:
    """A batch that failed validation."""
    return batch("failed", errors={"object": "list", "data": list(faults)})


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("validating", RemoteState.PENDING),
        ("in_progress", RemoteState.RUNNING),
        ("finalizing", RemoteState.RUNNING),
        ("cancelling", RemoteState.RUNNING),
        ("completed", RemoteState.ENDED),
        ("expired", RemoteState.ENDED),
        ("cancelled", RemoteState.ENDED),
        ("canceled", RemoteState.ENDED),
        ("failed", RemoteState.REFUSED),
        ("Completed", RemoteState.ENDED),
        ("Validating", RemoteState.PENDING),
        ("something_new", RemoteState.RUNNING),
        ("", RemoteState.RUNNING),
    ],
)
def test_each_status_has_a_state(status: str, state: RemoteState) -> None:
    """Every status is known in any spelling; an unknown one is on the way."""
    assert read_status(batch(status)).state is state
    assert is_over(batch(status)) is (state in (RemoteState.ENDED, RemoteState.REFUSED))


@pytest.mark.parametrize(
    ("code", "message", "state"),
    [
        ("token_limit_exceeded", "Enqueued token limit reached", RemoteState.QUEUE_FULL),
        (None, "Enqueued token limit reached for gpt-4o-mini", RemoteState.QUEUE_FULL),
        ("invalid_request", "Cannot find file file-1, or organization", RemoteState.INPUT_LOST),
        ("model_not_found", "The provided model is not supported", RemoteState.REFUSED),
    ],
)
def test_a_failure_says_what_to_do(code: str | None, message: str, state: RemoteState) -> None:
    """A full queue is waited for, a lost input sent again; anything else is an error."""
    fault = {"code": code, "message": message, "param": None, "line": None}
    assert read_status(failed(fault)).state is state


def test_lines_belong_to_requests_unless_they_share_the_fault() -> None:
    """A fault of all lines names the first one, or each: it is nobody's in particular."""
    status = read_status(
        failed(
            {"code": "missing_required_parameter", "message": "a", "param": "body", "line": 2},
            {"code": "model_not_found", "message": "b", "param": "body.model", "line": 1},
            {"message": None, "code": "odd"},
        )
    )
    assert [fault.line for fault in status.faults] == [2, None, None]
    assert [fault.message for fault in status.faults] == ["a", "b", "odd"]
    assert read_status(batch("failed", errors="nonsense")).faults == ()
    assert read_status(batch("failed", errors={"data": ["nonsense"]})).faults == ()


@pytest.mark.parametrize("nothing", [None, "", 0])
def test_empty_file_ids_are_no_files(nothing: object) -> None:
    """``null`` and ``""`` alike mean that there is no file."""
    status = read_status(batch("completed", output_file_id=nothing, error_file_id="file-2"))
    assert status.details == {"output": None, "errors": "file-2"}


@pytest.mark.parametrize(
    ("word", "counts", "rows"),
    [
        ("completed", {"total": 5, "completed": 3, "failed": 2}, 5),
        ("expired", {"total": 5, "completed": 3, "failed": 0}, 3),
        ("cancelled", {"total": 5, "completed": 3, "failed": 0}, None),
        ("completed", None, None),
        ("completed", {"total": "five"}, None),
    ],
)
def test_only_some_counts_are_promises(word: str, counts: object, rows: int | None) -> None:
    """The counts of a cancelled batch can't be relied upon."""
    assert read_status(batch(word, request_counts=counts)).rows == rows


def test_a_batch_is_known_by_its_token_or_its_input() -> None:
    """Metadata names the submission; servers that drop it still name the input file."""
    body = create_body(SUBMISSION, "24h")
    assert body["completion_window"] == "24h"
    assert body["input_file_id"] == "file-1"
    assert all(isinstance(value, str) for value in body["metadata"].values())
    assert token_of({"metadata": body["metadata"]}) == "tokentoken"
    assert belongs_to({"id": "b", "metadata": body["metadata"]}, SUBMISSION)
    assert belongs_to({"id": "b", "metadata": None, "input_file_id": "file-1"}, SUBMISSION)
    assert not belongs_to({"id": "b", "metadata": {}, "input_file_id": "file-2"}, SUBMISSION)
    assert not belongs_to({"id": "b"}, SUBMISSION)
