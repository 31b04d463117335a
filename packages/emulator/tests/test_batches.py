"""The life of a batch, as the bare SDK sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from ai_batch.emulator import Limits, Timing

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab

TIMES = Timing(validating=10, in_progress=100, finalizing=10, cancelling=10)
KEYS = {
    "id",
    "object",
    "endpoint",
    "model",
    "errors",
    "input_file_id",
    "completion_window",
    "status",
    "output_file_id",
    "error_file_id",
    "created_at",
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
    "request_counts",
    "metadata",
    "usage",
}


def counts(batch: openai.types.Batch) -> tuple[int, int, int]:
    """Total, completed and failed."""
    found = batch.request_counts
    assert found is not None
    return found.total, found.completed, found.failed


def test_a_batch_answers_every_line_once(lab: Lab) -> None:
    """Each line has one row in the output file, which repeats what the user said."""
    batch = lab.run(lab.lines(20), metadata={"token": "t1"})
    rows = lab.by_id(batch.output_file_id)
    assert batch.status == "completed"
    assert batch.error_file_id is None
    assert counts(batch) == (20, 20, 0)
    assert batch.metadata == {"token": "t1"}
    assert batch.model == "gpt-4o-mini"
    assert len(rows) == 20
    for number in range(20):
        row = rows[f"r{number}"]
        assert row["error"] is None
        assert row["response"]["status_code"] == 200
        choice = row["response"]["body"]["choices"][0]
        assert choice["message"]["content"] == f"say {number}"


def test_ids_have_the_vendors_shapes(lab: Lab) -> None:
    """Ids look like those of the vendor, so that a client's patterns hold."""
    batch = lab.run(lab.lines(1))
    (row,) = lab.rows(batch.output_file_id)
    assert len(batch.id) == len("batch_") + 32
    assert len(batch.input_file_id) == len("file-") + 22
    assert row["id"].startswith("batch_req_")
    assert len(row["id"]) == len("batch_req_") + 32


def test_every_key_is_present_from_the_start(lab: Lab) -> None:
    """What is not known yet is null, not absent."""
    file = lab.upload(lab.lines(1))
    raw = lab.client.batches.with_raw_response.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    body: dict[str, Any] = json.loads(raw.content)
    assert set(body) == KEYS
    assert body["status"] == "validating"
    assert body["expires_at"] - body["created_at"] == 86_400
    assert body["output_file_id"] is body["error_file_id"] is body["metadata"] is None


def test_states_follow_the_clock(make_lab: Callable[..., Lab]) -> None:
    """A batch goes through its states at the configured times, and its counts climb."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.lines(10))
    assert lab.get(batch).status == "validating"
    assert counts(lab.get(batch)) == (0, 0, 0)
    lab.emulator.advance(seconds=60)
    half = lab.get(batch)
    assert half.status == "in_progress"
    assert counts(half) == (10, 5, 0)
    assert half.output_file_id is None
    lab.emulator.advance(seconds=55)
    assert lab.get(batch).status == "finalizing"
    lab.emulator.advance(seconds=10)
    done = lab.get(batch)
    assert done.status == "completed"
    assert done.completed_at is not None
    assert done.finalizing_at is not None
    assert done.in_progress_at is not None
    assert 119 <= done.completed_at - done.created_at <= 121
    assert 9 <= done.in_progress_at - done.created_at <= 11


def test_a_drawn_duration_depends_on_the_seed_alone(make_lab: Callable[..., Lab]) -> None:
    """A range gives each batch a duration of its own, the same in each run."""
    spent: list[list[int]] = []
    for _ in range(2):
        lab = make_lab(timing=Timing(in_progress=(100, 10_000)), seed=7)
        batches = [lab.submit(lab.lines(1)) for _ in range(3)]
        lab.emulator.advance(hours=5)
        ended = [lab.get(batch) for batch in batches]
        spent.append([(b.completed_at or 0) - (b.in_progress_at or 0) for b in ended])
    assert max(spent[0]) - min(spent[0]) > 1
    assert all(abs(a - b) <= 1 for a, b in zip(*spent, strict=True))


def test_rows_are_shuffled_by_the_seed(make_lab: Callable[..., Lab]) -> None:
    """Rows come in another order than the lines; equal seeds give equal orders."""
    orders: list[list[str]] = []
    for seed in (1, 1, 2):
        lab = make_lab(seed=seed)
        batch = lab.run(lab.lines(50))
        orders.append([row["custom_id"] for row in lab.rows(batch.output_file_id)])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0], key=lambda name: int(name[1:]))


def test_custom_ids_come_back_as_they_were(lab: Lab) -> None:
    """Any text is a custom id, whether or not it was escaped on the line."""
    names = ["a b/c-ü", "x" * 300, 'quote " and \\', "日本", "\u0001"]
    lines = [{**lab.line(0), "custom_id": name} for name in names]
    plain = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    for content in (plain, lines):
        batch = lab.run(content)
        assert set(lab.by_id(batch.output_file_id)) == set(names)


def test_a_batch_with_only_failures_is_completed(lab: Lab) -> None:
    """All rows fail, the batch does not: it has an error file and no output file."""
    batch = lab.run(lab.lines(3, temperature=5))
    assert batch.status == "completed"
    assert batch.output_file_id is None
    assert counts(batch) == (3, 0, 3)
    assert batch.usage is not None
    assert batch.usage.total_tokens == 0
    row = lab.by_id(batch.error_file_id)["r0"]
    assert row["error"] is None
    assert row["response"]["status_code"] == 400
    assert row["response"]["body"]["error"]["param"] == "temperature"


def test_good_and_bad_rows_go_to_two_files(lab: Lab) -> None:
    """Each line has its row in exactly one of the files."""
    lines = [lab.line(0), lab.line(1, temperature=5), lab.line(2)]
    batch = lab.run(lines)
    assert set(lab.by_id(batch.output_file_id)) == {"r0", "r2"}
    assert set(lab.by_id(batch.error_file_id)) == {"r1"}
    assert counts(batch) == (3, 2, 1)


def test_usage_is_the_sum_of_the_good_rows(lab: Lab) -> None:
    """The batch's usage adds what the output rows report."""
    batch = lab.run([*lab.lines(5), lab.line(9, temperature=9)])
    rows = lab.rows(batch.output_file_id)
    usages = [row["response"]["body"]["usage"] for row in rows]
    assert batch.usage is not None
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert batch.usage.total_tokens == sum(usage["total_tokens"] for usage in usages) > 0


