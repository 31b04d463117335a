"""Servers that ask for patience are called no earlier than they have said."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from ai_batch.emulator import Fault, Limits

if TYPE_CHECKING:
    from tests.conftest import Call, Lab

CREATE = "POST /v1/batches"
UPLOAD = "POST /v1/files"


def gaps(calls: list[Call], name: str) -> list[float]:
    """Seconds, by the laboratory's clock, from each call that was refused to the next alike."""
    times = [call for call in calls if call.name == name]
    return [after.at - before.at for before, after in pairwise(times)]


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """A laboratory in which five minutes pass in a second."""
    return make_lab(speed=300.0)


@pytest.mark.parametrize("route", ["batches.create", "files.upload"])
@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": "300"}, 300.0),
        ({"retry-after-ms": "90000"}, 90.0),
        ({"retry-after-ms": "150000", "retry-after": "1"}, 150.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "soon"}, 0.5),
        ({"retry-after-ms": "-5"}, 0.5),
        ({}, 0.5),
    ],
    ids=["1s", "300s", "ms", "ms-first", "zero", "garbage", "negative", "absent"],
)
def test_no_call_comes_earlier_than_told(
    lab: Lab, calls: list[Call], route: str, headers: Mapping[str, str], told: float
) -> None:
    """A 429 is waited out for as long as the server says, or by our own schedule."""
    lab.emulator.inject(Fault(route=route, nth=1, status=429, headers=headers))
    requests = lab.questions(2)
    lab.check(requests, lab.processor().process(requests))
    name = CREATE if route == "batches.create" else UPLOAD
    assert [call.status for call in calls if call.name == name] == [429, 200]
    assert gaps(calls, name)[0] >= told


def test_a_date_to_come_back_at_is_kept(lab: Lab, calls: list[Call]) -> None:
    """``Retry-After`` may be a date; the wait lasts until then."""
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    lab.emulator.inject(
        Fault(route="batches.create", nth=1, status=429, headers={"retry-after": date})
    )
    requests = lab.questions(2)
    lab.check(requests, lab.processor().process(requests))
    assert gaps(calls, CREATE)[0] >= 50.0


def test_an_unavailable_server_may_ask_for_patience_too(lab: Lab, calls: list[Call]) -> None:
    """A 503 with ``Retry-After`` at the upload is kept to like a 429."""
    lab.emulator.inject(
        Fault(route="files.upload", nth=1, status=503, headers={"retry-after": "200"})
    )
    requests = lab.questions(2)
    lab.check(requests, lab.processor().process(requests))
    assert gaps(calls, UPLOAD)[0] >= 200.0


def test_polls_and_downloads_are_patient_too(lab: Lab, calls: list[Call]) -> None:
    """A throttled poll or download comes back when it may."""
    headers = {"retry-after": "120"}
    for route in ("batches.get", "files.content"):
        lab.emulator.inject(Fault(route=route, nth=1, status=429, headers=headers))
    requests = lab.questions(2)
    lab.check(requests, lab.processor().process(requests))
    throttled = [call for call in calls if call.status == 429]
    assert len(throttled) == 2
    for call in throttled:
        again = next(later for later in calls if later.name == call.name and later.at > call.at)
        assert again.at - call.at >= 120.0


def test_repeated_throttling_spreads_out(lab: Lab, calls: list[Call]) -> None:
    """Without a word from the server, each wait is longer than the first one."""
    lab.emulator.inject(Fault(route="batches.create", times=5, status=429))
    requests = lab.questions(2)
    lab.check(requests, lab.processor().process(requests))
    waits = gaps(calls, CREATE)
    assert len(waits) == 5
    assert waits[0] >= 0.5
    assert waits[4] >= 8.0


def test_the_limit_of_creates_per_hour_is_waited_out(make_lab: Callable[..., Lab]) -> None:
    """When the hour's batches are used up, the rest of the job waits for the next hour."""
    lab = make_lab(limits=Limits(creates_per_hour=2))
    requests = lab.questions(6)
    job = lab.processor(shard=2).submit(requests)
    with pytest.raises(TimeoutError):
        job.join(timeout=0.3)
    assert lab.emulator.stats.batches_created == 2
    lab.emulator.advance(hours=1)
    lab.fast.advance(2 * 3600)
    lab.check(requests, job.join())
