"""What goes wrong at live calls, at all vendors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import pytest
from google.genai import errors

from ai_batch.emulator import Emulator, Fault, item_key
from ai_batch.emulator.json_types import JsonObject

if TYPE_CHECKING:
    from packages.emulator.tests.live.conftest import LiveLab

    MakeLab = Callable[..., LiveLab]

VENDORS = ["openai", "anthropic", "gemini"]
LOST = (openai.APIConnectionError, anthropic.APIConnectionError, httpx2.TransportError)
UNREADABLE = (json.JSONDecodeError, ValueError, openai.APIError, anthropic.APIError)


@pytest.mark.parametrize("vendor", VENDORS)
def test_faults_come_by_chance(make_live_lab: MakeLab, vendor: str) -> None:
    """A fifth is refused with a 429 and a twentieth with a 503, the same ones with each seed."""
    faults = [
        Fault(vendor=vendor, probability=0.2, status=429, retry_after=1),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        Fault(vendor=vendor, probability=0.05, status=503),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ]
    first, again = (make_live_lab(faults=faults, seed=3).statuses(vendor, 200) for _ in range(2))
    assert first == again
    assert 20 <= first.count(429) <= 60
    assert 2 <= first.count(503) <= 20
    assert first.count(200) == 200 - first.count(429) - first.count(503)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_fault_asks_to_come_again_in_a_header(live_lab: LiveLab, vendor: str) -> None:
    """In seconds, as a date, or in milliseconds."""
    inject = live_lab.emulator.inject
    inject(Fault(nth=1, status=429, retry_after=2.5))
    inject(Fault(nth=1, status=429, retry_after=7, retry_after_as="date"))
    inject(Fault(nth=1, status=503, retry_after=0.25, retry_after_as="milliseconds"))
    # The first that strikes decides; the others were counted, too.
    assert live_lab.refused(vendor).headers["retry-after"] == "3"
    live_lab.emulator.clear_faults()
    inject(Fault(nth=1, status=429, retry_after=7, retry_after_as="date"))
    date = parsedate_to_datetime(live_lab.refused(vendor).headers["retry-after"])
    assert time.time() + 2 < date.timestamp() < time.time() + 8.1
    inject(Fault(nth=1, status=503, retry_after=0.25, retry_after_as="milliseconds"))
    response = live_lab.refused(vendor)
    assert (response.status_code, response.headers["retry-after-ms"]) == (503, "250")
    assert "retry-after" not in response.headers


def test_gemini_asks_to_come_again_in_the_body(live_lab: LiveLab) -> None:
    """A `RetryInfo`, as everywhere at Google."""
    live_lab.emulator.inject(Fault(route="generateContent", status=429, retry_after=2.5))
    with pytest.raises(errors.ClientError) as caught:
        live_lab.generate("x")
    error: Any = caught.value
    found = error.details
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    assert found["error"]["details"] == [{"@type": kind, "retryDelay": "2.5s"}]


def test_the_sdk_obeys(make_live_lab: MakeLab) -> None:
    """An SDK that tries again waits as it was asked to, and gets its answer."""
    lab = make_live_lab()
    lab.emulator.inject(Fault(nth=1, status=429, retry_after=0.8, retry_after_as="milliseconds"))
    started = time.monotonic()
    client = lab.openai.with_options(max_retries=1)
    client.responses.create(model="gpt-5-mini", input="x")
    assert 0.8 <= time.monotonic() - started < 5
    assert lab.emulator.stats.live["openai"].received == 2


def test_anthropic_is_overloaded(live_lab: LiveLab) -> None:
    """A 529 in the vendor's words."""
    live_lab.emulator.inject(Fault(route="messages", status=529))
    response = live_lab.refused("anthropic")
    assert (response.status_code, response.json()["error"]["type"]) == (529, "overloaded_error")


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("cut", "executed"), [("before", 0), ("after", 1)])
def test_connections_are_cut(live_lab: LiveLab, vendor: str, cut: Any, executed: int) -> None:
    """Before the request was executed or after, and a lost answer may be asked for again."""
    live_lab.emulator.inject(Fault(nth=1, cut=cut))
    with pytest.raises(LOST):
        live_lab.ask(vendor, "x")
    assert live_lab.emulator.stats.live_calls == executed
    assert live_lab.ask(vendor, "x") == "x"
    stats = live_lab.emulator.stats
    assert stats.times_asked("x") == executed + 1
    assert stats.items_lost == executed
    assert stats.billed_twice() == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("hang", "executed"), [("before", 0), ("after", 1)])
