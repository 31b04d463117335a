"""Every fault, as the bare SDK meets it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import openai
import pytest

from ai_batch.emulator import Fault, Timing
from ai_batch.emulator.faults import FaultPlan, RowDamage

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab


def created(lab: Lab) -> int:
    """How many batches there really are."""
    return lab.emulator.stats.batches_created


def test_a_cut_before_the_effect_has_none(lab: Lab) -> None:
    """The client sees a cut connection, and no batch was made."""
    file = lab.upload(lab.lines(1))
    lab.emulator.inject(Fault(route="batches.create", nth=1, cut="before"))
    with pytest.raises(openai.APIConnectionError) as caught:
        lab.create(file.id)
    assert isinstance(caught.value.__cause__, httpx2.TransportError)
    assert created(lab) == 0
    lab.create(file.id)
    assert created(lab) == 1


def test_a_cut_after_the_effect_keeps_it(lab: Lab) -> None:
    """The client sees the same, and yet there is a batch."""
    file = lab.upload(lab.lines(1))
    lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    with pytest.raises(openai.APIConnectionError) as caught:
        lab.create(file.id, metadata={"token": "t"})
    assert isinstance(caught.value.__cause__, httpx2.RemoteProtocolError)
    assert created(lab) == 1
    assert [batch.metadata for batch in lab.client.batches.list()] == [{"token": "t"}]


def test_a_status_comes_with_or_without_the_effect(lab: Lab) -> None:
    """An error answers the call before its effect, or in spite of it."""
    file = lab.upload(lab.lines(1))
    lab.emulator.inject(Fault(route="batches.create", nth=1, status=500))
    lab.emulator.inject(Fault(route="batches.create", nth=2, status=503, effect=True))
    for status, count in ((500, 0), (503, 1)):
        with pytest.raises(openai.InternalServerError) as caught:
            lab.create(file.id)
        assert (caught.value.status_code, created(lab)) == (status, count)
        assert caught.value.type == "server_error"
        assert caught.value.request_id


def test_a_fault_has_its_own_headers_and_body(lab: Lab) -> None:
    """JSON, HTML and headers are as declared."""
    lab.emulator.inject(
        Fault(route="batches.list", nth=1, status=429, headers={"retry-after": "300"})
    )
    body: dict[str, Any] = {"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}
    lab.emulator.inject(Fault(route="batches.list", nth=2, status=400, body=body))
    lab.emulator.inject(Fault(route="batches.list", nth=3, status=502, body="<html>bad"))
    with pytest.raises(openai.RateLimitError) as limited:
        lab.client.batches.list()
    assert limited.value.response.headers["retry-after"] == "300"
    assert limited.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.BadRequestError) as refused:
        lab.client.batches.list()
    assert (refused.value.param, refused.value.code) == ("p", "c")
    with pytest.raises(openai.InternalServerError) as broken:
        lab.client.batches.list()
    assert broken.value.body == "<html>bad"


def test_a_redirect_leads_elsewhere(lab: Lab) -> None:
    """A download can be sent to another host."""
    batch = lab.run(lab.lines(1))
    other = f"{lab.emulator.openai_url}/models"
    lab.emulator.inject(Fault(route="files.content", status=302, headers={"location": other}))
    answer = lab.client.files.content(batch.output_file_id or "")
    assert answer.response.json()["object"] == "list"


def test_delays_come_before_or_after_the_effect(lab: Lab) -> None:
    """A client that gives up too early may or may not have made a batch."""
    file = lab.upload(lab.lines(1))
    impatient = lab.client.with_options(timeout=0.2)
    for fault, count in (
        (Fault(route="batches.create", nth=1, delay=0.5, status=500), 0),
        (Fault(route="batches.create", nth=1, delay_after=0.5), 1),
    ):
        lab.emulator.clear_faults()
        lab.emulator.inject(fault)
        with pytest.raises(openai.APITimeoutError):
            impatient.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        assert created(lab) == count
    time.sleep(0.5)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_download_is_cut_at_a_byte(lab: Lab, size: int) -> None:
    """With a length announced, a client notices that bytes are missing."""
    batch = lab.run(lab.lines(10))
    lab.emulator.inject(Fault(route="files.content", nth=1, cut_after_bytes=size))
    received: list[bytes] = []
    stream = lab.client.files.with_streaming_response.content(batch.output_file_id or "")
    with stream as answer:
        assert int(answer.headers["content-length"]) > size
        with pytest.raises(httpx2.RemoteProtocolError):
            received.extend(answer.iter_bytes(100))
    # The client keeps back what does not fill a piece.
    assert len(b"".join(received)) == size // 100 * 100
    assert len(lab.rows(batch.output_file_id)) == 10


def test_a_cut_without_a_length_looks_like_an_end(lab: Lab) -> None:
    """A body that ends with its connection is cut without any error: the client must count."""
    batch = lab.run(lab.lines(10))
    whole = lab.client.files.content(batch.output_file_id or "").content
    lab.emulator.inject(Fault(route="files.content", cut_after_bytes=500, close_delimited=True))
    answer = lab.client.files.content(batch.output_file_id or "")
    assert "content-length" not in answer.response.headers
    assert answer.content == whole[:500]


@pytest.mark.parametrize("close_delimited", [True, False])
def test_a_download_may_be_compressed(lab: Lab, close_delimited: bool) -> None:
    """A compressed answer comes whole, or is cut in the middle of its stream."""
    batch = lab.run(lab.lines(100))
    name = batch.output_file_id or ""
    whole = lab.client.files.content(name).content
    lab.emulator.inject(
        Fault(route="files.content", nth=1, gzip=True, close_delimited=close_delimited)
    )
    answer = lab.client.files.content(name)
    assert answer.response.headers["content-encoding"] == "gzip"
    assert answer.content == whole
    lab.emulator.inject(
        Fault(route="files.content", gzip=True, cut_after_bytes=300, close_delimited=True)
    )
    assert len(lab.client.files.content(name).content) < len(whole)


def test_a_download_may_be_slow(lab: Lab) -> None:
    """Bytes trickle."""
    file = lab.upload(b"1" * 100)
    lab.emulator.inject(Fault(route="files.content", bytes_per_second=500))
    began = time.monotonic()
    assert len(lab.client.files.content(file.id).content) == 100
    assert time.monotonic() - began > 0.09


@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_an_upload_is_cut_at_a_byte(lab: Lab, size: int) -> None:
    """What did not come whole is not kept."""
    lab.emulator.inject(Fault(route="files.upload", nth=1, cut_after_bytes=size))
    with pytest.raises(openai.APIConnectionError):
        lab.upload(b'"%b"' % (b"1" * 300_000))
    assert lab.emulator.stats.files_uploaded == 0
    assert lab.client.files.list().data == []
    lab.upload(b'"%b"' % (b"1" * 300_000))


def test_young_batches_are_hidden(lab: Lab) -> None:
    """A list may lag, and a batch may not be found at first."""
    lab.emulator.inject(Fault(route="batches.list", hide_seconds=60))
    lab.emulator.inject(Fault(route="batches.get", not_found_seconds=60))
    batch = lab.submit(lab.lines(1))
    assert lab.client.batches.list().data == []
    with pytest.raises(openai.NotFoundError):
        lab.get(batch)
    lab.emulator.advance(seconds=61)
    assert [found.id for found in lab.client.batches.list()] == [batch.id]
    assert lab.get(batch).status == "completed"


def test_a_fresh_upload_may_not_be_found(lab: Lab) -> None:
    """The race of create after upload: the file is there, and the batch fails all the same."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, quirk="cannot_find_file"))
    failed = lab.run(lab.lines(1))
    assert failed.status == "failed"
    assert lab.ended(lab.create(failed.input_file_id)).status == "completed"


