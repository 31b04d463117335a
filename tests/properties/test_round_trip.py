"""Random requests there and back: what our checks let through the vendor takes, and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ai_batch.core import ChatRequest, ChatResponse, NativeProcessor, Problem, UsageError
from ai_batch.core.checks import check_request
from ai_batch.core.errors import RequestRefused
from ai_batch.emulator import Emulator
from tests.properties.chats import chats
from tests.properties.vendors import VENDORS, Vendor

SCALE = settings().max_examples
QUICK = SCALE <= 100
"""Then with the same requests each time: rules of ours may yet be met that no vendor tells of,
and those who look for them take more."""

PLAIN = {"messages", "model", "id", "temperature", "top_p", "seed"}
"""Fields that change nothing of an echo."""

# Each example is many calls: what failed is shown as it came, which is soon enough to read.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@dataclass(frozen=True)
class Requests:
    """Many at once. What fails shows the one that it is about, so the others are not shown."""

    all: list[ChatRequest] = field(repr=False)


def many(least: int) -> st.SearchStrategy[Requests]:
    """At least so many, and at most twice."""
    return st.lists(chats(), min_size=least, max_size=2 * least).map(Requests)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """All vendors, for all examples."""
    with Emulator(track_items=False) as emulator:
        yield emulator


def expect_echo(request: ChatRequest, answer: ChatResponse) -> None:
    """A plain last question comes back word for word."""
    last = request.messages[-1]
    # Anthropic makes one turn of a tool's result, or a user's message, and the one after it.
    follows = [message.role for message in request.messages[-2:-1]]
    alone = last.role == "user" and follows not in (["user"], ["tool"])
    if alone and last.only_text and len(last.parts) == 1 and request.model_fields_set <= PLAIN:
        assert (answer.content, answer.finish_reason) == (last.text, "stop"), request
    free = not request.model_fields_set & {"stop", "max_tokens", "tools"}
    if request.output_type is not None and free:
        assert answer.parsed is not None, request
    assert answer.usage.input_tokens > 0, request


@pytest.mark.parametrize("name", VENDORS)
@settings(max_examples=max(SCALE // 25, 2), phases=PHASES, derandomize=QUICK)
@given(requests=many(10))
def test_live_calls_are_taken_as_they_are_checked(
    emulator: Emulator, name: str, requests: Requests
) -> None:
    """A request without a problem is answered; one that is refused here is refused there too."""
    vendor = VENDORS[name]

    async def ask() -> None:
        client = vendor.live(emulator)
        try:
            for request in requests.all:
                problems = [*check_request(request), *client.check(request)]
                if problems:
                    with pytest.raises(UsageError):
                        await client.chat(request)
                    expect_refusal(emulator, vendor, request, problems)
                elif request.output_type is not None and request.max_tokens is not None:
                    # An answer that was cut short fits no schema, and says so.
                    with contextlib.suppress(RequestRefused):
                        expect_echo(request, await client.chat(request))
                else:
                    expect_echo(request, await client.chat(request))
        finally:
            await client.aclose()

    asyncio.run(ask())


def expect_refusal(
    emulator: Emulator, vendor: Vendor, request: ChatRequest, problems: list[Problem]
) -> None:
    """Sent all the same, the vendor refuses it, but where a rule is known to be ours alone."""
    try:
        body = vendor.body(request)
    except (TypeError, ValueError, LookupError):
        return  # There is no way to say it at all.
    headers = {**vendor.headers, "Content-Type": "application/json"}
    answer = httpx2.post(vendor.url(emulator), content=body, headers=headers)
    assert answer.status_code in {200, 400}, answer.text
    told = [str(problem) for problem in problems]
    if answer.status_code == 200:
        assert any(rule in line for rule in vendor.stricter for line in told), (told, body)


def problems_of(processor: NativeProcessor, requests: list[ChatRequest]) -> set[int | None]:
    """Which of the requests are named as faulty."""
    try:
        processor.estimate(requests)
    except UsageError as error:
        return {problem.index for problem in error.problems}
    return set()


@pytest.mark.parametrize("name", VENDORS)
@settings(max_examples=max(SCALE // 50, 2), phases=PHASES, derandomize=QUICK)
@given(requests=many(30))
def test_batches_are_taken_as_they_are_checked(
    emulator: Emulator, name: str, requests: Requests
) -> None:
    """Every request without a problem gets its own answer; the others are all named."""
    with (
        TemporaryDirectory() as home,
        VENDORS[name].batch(emulator, home=Path(home), poll_interval=0.02) as processor,
    ):
        good = requests.all
        # Only the first hundred faults are named at a time.
        while faulty := problems_of(processor, good):
            good = [request for place, request in enumerate(good) if place not in faulty]
        results = list(processor.process(good))
    assert [result.index for result in results] == list(range(len(good)))
    for request, result in zip(good, results, strict=True):
        if result.chat is not None:
            expect_echo(request, result.chat)
            continue
        # An answer of a few tokens is no whole object; all else is answered.
        assert result.error is not None
        assert result.error.code == "invalid_output", (result.error, request)
        assert request.max_tokens is not None, (result.error, request)