def test_calls_hang(make_live_lab: MakeLab, vendor: str, hang: Any, executed: int) -> None:
    """There is no answer until the client gives up; then the call is over."""
    lab = make_live_lab(timeout=0.5)
    lab.emulator.inject(Fault(nth=1, hang=hang))
    with pytest.raises((openai.APITimeoutError, anthropic.APITimeoutError, httpx2.ReadTimeout)):
        lab.ask(vendor, "x")
    until = time.monotonic() + 5
    while lab.emulator.stats.live[vendor].in_flight and time.monotonic() < until:
        time.sleep(0.02)
    live = lab.emulator.stats.live[vendor]
    assert (live.in_flight, live.faulted, live.answered) == (0, 1, 0)
    assert lab.emulator.stats.live_calls == executed
    assert lab.ask(vendor, "y") == "y"


def test_a_call_that_is_not_live_hangs(make_live_lab: MakeLab) -> None:
    """The fault is one of all routes."""
    lab = make_live_lab(timeout=0.5)
    lab.emulator.inject(Fault(route="models.list", nth=1, hang="before"))
    with pytest.raises(openai.APITimeoutError):
        lab.openai.models.list()
    assert lab.openai.models.list().data


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("spoil", ["broken_json", "empty"])
def test_answers_are_spoiled(live_lab: LiveLab, vendor: str, spoil: Any) -> None:
    """A 200 of no use to anybody, though the request was executed and is paid for."""
    live_lab.emulator.inject(Fault(nth=1, spoil=spoil))
    if (vendor, spoil) == ("gemini", "empty"):
        # Google's SDK takes it for a response without candidates.
        assert live_lab.ask(vendor, "x") is None
    else:
        with pytest.raises(UNREADABLE):
            live_lab.ask(vendor, "x")
    assert live_lab.ask(vendor, "x") == "x"
    stats = live_lab.emulator.stats
    assert (stats.items_billed, stats.items_lost, stats.billed_twice()) == (2, 1, [])
    assert (stats.live[vendor].faulted, stats.live[vendor].answered) == (1, 1)


def test_what_spoils_an_answer() -> None:
    """Half of a JSON object, nothing, a page, or `null`; status and headers stay."""
    bodies: list[bytes] = []
    with Emulator() as emulator:
        for spoil in ("broken_json", "empty", "html", "null"):
            emulator.inject(Fault(nth=1, spoil=spoil))  # pyright: ignore[reportArgumentType]
            response = httpx2.post(
                f"{emulator.openai_url}/chat/completions",
                headers={"authorization": "Bearer k"},
                json={"model": "m", "messages": [{"role": "user", "content": "x"}]},
            )
            emulator.clear_faults()
            assert (response.status_code, "x-request-id" in response.headers) == (200, True)
            bodies.append(response.content)
    assert bodies[0].startswith(b'{"id":"chatcmpl-')
    with pytest.raises(json.JSONDecodeError):
        json.loads(bodies[0])
    assert bodies[1] == b""
    assert b"<html>" in bodies[2]
    assert bodies[3] == b"null"


@pytest.mark.parametrize("vendor", VENDORS)
def test_answers_break_off(live_lab: LiveLab, vendor: str) -> None:
    """The connection ends in the middle of the body."""
    live_lab.emulator.inject(Fault(nth=1, cut_after_bytes=20))
    with pytest.raises(LOST):
        live_lab.ask(vendor, "x")
    assert live_lab.emulator.stats.items_lost == 1
    assert live_lab.ask(vendor, "x") == "x"


@pytest.mark.parametrize("vendor", VENDORS)
def test_answers_are_late(live_lab: LiveLab, vendor: str) -> None:
    """A delay holds up one call, on either side of its effect."""
    live_lab.emulator.inject(Fault(nth=2, delay=0.2, delay_after=0.2))
    live_lab.ask(vendor, "x")
    started = time.monotonic()
    live_lab.ask(vendor, "x")
    assert 0.4 <= time.monotonic() - started < 5
    assert live_lab.emulator.stats.live[vendor].answered == 2


def test_an_effect_may_precede_the_refusal(live_lab: LiveLab) -> None:
    """A 500 after the execution: paid for, and lost."""
    live_lab.emulator.inject(Fault(route="chat.completions", nth=1, status=500, effect=True))
    assert live_lab.statuses("openai", 1) == [500]
    body: JsonObject = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "say 0"}]}
    stats = live_lab.emulator.stats
    assert stats.executions == stats.lost == {item_key("/v1/chat/completions", body): 1}


def test_faults_say_what_they_cannot_be() -> None:
    """What means nothing is found when the fault is made."""
    for field in ("cut", "hang", "spoil", "retry_after_as"):
        with pytest.raises(ValueError, match=f"{field} must be one of"):
            Fault(**{field: "never"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="goes with a status"):
        Fault(retry_after=1)