def test_an_expired_batch_keeps_what_was_done(make_lab: Callable[..., Lab]) -> None:
    """After 24 hours the finished rows are there, and the others say why they are not."""
    lab = make_lab(timing=Timing(in_progress=2 * 86_400))
    batch = lab.submit(lab.lines(10))
    lab.emulator.advance(hours=23)
    assert lab.get(batch).status == "in_progress"
    lab.emulator.advance(hours=2)
    batch = lab.get(batch)
    assert batch.status == "expired"
    assert batch.expired_at == batch.expires_at
    done, undone = lab.by_id(batch.output_file_id), lab.by_id(batch.error_file_id)
    assert len(done) == len(undone) == 5
    assert not set(done) & set(undone)
    for row in undone.values():
        assert row["response"] is None
        assert row["error"] == {
            "code": "batch_expired",
            "message": "This request could not be executed before the completion window expired.",
        }
    assert lab.emulator.stats.items_executed == 5


def test_a_cancelled_batch_keeps_what_was_done(make_lab: Callable[..., Lab]) -> None:
    """A cancelled batch is cancelling for a while, then has two partial files."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.lines(10))
    lab.emulator.advance(seconds=40)
    assert lab.client.batches.cancel(batch.id).status == "cancelling"
    assert lab.client.batches.cancel(batch.id).status == "cancelling"
    lab.emulator.advance(seconds=11)
    batch = lab.get(batch)
    assert batch.status == "cancelled"
    assert batch.cancelled_at is not None
    done, undone = lab.by_id(batch.output_file_id), lab.by_id(batch.error_file_id)
    assert len(done) == 3
    assert len(undone) == 7
    assert {row["error"]["code"] for row in undone.values()} == {"batch_cancelled"}
    assert lab.emulator.stats.items_billed == 3
    assert lab.client.batches.cancel(batch.id).status == "cancelled"


def test_a_batch_cancelled_while_validating_has_no_files(make_lab: Callable[..., Lab]) -> None:
    """Nothing was looked at, so nothing is counted."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.lines(3))
    lab.client.batches.cancel(batch.id)
    lab.emulator.advance(seconds=20)
    batch = lab.get(batch)
    assert batch.status == "cancelled"
    assert counts(batch) == (0, 0, 0)
    assert batch.output_file_id is batch.error_file_id is None


