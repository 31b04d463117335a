"""The life of a message batch, as the bare SDK sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import anthropic
import pytest

from ai_batch.emulator import AnthropicLimits, Timing

if TYPE_CHECKING:
    from anthropic.types.messages import MessageBatch
    from packages.emulator.tests.anthropic.conftest import AnthropicLab

TIMES = Timing(validating=10, in_progress=100, finalizing=10, cancelling=10)
KEYS = {
    "id",
    "type",
    "processing_status",
    "request_counts",
    "ended_at",
    "created_at",
    "expires_at",
    "archived_at",
    "cancel_initiated_at",
    "results_url",
}


def counts(batch: MessageBatch) -> tuple[int, int, int, int, int]:
    """Processing, succeeded, errored, canceled and expired."""
    found = batch.request_counts
    return found.processing, found.succeeded, found.errored, found.canceled, found.expired


def test_a_batch_answers_every_request_once(lab: AnthropicLab) -> None:
    """Each item has one result, which repeats what the user said."""
    batch = lab.run(lab.items(20))
    rows = lab.by_id(batch)
    assert counts(batch) == (0, 20, 0, 0, 0)
    assert len(rows) == 20
    for number in range(20):
        result = rows[f"r{number}"].result
        assert result.type == "succeeded"
        block = result.message.content[0]
        assert block.type == "text"
        assert block.text == f"say {number}"
        assert result.message.usage.service_tier == "batch"
        assert result.message.model == "claude-haiku-4-5-20251001"


def test_every_key_is_present_from_the_start(lab: AnthropicLab) -> None:
    """What is not known yet is null, not absent; times have microseconds and an offset."""
    answer = lab.http.post("/v1/messages/batches", json={"requests": lab.items(2)})
    body = answer.json()
    assert set(body) == KEYS
    assert body["type"] == "message_batch"
    assert body["id"].startswith("msgbatch_01")
    assert body["processing_status"] == "in_progress"
    assert body["request_counts"]["processing"] == 2
    for name in ("ended_at", "archived_at", "cancel_initiated_at", "results_url"):
        assert body[name] is None
    assert len(body["created_at"]) == len("2026-11-12T10:00:00.123456+00:00")
    assert body["created_at"][10:11] == "T"
    assert body["created_at"].endswith("+00:00")


def test_a_batch_is_in_progress_until_all_is_done(make_lab: Callable[..., AnthropicLab]) -> None:
    """There is one state before the end, and the counts move all at once."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(10))
    assert batch.expires_at - batch.created_at == timedelta(hours=24)
    for seconds in (5, 60, 50):
        lab.emulator.advance(seconds=seconds)
        seen = lab.get(batch)
        assert seen.processing_status == "in_progress"
        assert counts(seen) == (10, 0, 0, 0, 0)
        assert seen.results_url is None
        assert seen.ended_at is None
    lab.emulator.advance(seconds=10)
    done = lab.get(batch)
    assert done.processing_status == "ended"
    assert counts(done) == (0, 10, 0, 0, 0)
    assert done.ended_at is not None
    assert 119 <= (done.ended_at - done.created_at).total_seconds() <= 121