def test_quirks_of_batches(lab: Lab) -> None:
    """Oddities that were seen in the wild: empty ids, unknown words, counts that are gone."""
    batch = lab.run([*lab.lines(2)])
    for quirk, name, value in (
        ("empty_string_ids", "error_file_id", ""),
        ("unknown_status", "status", "under_review"),
        ("null_output", "output_file_id", None),
    ):
        lab.emulator.clear_faults()
        lab.emulator.inject(Fault.from_json({"route": "batches.get", "quirk": quirk}))
        assert getattr(lab.get(batch), name) == value
    lab.emulator.clear_faults()
    lab.emulator.inject(Fault(route="batches.get", quirk="reset_counts"))
    counts = lab.get(batch).request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (2, 0, 0)


def damaged(lab: Lab, damage: RowDamage, **options: Any) -> list[bytes]:
    """The lines of a result file, of which one is damaged."""
    batch = lab.run(lab.lines(4))
    good = lab.client.files.content(batch.output_file_id or "").content
    lab.emulator.inject(Fault(route="files.content", nth=1, row=damage, **options))
    bad = lab.client.files.content(batch.output_file_id or "").content
    assert bad != good
    assert lab.client.files.content(batch.output_file_id or "").content == good
    return bad.splitlines(keepends=True)


