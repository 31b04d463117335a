"""Every fault, as the bare SDK meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest

from ai_batch.emulator import Fault, Timing
from ai_batch.emulator.faults import RowDamage

if TYPE_CHECKING:
    from anthropic.types.messages import MessageBatch
    from packages.emulator.tests.anthropic.conftest import AnthropicLab


@pytest.mark.parametrize(("cut", "count"), [("before", 0), ("after", 1)])
def test_a_cut_comes_before_or_after_the_effect(lab: AnthropicLab, cut: Any, count: int) -> None:
    """The client sees the same, but only once there is a batch."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, cut=cut))
    with pytest.raises(anthropic.APIConnectionError):
        lab.submit(lab.items(1))
    assert lab.emulator.stats.batches_created == count
    assert len(lab.client.messages.batches.list().data) == count


def test_a_create_may_take_too_long(lab: AnthropicLab) -> None:
    """A client that gives up has made a batch nevertheless."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, delay_after=0.5))
    impatient = lab.client.with_options(timeout=0.2)
    with pytest.raises(anthropic.APITimeoutError):
        impatient.messages.batches.create(requests=lab.items(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert lab.emulator.stats.batches_created == 1


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (401, "authentication_error", anthropic.AuthenticationError),
        (402, "billing_error", anthropic.APIStatusError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (504, "timeout_error", anthropic.APIStatusError),
        (529, "overloaded_error", anthropic.APIStatusError),
    ],
)
def test_a_status_has_the_vendors_error(
    lab: AnthropicLab, status: int, kind: str, error: type[anthropic.APIStatusError]
) -> None:
    """Each status comes with its type, and with the request's id in header and body."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, status=status))
    with pytest.raises(error) as caught:
        lab.submit(lab.items(1))
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.request_id == caught.value.response.json()["request_id"]
    assert lab.emulator.stats.batches_created == 0


def test_a_refusal_has_its_own_headers_and_body(lab: AnthropicLab) -> None:
    """A long pause, a limit of spending without any pause, a proxy's page, a bare 413."""
    spent: dict[str, Any] = {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "Your spend limit is reached.",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
    }
    plan = [
        Fault(status=429, headers={"retry-after": "3600"}),
        Fault(status=429, body=spent),
        Fault(status=413, body="<html>413 Request Entity Too Large</html>"),
        Fault(status=413),
    ]
    caught: list[anthropic.APIStatusError] = []
    for fault in plan:
        lab.emulator.clear_faults()
        lab.emulator.inject(fault)
        with pytest.raises(anthropic.APIStatusError) as error:
            lab.submit(lab.items(1))
        caught.append(error.value)
    assert caught[0].response.headers["retry-after"] == "3600"
    assert "retry-after" not in caught[1].response.headers
    assert caught[1].error_code == "enforced_spend_limit_reached"
    assert caught[2].body == "<html>413 Request Entity Too Large</html>"
    assert set(caught[3].response.json()) == {"error"}


def test_a_fault_strikes_one_vendor(lab: AnthropicLab) -> None:
    """The same route of another vendor is not struck, nor counted."""
    lab.emulator.inject(Fault(route="models.list", vendor="openai", status=500))
    lab.emulator.inject(Fault(route="models.list", vendor="anthropic", nth=2, status=529))
    assert lab.client.models.list().data
    with pytest.raises(anthropic.APIStatusError):
        lab.client.models.list()
    answer = httpx2.get(f"{lab.emulator.openai_url}/models", headers={"authorization": "Bearer k"})
    assert answer.status_code == 500


def test_a_fault_of_an_unknown_vendor_is_refused() -> None:
    """A slip would be a fault that never strikes."""
    vendor: Any = "claude"
    with pytest.raises(ValueError, match="no vendor 'claude'"):
        Fault(vendor=vendor)


def test_young_batches_are_hidden(lab: AnthropicLab) -> None:
    """A list may lag, and a batch may not be found just after it was made, or just ended."""
    lab.emulator.inject(Fault(route="batches.list", hide_seconds=60))
    lab.emulator.inject(Fault(route="batches.get", not_found_seconds=60))
    lab.emulator.inject(Fault(route="batches.results", not_found_seconds=90))
    batch = lab.submit(lab.items(1))
    assert lab.client.messages.batches.list().data == []
    with pytest.raises(anthropic.NotFoundError, match=f"Message Batch {batch.id} not found"):
        lab.get(batch)
    lab.emulator.advance(seconds=61)
    assert [found.id for found in lab.client.messages.batches.list()] == [batch.id]
    assert lab.get(batch).processing_status == "ended"
    with pytest.raises(anthropic.NotFoundError):
        lab.results(batch)
    lab.emulator.advance(seconds=30)
    assert len(lab.results(batch)) == 1