def test_polls_are_told_when_to_come_again(make_lab: Callable[..., AnthropicLab]) -> None:
    """The answer of a batch in progress has a retry-after, the one of an ended batch has none."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(1))
    api = lab.client.messages.batches.with_raw_response
    assert api.retrieve(batch.id).headers["retry-after"] == "10"
    lab.emulator.advance(minutes=5)
    assert "retry-after" not in api.retrieve(batch.id).headers


def test_results_are_shuffled_by_the_seed(make_lab: Callable[..., AnthropicLab]) -> None:
    """Rows come in another order than the items; equal seeds give equal orders."""
    orders: list[list[str]] = []
    for seed in (1, 1, 2):
        lab = make_lab(seed=seed)
        orders.append([row.custom_id for row in lab.results(lab.run(lab.items(50)))])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0], key=lambda name: int(name[1:]))


def test_results_come_from_the_host_that_was_called(lab: AnthropicLab) -> None:
    """The SDK sends its key to the results' URL, so that names the caller's own host."""
    batch = lab.run(lab.items(1))
    path = f"/v1/messages/batches/{batch.id}"
    assert batch.results_url == f"{lab.emulator.anthropic_url}{path}/results"
    named = lab.http.get(path, headers={"host": "localhost:81"}).json()
    assert named["results_url"] == f"http://localhost:81/anthropic{path}/results"


def test_result_rows_are_lines_of_json(lab: AnthropicLab) -> None:
    """Only line feeds end rows, and what looks like one stays inside its string."""
    text = "a\u2028b\u0085c\r\nd é 🙂"
    batch = lab.run([lab.item(0, messages=[{"role": "user", "content": text}]), lab.item(1)])
    raw = lab.raw(batch)
    assert raw.endswith(b"\n")
    rows = [json.loads(line) for line in raw[:-1].split(b"\n")]
    assert len(rows) == 2
    (row,) = [row for row in rows if row["custom_id"] == "r0"]
    assert row["result"]["message"]["content"][0]["text"] == text
    assert "\u2028".encode() in raw
    answer = lab.http.get(f"/v1/messages/batches/{batch.id}/results")
    assert answer.headers["content-type"] == "application/x-jsonl"


def test_results_before_the_end_are_not_found(make_lab: Callable[..., AnthropicLab]) -> None:
    """The 404 says that there is nothing yet, and that a retry does not help."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(1))
    answer = lab.http.get(f"/v1/messages/batches/{batch.id}/results")
    assert answer.status_code == 404
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert error == {
        "type": "not_found_error",
        "message": f"Message Batch {batch.id} has no available results.",
    }


def test_an_expired_batch_keeps_what_was_done(make_lab: Callable[..., AnthropicLab]) -> None:
    """After 24 hours the finished items have succeeded, and the others are expired."""
    lab = make_lab(timing=Timing(in_progress=2 * 86_400))
    batch = lab.submit(lab.items(10))
    lab.emulator.advance(hours=23)
    assert lab.get(batch).processing_status == "in_progress"
    lab.emulator.advance(hours=2)
    batch = lab.get(batch)
    assert counts(batch) == (0, 5, 0, 0, 5)
    assert batch.ended_at == batch.expires_at
    kinds = [row.result.type for row in lab.results(batch)]
    assert sorted(kinds) == ["expired"] * 5 + ["succeeded"] * 5
    assert lab.emulator.stats.items_executed == lab.emulator.stats.items_billed == 5


def test_a_canceled_batch_keeps_what_was_done(make_lab: Callable[..., AnthropicLab]) -> None:
    """A canceled batch is canceling for a while, with its counts frozen, then a mix."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(10))
    lab.emulator.advance(seconds=40)
    canceling = lab.client.messages.batches.cancel(batch.id)
    assert canceling.processing_status == "canceling"
    assert canceling.cancel_initiated_at is not None
    assert counts(canceling) == (10, 0, 0, 0, 0)
    assert canceling.results_url is None
    again = lab.client.messages.batches.cancel(batch.id)
    assert again.cancel_initiated_at == canceling.cancel_initiated_at
    lab.emulator.advance(seconds=11)
    batch = lab.get(batch)
    assert batch.processing_status == "ended"
    assert counts(batch) == (0, 3, 0, 7, 0)
    kinds = [row.result.type for row in lab.results(batch)]
    assert sorted(kinds) == ["canceled"] * 7 + ["succeeded"] * 3
    assert lab.emulator.stats.items_billed == 3


@pytest.mark.parametrize(("seconds", "canceled"), [(5, 10), (115, 0)])
def test_a_cancel_may_come_early_or_late(
    make_lab: Callable[..., AnthropicLab], seconds: int, canceled: int
) -> None:
    """Before anything ran all items are canceled; when all have run, none is."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(10))
    lab.emulator.advance(seconds=seconds)
    lab.client.messages.batches.cancel(batch.id)
    lab.emulator.advance(seconds=11)
    assert counts(lab.get(batch)) == (0, 10 - canceled, 0, canceled, 0)
    assert len(lab.results(batch)) == 10


