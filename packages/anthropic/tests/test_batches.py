"""Batch objects in the engine's terms, and how one's own is told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_batch.anthropic.batches import (
    created_at,
    is_archived,
    is_marked,
    mark_of,
    may_belong_to,
    read_status,
    token_of_row,
)
from ai_batch.core.provider import RemoteState, Route, Submission

ROUTE = Route("chat", "/v1/messages", "claude-x", "2026-10-21")


def batch(status: str = "in_progress", *counts: int, **changes: Any) -> dict[str, Any]:
    """A batch with these counts: processing, succeeded, errored, canceled, expired."""
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": status,
        "request_counts": dict(zip(names, counts or (3, 0, 0, 0, 0), strict=True)),
        "created_at": "2026-11-12T10:00:00.123456+00:00",
        "archived_at": None,
        **changes,
    }


def submission(count: int = 3, **changes: Any) -> Submission:
    """A submission of as many requests."""
    return Submission(
        job_id="job",
        seq=1,
        token="token",
        route=ROUTE,
        count=count,
        input_path=Path("input"),
        **changes,
    )


@pytest.mark.parametrize("word", ["in_progress", "canceling", "under_review", ""])
def test_what_has_not_ended_is_running(word: str) -> None:
    """A batch that is being canceled goes on, and so does a status not known yet."""
    status = read_status(batch(word))
    assert (status.state, status.total, status.rows) == (RemoteState.RUNNING, 3, None)
    assert (status.completed, status.failed) == (0, 0)


@pytest.mark.parametrize(
    ("counts", "completed", "failed"),
    [
        ((0, 3, 0, 0, 0), 3, 0),
        ((0, 0, 3, 0, 0), 0, 3),
        ((0, 1, 1, 1, 0), 1, 2),
        ((0, 1, 0, 0, 2), 1, 2),
    ],
)
def test_what_has_ended_has_a_row_for_each_request(
    counts: tuple[int, ...], completed: int, failed: int
) -> None:
    """Whatever became of them: none may be missing, even in a batch that was cut short."""
    status = read_status(batch("ended", *counts))
    assert (status.state, status.rows, status.cut) == (RemoteState.ENDED, 3, None)
    assert (status.completed, status.failed) == (completed, failed)


@pytest.mark.parametrize("counts", [None, {}, {"succeeded": "3"}])
def test_counts_that_say_nothing_promise_nothing(counts: Any) -> None:
    """Then rows are only counted."""
    status = read_status(batch("ended", request_counts=counts))
    assert (status.state, status.total, status.rows) == (RemoteState.ENDED, 0, None)


def test_the_mark_tells_older_batches_from_newer_ones() -> None:
    """By the server's clocks, which may differ a little: ours must not be taken for an old one."""
    mark = mark_of(batch(created_at="2026-11-12T10:00:20.500000Z"))
    assert is_marked(batch(created_at="2026-11-12T10:00:10.499999+00:00"), mark)
    assert not is_marked(batch(created_at="2026-11-12T10:00:10.500001+00:00"), mark)
    assert not is_marked(batch(created_at="2026-11-12T10:00:20.500000Z"), mark)
    assert not is_marked(batch(created_at="2026-11-12T10:01:00Z"), mark)


def test_where_there_was_no_batch_all_are_new() -> None:
    """The mark of an empty workspace holds nothing back."""
    assert not is_marked(batch(), mark_of(None))


def test_times_that_can_not_be_read_mark_nothing() -> None:
    """Rather too many candidates than too few."""
    mark = mark_of(batch(created_at=None))
    assert not is_marked(batch(id="other"), mark)
    assert is_marked(batch(), mark)
    assert is_marked(batch(created_at=None), mark_of(batch()))
    assert created_at(batch(created_at="yesterday")) is None
    assert created_at(batch(created_at="1970-01-01T00:00:10Z")) == 10.0


def test_a_batch_of_another_size_is_another_programs() -> None:
    """The number of requests is all that shows of a batch before it has ended."""
    assert may_belong_to(batch(), submission())
    assert may_belong_to(batch("ended", 0, 1, 1, 1, 0), submission())
    assert may_belong_to(batch("ended", 0, 0, 0, 0, 0), submission())
    assert not may_belong_to(batch(), submission(4))
    assert not may_belong_to(batch(), submission(rejected=frozenset({"msgbatch_1"})))
    assert not may_belong_to(batch(), submission(high_water=mark_of(batch())))
    assert may_belong_to(batch(), submission(high_water=mark_of(None)))


def test_a_row_shows_the_token() -> None:
    """What stands in front of the last dash; a foreign id has some other token."""
    assert token_of_row(b'{"custom_id":"token-7","result":{"type":"canceled"}}') == "token"
    assert token_of_row(b'{"custom_id":"my-own-7"}') == "my-own"
    assert token_of_row(b'{"custom_id":"plain"}') == ""
    for odd in (b'{"custom_id":7}', b"{", b"", b"[" * 100_000):
        assert token_of_row(odd) is None


def test_an_archived_batch_has_no_results() -> None:
    """Its object stays."""
    assert is_archived(batch(archived_at="2026-12-11T10:00:00Z"))
    assert not is_archived(batch())