def readable(line: bytes) -> bool:
    """Whether a strict reader takes the line."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return bool(value)


@pytest.mark.parametrize(
    "damage", ["garbage", "invalid_utf8", "truncated_last", "nan", "lone_surrogate"]
)
def test_a_damaged_row_is_no_valid_json(lab: Lab, damage: RowDamage) -> None:
    """One row of the download cannot be read strictly, the others can, and so can the next try."""
    lines = damaged(lab, damage)
    assert len(lines) == 4
    assert [readable(line) for line in lines].count(False) == 1


def test_a_row_may_be_missing_twice_or_foreign(lab: Lab) -> None:
    """Rows are left out, repeated, or belong to nobody."""
    assert len(damaged(lab, "missing", row_index=0)) == 3
    lines = damaged(lab, "duplicate", row_index=-1)
    assert lines[-1] == lines[-2]
    lines = damaged(lab, "foreign", row_index=1)
    assert json.loads(lines[2])["custom_id"] == "foreign-row-of-another-batch"
    assert len(lines) == 5


def test_a_row_may_be_valid_json_and_yet_wrong(lab: Lab) -> None:
    """No status, no body, no id, endless numbers and nesting, foreign line ends."""
    row = json.loads(damaged(lab, "status_zero", row_index=2)[2])
    assert (row["response"]["status_code"], row["response"]["body"]) == (0, None)
    row = json.loads(damaged(lab, "unknown_kind", row_index=2)[2])
    assert (row["response"], row["error"]["code"]) == (None, "unheard_of")
    row = json.loads(damaged(lab, "empty_body", row_index=2)[2])
    assert (row["response"]["status_code"], row["response"]["body"]) == (200, {})
    assert "custom_id" not in json.loads(damaged(lab, "missing_id", row_index=2)[2])
    assert len(damaged(lab, "huge_int", row_index=2)[2]) > 5000
    assert len(damaged(lab, "deep", row_index=2)[2]) > 100_000
    assert damaged(lab, "crlf", row_index=2)[2].endswith(b"\r\n")
    assert damaged(lab, "bom")[0].startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("damage", ["garbage", "missing", "truncated_last"])
def test_a_persistent_damage_is_a_loss(lab: Lab, damage: RowDamage) -> None:
    """The file stays damaged, and running that one item again is no double execution."""
    lines = [lab.line(number, temperature=9 if number == 2 else 0) for number in range(5)]
    batch = lab.run(lines)
    whole = lab.rows(batch.output_file_id)
    lab.emulator.inject(Fault(route="files.content", row=damage, row_index=1, persistent=True))
    first = lab.client.files.content(batch.output_file_id or "").content
    lab.emulator.clear_faults()
    assert lab.client.files.content(batch.output_file_id or "").content == first
    assert lab.emulator.stats.items_lost == 1
    lost = whole[-1 if damage == "truncated_last" else 1]["custom_id"]
    lab.run([line for line in lines if line["custom_id"] == lost])
    assert lab.emulator.stats.executed_twice() == []
    lab.run([line for line in lines if line["custom_id"] == whole[0]["custom_id"]])
    assert len(lab.emulator.stats.executed_twice()) == 1


def test_faults_strike_as_declared() -> None:
    """The nth call, every n-th, at most so many times, on routes that match."""

    def struck(fault: Fault, route: str = "batches.get", calls: int = 6) -> list[int]:
        plan = FaultPlan([fault])
        return [number for number in range(1, calls + 1) if plan.strike("openai", route)]

    assert struck(Fault(nth=2)) == [2]
    assert struck(Fault(every=2)) == [2, 4, 6]
    assert struck(Fault(every=2, times=2)) == [2, 4]
    assert struck(Fault(times=3)) == [1, 2, 3]
    assert struck(Fault(route="batches.*")) == [1, 2, 3, 4, 5, 6]
    assert struck(Fault(route="files.*")) == []
    assert struck(Fault(vendor="openai", nth=1)) == [1]
    assert struck(Fault(vendor="anthropic")) == []
    chance = struck(Fault(probability=0.5), calls=200)
    assert 60 < len(chance) < 140
    assert chance == struck(Fault(probability=0.5), calls=200)


def test_a_contradictory_fault_is_refused() -> None:
    """A fault that could not be meant is an error where it is made."""
    for wrong in ({"nth": 1, "every": 2}, {"nth": 0}, {"every": 0}):
        options: dict[str, Any] = wrong
        with pytest.raises(ValueError, match=r"nth|every"):
            Fault(**options)


def test_work_goes_on_while_calls_fail(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """A batch ends at its time, whether or not anybody can look."""
    lab = make_lab(timing=Timing(in_progress=10), home=tmp_path)
    batch = lab.submit(lab.lines(3))
    lab.emulator.inject(Fault(route="*", status=500))
    lab.emulator.advance(seconds=11)
    assert lab.emulator.stats.batches_by_status == {"completed": 1}
    lab.emulator.clear_faults()
    assert lab.get(batch).status == "completed"