def test_a_running_batch_can_be_canceled(make_lab: Callable[..., AnthropicLab]) -> None:
    """What runs at that moment ends, and the rest does not run any more."""

    def slow(endpoint: str, body: object) -> None:  # noqa: ARG001
        time.sleep(0.001)

    lab = make_lab(answer=slow)
    batch = lab.submit(lab.items(3000))
    time.sleep(0.2)
    lab.client.messages.batches.cancel(batch.id)
    batch = lab.ended(batch)
    _, succeeded, _, canceled, _ = counts(batch)
    assert succeeded + canceled == 3000
    assert 0 < succeeded == lab.emulator.stats.items_executed < 3000


def test_an_ended_batch_cannot_be_canceled(lab: AnthropicLab) -> None:
    """The emulator refuses what the vendor's documentation does not describe."""
    batch = lab.run(lab.items(1))
    with pytest.raises(anthropic.BadRequestError, match="already ended"):
        lab.client.messages.batches.cancel(batch.id)


def test_only_an_ended_batch_is_deleted(make_lab: Callable[..., AnthropicLab]) -> None:
    """A batch in progress has to be canceled first; a deleted one is gone."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(1))
    with pytest.raises(anthropic.BadRequestError) as caught:
        lab.client.messages.batches.delete(batch.id)
    assert caught.value.api_message == (
        "In progress batches cannot be deleted. Consider canceling the batch instead."
    )
    lab.emulator.advance(minutes=5)
    deleted = lab.client.messages.batches.delete(batch.id)
    assert (deleted.id, deleted.type) == (batch.id, "message_batch_deleted")
    for call in (lab.get, lab.raw):
        with pytest.raises(Exception, match="404"):
            call(batch)
    assert lab.client.messages.batches.list().data == []


def test_results_are_archived_after_29_days(make_lab: Callable[..., AnthropicLab]) -> None:
    """They are kept from the creation on; then the batch is still listed, without them."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.items(2))
    lab.emulator.advance(hours=29 * 24 - 1)
    assert lab.get(batch).archived_at is None
    assert len(lab.results(batch)) == 2
    lab.emulator.advance(hours=2)
    (listed,) = lab.client.messages.batches.list().data
    assert listed.archived_at == batch.created_at + timedelta(days=29)
    assert counts(listed) == (0, 2, 0, 0, 0)
    with pytest.raises(anthropic.NotFoundError, match="has no available results"):
        lab.results(batch)


def test_an_unknown_batch_is_not_found(lab: AnthropicLab) -> None:
    """The 404 names the batch and the request, and so does the SDK's error."""
    batches = lab.client.messages.batches
    for call in (batches.retrieve, batches.cancel, batches.delete):
        with pytest.raises(anthropic.NotFoundError) as caught:
            call("msgbatch_unknown")
        error = caught.value
        assert error.type == "not_found_error"
        assert error.api_message == "Message Batch msgbatch_unknown not found."
        assert error.request_id is not None
        assert error.request_id == error.response.json()["request_id"]


def test_the_queue_is_limited(make_lab: Callable[..., AnthropicLab]) -> None:
    """Requests of batches that have not ended count; beyond the limit a create is a 429."""
    lab = make_lab(timing=TIMES, anthropic_limits=AnthropicLimits(queued_requests=5))
    lab.submit(lab.items(3))
    with pytest.raises(anthropic.RateLimitError, match="limit of 5 requests"):
        lab.submit(lab.items(3))
    lab.emulator.advance(minutes=5)
    lab.submit(lab.items(3))
    assert lab.emulator.stats.batches_created == 2
    assert lab.emulator.stats.creates_attempted == 3


def test_requests_are_counted_over_vendors(lab: AnthropicLab) -> None:
    """The stats of one server add up what all its vendors were asked to do."""
    lab.run(lab.items(3))
    with anthropic.Anthropic(base_url=lab.emulator.anthropic_url, api_key="x") as client:
        client.messages.create(
            model="claude-opus-5", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        )
    stats = lab.emulator.stats
    assert stats.batches_by_status == {"ended": 1}
    assert (stats.items_executed, stats.items_billed, stats.live_calls) == (4, 4, 1)
    assert stats.requests["batches.create"] == 1
    assert len(stats.billings) == 4
