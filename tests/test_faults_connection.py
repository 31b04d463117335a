"""Connections that are cut and servers that fail: the job goes on and nothing is paid twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.emulator import Fault, Timing

if TYPE_CHECKING:
    from tests.conftest import Call, Lab

HTML = "<html><head><title>502 Bad Gateway</title></head></html>"
MISSING_FILE = "Cannot find file file-x, or organization org-x does not have access to it."


def vendor_error(message: str, code: str | None = None, param: str | None = None) -> Any:
    """An error body as the vendor writes it."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return {"error": error}


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize(
    "route",
    ["files.upload", "batches.create", "batches.get", "files.content", "files.delete"],
)
def test_a_cut_connection_is_survived(lab: Lab, route: str, cut: Any) -> None:
    """A call that is cut before or after its effect neither loses nor repeats anything."""
    lab.emulator.inject(Fault(route=route, nth=1, cut=cut))
    requests = lab.questions(7)
    lab.check(requests, lab.processor(shard=3).process(requests))
    assert lab.emulator.stats.executed_twice() == []
    assert lab.emulator.stats.batches_created == 3


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_cut_list_is_survived(lab: Lab, cut: Any) -> None:
    """Looking for a batch of unknown outcome may itself be cut."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    lab.emulator.inject(Fault(route="batches.list", nth=1, cut=cut))
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.batches_created == 1


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_an_upload_that_breaks_off_is_sent_again(lab: Lab, share: float) -> None:
    """An upload cut at any byte leaves no file behind, and goes again."""
    requests = lab.questions(300)
    lab.emulator.inject(
        Fault(route="files.upload", nth=1, cut_after_bytes=max(int(50_000 * share), 1))
    )
    lab.check(requests, lab.processor().process(requests))


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_cut_cancel_is_repeated(make_lab: Callable[..., Lab], cut: Any) -> None:
    """A cancel whose answer was lost is sent again until the batch has stopped."""
    lab = make_lab(timing=Timing(in_progress=3600))
    lab.emulator.inject(Fault(route="batches.cancel", nth=1, cut=cut))
    requests = lab.questions(4)
    response = lab.processor().submit(requests).cancel()
    assert [result.error and result.error.code for result in response] == ["batch_cancelled"] * 4
    assert lab.emulator.stats.batches_by_status == {"cancelled": 1}
    lab.check(requests, response, failed=[f"q{n}" for n in range(4)])


@pytest.mark.parametrize("close_delimited", [False, True], ids=["length", "close"])
@pytest.mark.parametrize("number", range(5))
def test_a_truncated_download_is_repeated(lab: Lab, number: int, *, close_delimited: bool) -> None:
    """Results cut at any byte are downloaded again, also where the cut raises no error."""
    at = random.Random(number).randrange(1, 5000)
    lab.emulator.inject(
        Fault(route="files.content", nth=1, cut_after_bytes=at, close_delimited=close_delimited)
    )
    requests = lab.questions(12)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.executed_twice() == []


def test_a_truncated_compressed_download_is_repeated(lab: Lab) -> None:
    """A compressed answer that ends early raises nothing, and yet nothing is missing."""
    lab.emulator.inject(Fault(route="files.content", nth=1, cut_after_bytes=400, gzip=True))
    requests = lab.questions(20)
    lab.check(requests, lab.processor().process(requests))


@pytest.mark.parametrize(("status", "body"), [(500, None), (502, HTML), (503, None), (504, HTML)])
@pytest.mark.parametrize("effect", [False, True], ids=["refused", "done"])
def test_a_burst_of_failures_is_waited_out(
    lab: Lab, status: int, body: str | None, *, effect: bool
) -> None:
    """Several calls in a row that fail, carried out or not, only delay the job."""
    lab.emulator.inject(Fault(route="*", times=6, status=status, body=body, effect=effect))
    requests = lab.questions(5)
    lab.check(requests, lab.processor(shard=2).process(requests))
    assert lab.emulator.stats.batches_created == 3
    assert lab.emulator.stats.executed_twice() == []


def test_a_create_is_one_http_attempt(lab: Lab, calls: list[Call]) -> None:
    """The SDK's own retries are off: a create that failed is looked for before it goes again."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, status=500))
    requests = lab.questions(2)
    lab.check(requests, lab.processor().process(requests))
    names = [call.name for call in calls]
    first = names.index("POST /v1/batches")
    assert names[first + 1] == "GET /v1/batches"
    assert names.count("POST /v1/batches") == 2


def test_a_batch_that_is_not_found_at_first_is_waited_for(lab: Lab) -> None:
    """A 404 right after the create is no reason to create again."""
    lab.emulator.inject(Fault(route="batches.get", not_found_seconds=0.2))
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.batches_created == 1


def test_a_list_that_lags_behind_is_waited_for(lab: Lab) -> None:
    """A batch of unknown outcome that the list shows only later is adopted, not made again."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    lab.emulator.inject(Fault(route="batches.list", hide_seconds=0.2))
    requests = lab.questions(3)
    lab.check(requests, lab.processor(settle_wait=1.0 * lab.fast.speed).process(requests))
    assert lab.emulator.stats.batches_created == 1


def test_a_list_that_lags_too_long_costs_nothing(make_lab: Callable[..., Lab]) -> None:
    """Where the list shows a batch too late, its deleted input has kept it from running."""
    lab = make_lab(timing=Timing(validating=3.0))
    lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    lab.emulator.inject(Fault(route="batches.list", times=20, hide_seconds=3600))
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.executed_twice() == []


def test_a_file_that_is_not_found_at_the_create_is_sent_again(lab: Lab) -> None:
    """Right after an upload the vendor may answer that there is no such file; it is soon there."""
    lab.emulator.inject(
        Fault(route="batches.create", times=2, status=400, body=vendor_error(MISSING_FILE))
    )
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.batches_created == 1


def test_a_batch_that_lost_its_file_is_sent_again(lab: Lab) -> None:
    """A batch that fails because the vendor did not see its input yet goes again, whole."""
    lab.emulator.inject(Fault(route="batches.create", nth=1, quirk="cannot_find_file"))
    requests = lab.questions(3)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.batches_by_status == {"failed": 1, "completed": 1}


def test_a_bad_line_only_delays_the_job(lab: Lab) -> None:
    """Where every third call is cut, the job still ends, and repeats nothing."""
    for route in ("batches.*", "files.[cu]*"):
        lab.emulator.inject(Fault(route=route, every=3, times=30, cut="before"))
    requests = lab.questions(9)
    lab.check(requests, lab.processor(shard=2).process(requests))
    assert lab.emulator.stats.executed_twice() == []