def test_a_batch_cancelled_while_finalizing_has_all_rows(make_lab: Callable[..., Lab]) -> None:
    """The cancel comes too late for the rows, and yet the batch ends as cancelled."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.lines(3))
    lab.emulator.advance(seconds=115)
    assert lab.get(batch).status == "finalizing"
    lab.client.batches.cancel(batch.id)
    lab.emulator.advance(seconds=15)
    batch = lab.get(batch)
    assert batch.status == "cancelled"
    assert len(lab.rows(batch.output_file_id)) == 3
    assert batch.error_file_id is None


@pytest.mark.parametrize("status", ["completed", "failed", "expired"])
def test_an_ended_batch_cannot_be_cancelled(make_lab: Callable[..., Lab], status: str) -> None:
    """The vendor answers 409 and names the status."""
    lab = make_lab(timing=Timing(in_progress=3 * 86_400 if status == "expired" else 0))
    batch = lab.submit(b"no\n" if status == "no" else lab.lines(1))
    if status == "failed":
        batch = lab.create("file-unknown")
    lab.emulator.advance(hours=25)
    assert lab.get(batch).status == status
    with pytest.raises(openai.ConflictError) as caught:
        lab.client.batches.cancel(batch.id)
    assert caught.value.body == {
        "message": f"Cannot cancel a batch with status '{status}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_an_unknown_batch_is_not_found(lab: Lab) -> None:
    """The 404 has all four keys."""
    with pytest.raises(openai.NotFoundError) as caught:
        lab.client.batches.retrieve("batch_unknown")
    assert caught.value.body == {
        "message": "No batch found with id 'batch_unknown'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_lists_page_from_the_newest(lab: Lab) -> None:
    """The SDK walks through all pages; each page has its envelope."""
    file = lab.upload(lab.lines(1))
    made = [lab.create(file.id).id for _ in range(5)]
    assert [batch.id for batch in lab.client.batches.list(limit=2)] == made[::-1]
    first = lab.client.batches.list(limit=2)
    assert first.has_more
    last = lab.client.batches.list(limit=2, after=made[1])
    assert [batch.id for batch in last.data] == [made[0]]
    assert not last.has_more
    exact = lab.client.batches.list(limit=5)
    assert not exact.has_more
    for limit in (0, 101):
        with pytest.raises(openai.BadRequestError):
            lab.client.batches.list(limit=limit)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"input_file_id": None}, "input_file_id", "missing_required_parameter"),
        ({"endpoint": None}, "endpoint", "missing_required_parameter"),
        ({"completion_window": None}, "completion_window", "missing_required_parameter"),
        ({"endpoint": "/v1/invalid"}, "endpoint", "invalid_value"),
        ({"completion_window": "48h"}, "completion_window", "invalid_value"),
        ({"input_file_id": 5}, "input_file_id", "invalid_type"),
        ({"metadata": {"tags": ["a"]}}, "metadata.tags", "invalid_type"),
        ({"metadata": "a"}, "metadata", "invalid_type"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"metadata": {"k" * 65: "v"}}, "metadata", "key_above_max_length"),
        (
            {"metadata": {str(n): "v" for n in range(17)}},
            "metadata",
            "object_above_max_length",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 10}},
            "output_expires_after.seconds",
            "integer_out_of_range",
        ),
        (
            {"output_expires_after": {"anchor": "later", "seconds": 3600}},
            "output_expires_after.anchor",
            "invalid_value",
        ),
    ],
)
def test_a_bad_create_is_refused(lab: Lab, change: dict[str, Any], param: str, code: str) -> None:
    """What is wrong with the call itself is a 400 with the parameter's name."""
    body = {
        "input_file_id": "file-x",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        **change,
    }
    body = {name: value for name, value in body.items() if value is not None}
    with pytest.raises(openai.BadRequestError) as caught:
        lab.client.post("/batches", body=body, cast_to=object)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.type == "invalid_request_error"


def test_a_body_that_is_no_json_is_refused(lab: Lab) -> None:
    """The vendor cannot parse it."""
    with pytest.raises(openai.BadRequestError, match="could not parse"):
        lab.client.post("/batches", content=b"{", cast_to=object)


def test_too_many_creates_are_put_off(make_lab: Callable[..., Lab]) -> None:
    """So many batches may be created within an hour; then there is a 429 until the hour is over."""
    lab = make_lab(limits=Limits(creates_per_hour=2))
    file = lab.upload(lab.lines(1))
    lab.create(file.id)
    lab.create(file.id)
    with pytest.raises(openai.RateLimitError) as caught:
        lab.create(file.id)
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) > 120
    assert lab.emulator.stats.batches_created == 2
    assert lab.emulator.stats.creates_attempted == 3
    lab.emulator.advance(hours=1)
    lab.create(file.id)


def test_result_files_expire(make_lab: Callable[..., Lab]) -> None:
    """Results live as long as was asked for, and 30 days otherwise."""
    lab = make_lab()
    short = lab.run(lab.lines(1), output_expires_after={"anchor": "created_at", "seconds": 7200})
    long = lab.run(lab.lines(1))
    lab.emulator.advance(hours=3)
    with pytest.raises(openai.NotFoundError):
        lab.rows(short.output_file_id)
    file = lab.client.files.retrieve(long.output_file_id or "")
    assert file.purpose == "batch_output"
    assert file.expires_at is not None
    assert file.expires_at - file.created_at == 30 * 86_400
    lab.emulator.advance(hours=24 * 30)
    with pytest.raises(openai.NotFoundError):
        lab.rows(long.output_file_id)


def test_deleting_the_input_before_validation_fails_the_batch(
    make_lab: Callable[..., Lab],
) -> None:
    """The file is looked for when validation ends."""
    lab = make_lab(timing=TIMES)
    batch = lab.submit(lab.lines(1))
    lab.client.files.delete(batch.input_file_id)
    lab.emulator.advance(seconds=11)
    batch = lab.get(batch)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert "Cannot find file" in (batch.errors.data[0].message or "")


def test_deleting_the_input_after_validation_harms_nothing(make_lab: Callable[..., Lab]) -> None:
    """Once validated, the batch does not need the file any more."""
    lab = make_lab(timing=Timing(in_progress=100))
    for _ in range(5):
        batch = lab.submit(lab.lines(2))
        lab.client.files.delete(batch.input_file_id)
        lab.emulator.advance(seconds=101)
        assert lab.get(batch).status == "completed"