def test_quirks_of_batches(make_lab: Callable[..., AnthropicLab]) -> None:
    """Counts that move before the end, no hint when to poll, words and values never heard of."""
    lab = make_lab(timing=Timing(in_progress=100))
    batch = lab.submit(lab.items(10))
    lab.emulator.advance(seconds=55)
    lab.emulator.inject(Fault(route="batches.get", nth=1, quirk="gradual_counts"))
    moving = lab.get(batch).request_counts
    assert (moving.processing, moving.succeeded) == (5, 5)
    lab.emulator.inject(Fault(route="batches.get", nth=1, quirk="no_retry_after"))
    raw = lab.client.messages.batches.with_raw_response.retrieve(batch.id)
    assert "retry-after" not in raw.headers
    lab.emulator.advance(seconds=60)
    lab.emulator.inject(Fault(route="batches.get", nth=1, quirk="unknown_status"))
    assert str(lab.get(batch).processing_status) == "under_review"
    lab.emulator.inject(Fault(route="batches.get", nth=1, quirk="null_output"))
    assert lab.get(batch).results_url is None
    lab.emulator.inject(Fault(route="batches.get", nth=1, quirk="reset_counts"))
    assert lab.get(batch).request_counts.succeeded == 0
    assert lab.get(batch).request_counts.succeeded == 10


def test_results_may_be_escaped(lab: AnthropicLab) -> None:
    """The same rows come in ASCII, and mean the same."""
    said = "é \u2028 🙂 \\u00e9"
    batch = lab.run([lab.item(0, messages=[{"role": "user", "content": said}])])
    plain = lab.raw(batch)
    lab.emulator.inject(Fault(route="batches.results", quirk="escaped_results"))
    escaped = lab.raw(batch)
    assert escaped.isascii()
    assert not plain.isascii()
    assert json.loads(escaped) == json.loads(plain)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_download_is_cut(lab: AnthropicLab, size: int) -> None:
    """With a length announced, the SDK notices that bytes are missing."""
    batch = lab.run(lab.items(20))
    lab.emulator.inject(Fault(route="batches.results", nth=1, cut_after_bytes=size))
    with pytest.raises(httpx2.RemoteProtocolError):
        lab.results(batch)
    assert len(lab.results(batch)) == 20


def test_a_cut_without_a_length_looks_like_an_end(lab: AnthropicLab) -> None:
    """Between two rows it is not seen at all: a client must count."""
    batch = lab.run(lab.items(20))
    lines = lab.raw(batch).splitlines(keepends=True)
    for size, expected in ((len(b"".join(lines[:7])), 7), (len(b"".join(lines[:7])) + 9, None)):
        lab.emulator.clear_faults()
        lab.emulator.inject(
            Fault(route="batches.results", cut_after_bytes=size, close_delimited=True)
        )
        if expected is None:
            with pytest.raises(json.JSONDecodeError):
                lab.results(batch)
        else:
            assert len(lab.results(batch)) == expected


def damaged(lab: AnthropicLab, batch: MessageBatch, row: RowDamage) -> list[bytes]:
    """The lines of a result file of which one is damaged."""
    lab.emulator.clear_faults()
    lab.emulator.inject(Fault(route="batches.results", row=row, row_index=2))
    return lab.raw(batch).splitlines(keepends=True)


def test_rows_are_damaged(lab: AnthropicLab) -> None:
    """One row is missing, there twice, of another batch, of an unknown kind, or no JSON."""
    batch = lab.run(lab.items(5))
    whole = lab.raw(batch).splitlines(keepends=True)
    assert damaged(lab, batch, "missing") == [*whole[:2], *whole[3:]]
    assert damaged(lab, batch, "duplicate") == [*whole[:3], *whole[2:]]
    foreign = damaged(lab, batch, "foreign")
    assert json.loads(foreign[3])["custom_id"] == "foreign-row-of-another-batch"
    assert "custom_id" not in json.loads(damaged(lab, batch, "missing_id")[2])
    unknown = json.loads(damaged(lab, batch, "unknown_kind")[2])
    assert unknown["result"] == {"type": "unheard_of"}
    assert json.loads(damaged(lab, batch, "empty_body")[2])["result"]["message"] == {}
    assert json.loads(damaged(lab, batch, "status_zero")[2])["result"] is None
    huge = damaged(lab, batch, "huge_row")[2]
    assert len(huge) > 2_000_000
    assert json.loads(huge)["result"]["type"] == "succeeded"
    for kind in ("garbage", "invalid_utf8", "truncated_last"):
        broken = damaged(lab, batch, kind)
        with pytest.raises(ValueError, match=r"."):
            [json.loads(line) for line in broken]
    lab.emulator.clear_faults()
    assert lab.raw(batch).splitlines(keepends=True) == whole


def test_a_persistent_damage_is_a_loss(lab: AnthropicLab) -> None:
    """Running that one item again is then no double execution, though it failed or not."""
    items = [lab.item(number, max_tokens=0 if number % 2 else 9) for number in range(6)]
    batch = lab.run(items)
    whole = [json.loads(line) for line in lab.raw(batch).splitlines()]
    lab.emulator.inject(Fault(route="batches.results", row="missing", row_index=3, persistent=True))
    assert len(lab.raw(batch).splitlines()) == 5
    lab.emulator.clear_faults()
    assert len(lab.raw(batch).splitlines()) == 5
    assert lab.emulator.stats.items_lost == 1
    for index, repeated in ((3, 0), (0, 1)):
        lab.run([item for item in items if item["custom_id"] == whole[index]["custom_id"]])
        assert len(lab.emulator.stats.executed_twice()) == repeated
