"""What the emulator counts of live calls, how long they take, and how many it holds at once."""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import openai
import pytest

from ai_batch.emulator import Emulator, Fault, Latency, Limits, LiveStats, item_key
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.patience import Patience
from ai_batch.emulator.store import Store
from ai_batch.emulator.tally import Account, Tally

if TYPE_CHECKING:
    from packages.emulator.tests.live.conftest import LiveLab

    MakeLab = Callable[..., LiveLab]

VENDORS = ["openai", "anthropic", "gemini"]


def picky(_endpoint: str, body: JsonObject) -> tuple[int, JsonObject] | None:
    """Refuse one prompt."""
    return (400, {"error": {"message": "No."}}) if "forbidden" in str(body) else None


@pytest.mark.parametrize("vendor", VENDORS)
def test_calls_are_counted_by_their_end(make_live_lab: MakeLab, vendor: str) -> None:
    """Each is answered, or refused by a limit, by a fault, or for what it was."""
    lab = make_live_lab(answer=picky, limits=Limits(requests_per_minute=3))
    lab.emulator.inject(Fault(nth=2, status=503))
    assert lab.statuses(vendor, 2) == [200, 503]
    assert lab.refused(vendor, "forbidden").status_code == 400
    lab.ask(vendor, "x")
    expected = LiveStats(received=4, answered=2, faulted=1, failed=1, most_in_flight=1)
    if vendor == "openai":
        assert lab.refused(vendor).status_code == 429
        expected = LiveStats(
            received=5, answered=2, faulted=1, failed=1, limited=1, most_in_flight=1
        )
    stats = lab.emulator.stats
    assert dict(stats.live) == {vendor: expected}
    assert (stats.live_calls, stats.items_billed, stats.most_in_flight) == (3, 2, 1)


def test_prompts_are_counted(live_lab: LiveLab) -> None:
    """How often each was executed, whichever vendor and endpoint it went to."""
    client = live_lab.openai
    for vendor in VENDORS:
        live_lab.ask(vendor, "What is it?")
    client.responses.create(model="gpt-5-mini", input="What is it?")
    client.responses.create(
        model="gpt-5-mini",
        input=[
            {"role": "user", "content": "Before"},
            {"role": "assistant", "content": "What?"},
            {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}]},
        ],
    )
    client.embeddings.create(model="m", input=["red", "green", "red"])
    client.embeddings.create(model="m", input="green")
    live_lab.embed(["red", "blue"])
    stats = live_lab.emulator.stats
    assert stats.times_asked("What is it?") == 5
    asked = {text: stats.times_asked(text) for text in ("red", "green", "blue", "Before", "")}
    assert asked == {"red": 3, "green": 2, "blue": 1, "Before": 0, "": 0}


def test_refused_calls_are_no_executions(live_lab: LiveLab) -> None:
    """What a fault stood before was not asked, and what was asked twice shows."""
    live_lab.emulator.inject(Fault(nth=1, status=500))
    assert live_lab.statuses("openai", 1) == [500]
    assert live_lab.emulator.stats.times_asked("say 0") == 0
    live_lab.chat("say 0")
    live_lab.chat("say 0")
    body: JsonObject = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "say 0"}]}
    key = item_key("/v1/chat/completions", body)
    assert live_lab.emulator.stats.times_asked("say 0") == 2
    assert live_lab.emulator.stats.executions[key] == 2
    assert live_lab.emulator.stats.billed_twice() == [key]


def test_items_need_not_be_tracked(make_live_lab: MakeLab) -> None:
    """Without the counts of each item and prompt, calls are counted all the same."""
    lab = make_live_lab(track_items=False)
    lab.chat("x")
    stats = lab.emulator.stats
    assert (stats.live_calls, stats.live["openai"].answered) == (1, 1)
    assert (stats.executions, stats.prompts) == ({}, {})


def test_another_process_tells_the_same(make_live_lab: MakeLab) -> None:
    """The stats, the limits, the latency and the faults reach a spawned emulator."""
    with Emulator.spawn(
        limits=Limits(requests_per_minute={"gpt-4o-mini": 2}, tokens_per_minute=10_000),
        latency=Latency(median=0.01, sigma=0.5),
        faults=[Fault(vendor="anthropic", nth=1, status=529, retry_after=3)],
    ) as emulator:
        lab = make_live_lab(emulator)
        assert lab.statuses("openai", 3) == [200, 200, 429]
        assert lab.refused("anthropic").headers["retry-after"] == "3"
        lab.ask("gemini", "x")
        stats = emulator.stats
    assert stats.live["openai"].limited == 1
    assert stats.live["anthropic"].faulted == 1
    assert stats.times_asked("x") == 1
    assert asdict(stats)["live"]["gemini"]["answered"] == 1


def test_counts_outlive_the_emulator(make_live_lab: MakeLab, tmp_path: Path) -> None:
    """They are in its home, but for those of calls in flight."""
    with Emulator(home=tmp_path) as emulator:
        make_live_lab(emulator).ask("openai", "x")
    with Emulator(home=tmp_path) as emulator:
        stats = emulator.stats
    assert (stats.times_asked("x"), stats.live["openai"].answered) == (1, 1)
    assert stats.requests == {"chat.completions": 1}


def test_counts_reach_the_home_by_themselves(make_live_lab: MakeLab, tmp_path: Path) -> None:
    """A kill a second later finds them written."""
    with Emulator.spawn(home=tmp_path) as emulator:
        make_live_lab(emulator).ask("openai", "x")
        time.sleep(1.0)
        emulator.kill()
        emulator.restart()
        assert emulator.stats.times_asked("x") == 1


def test_a_reset_forgets_live_calls(live_lab: LiveLab) -> None:
    """All counts begin anew."""
    live_lab.chat("x")
    live_lab.emulator.reset()
    stats = live_lab.emulator.stats
    assert (dict(stats.live), stats.prompts, stats.most_in_flight) == ({}, {}, 0)
    live_lab.chat("x")
    assert live_lab.emulator.stats.times_asked("x") == 1


def test_counts_need_little_memory(tmp_path: Path) -> None:
    """A hundred thousand calls of different prompts are held in less than two megabytes."""
    store = Store(tmp_path)
    tally = Tally(store, track_items=True)
    tracemalloc.start()
    try:
        for number in range(100_000):
            body: JsonObject = {"input": f"say {number}"}
            tally.executed(Account(), "/v1/responses", body, [f"say {number}"], ok=True)
            if number % 1000 == 0:
                tally.flush()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        tally.flush()
        store.close()
    assert held < 2_000_000
    assert len(tally.prompts()) == 100_000


@pytest.mark.parametrize("vendor", VENDORS)
def test_answers_take_their_time(make_live_lab: MakeLab, vendor: str) -> None:
    """A constant latency holds up good answers, and no refusals."""
    lab = make_live_lab(latency=0.3)
    started = time.monotonic()
    lab.ask(vendor, "x")
    assert 0.3 <= time.monotonic() - started < 5
    lab.emulator.inject(Fault(status=400))
    started = time.monotonic()
    lab.statuses(vendor, 5)
    assert time.monotonic() - started < 1.4


def test_latencies_are_drawn() -> None:
    """From a range or log-normally, by the seed."""
    for latency in ((0.1, 0.5), Latency(median=0.5, sigma=0.4)):
        first, same, other = (Patience(latency, seed) for seed in (1, 1, 2))
        drawn = [first.seconds() for _ in range(4000)]
        assert drawn == [same.seconds() for _ in range(4000)]
        assert drawn[:5] != [other.seconds() for _ in range(5)]
        if isinstance(latency, tuple):
            assert 0.1 <= min(drawn) < 0.11
            assert 0.49 < max(drawn) <= 0.5
        else:
            assert statistics.median(drawn) == pytest.approx(0.5, rel=0.05)
            above = sum(seconds > 0.5 * 2.718281828**0.4 for seconds in drawn)
            assert above / len(drawn) == pytest.approx(0.16, abs=0.03)
    assert Latency(median=0.5).draw(Random(0)) == 0.5
    with pytest.raises(ValueError, match="0 or more"):
        Latency(median=-1)


async def ask_at_once(emulator: Emulator, count: int) -> list[bytes]:
    """The status lines of so many calls, all of them on the way at the same time."""
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    port = int(emulator.url.rsplit(":", 1)[1])

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        line = await reader.readline()
        writer.close()
        return line

    return await asyncio.gather(*(ask() for _ in range(count)))


def test_a_thousand_answers_are_in_flight_at_once() -> None:
    """They wait without threads of their own."""
    with Emulator(latency=4.0) as emulator:
        before = threading.active_count()
        threads: list[int] = []
        timer = threading.Timer(3.0, lambda: threads.append(threading.active_count()))
        timer.start()
        lines = asyncio.run(ask_at_once(emulator, 1000))
        timer.join()
        stats = emulator.stats
    assert set(lines) == {b"HTTP/1.1 200 OK\r\n"}
    assert stats.most_in_flight == stats.live["openai"].most_in_flight == 1000
    assert stats.times_asked("x") == 1000
    # The timer's own, and none beside.
    assert threads[0] <= before + 1


def test_large_answers_hold_up_nobody(live_lab: LiveLab) -> None:
    """While two thousand texts are embedded, small calls are answered."""
    texts = [f"text {number}" for number in range(2000)]
    create = live_lab.openai.embeddings.create
    large = threading.Thread(
        target=lambda: create(model="text-embedding-3-large", input=texts, encoding_format="base64")
    )
    large.start()
    slowest, answered = 0.0, 0
    while large.is_alive():
        started = time.monotonic()
        live_lab.chat("x")
        slowest, answered = max(slowest, time.monotonic() - started), answered + 1
    large.join()
    assert answered > 5
    assert slowest < 2
    assert live_lab.emulator.stats.times_asked("text 1999") == 1


def test_calls_of_one_client_are_in_flight_together(make_live_lab: MakeLab) -> None:
    """As many as the asynchronous SDK sends at once."""
    lab = make_live_lab(latency=0.5)

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=lab.emulator.openai_url, api_key="k") as client:
            await asyncio.gather(
                *(client.responses.create(model="gpt-5-mini", input=f"{n}") for n in range(50))
            )

    started = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - started < 10
    assert 25 < lab.emulator.stats.most_in_flight <= 50
    assert lab.emulator.stats.live["openai"].answered == 50


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_client_may_give_up(make_live_lab: MakeLab, vendor: str) -> None:
    """The call is over, but what it executed was executed."""
    lab = make_live_lab(timeout=0.4, latency=30.0)
    with pytest.raises(Exception, match=r"(?i)timed? ?out"):
        lab.ask(vendor, "x")
    until = time.monotonic() + 5
    while lab.emulator.stats.live[vendor].in_flight and time.monotonic() < until:
        time.sleep(0.02)
    live = lab.emulator.stats.live[vendor]
    assert (live.in_flight, live.abandoned, live.answered) == (0, 1, 0)
    assert lab.emulator.stats.times_asked("x") == 1


def test_the_command_has_the_options(make_live_lab: MakeLab, tmp_path: Path) -> None:
    """Latency, limits and faults can be given on the command line."""
    import subprocess

    from ai_batch.emulator import RemoteEmulator

    command: list[Any] = [sys.executable, "-m", "ai_batch.emulator", "--home", tmp_path]
    command += ["--latency", "lognormal:0.3", "--requests-per-minute", '{"gpt-4o-mini": 1}']
    command += ["--fault", '{"route": "messages", "status": 529}']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lab = make_live_lab(RemoteEmulator(process.stdout.readline().split()[-1]))
        started = time.monotonic()
        assert lab.statuses("openai", 2) == [200, 429]
        assert time.monotonic() - started >= 0.3
        assert lab.refused("anthropic").status_code == 529
        process.terminate()
    wrong = subprocess.run(
        [*command[:3], "--fault", '{"routes": "x"}'], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "routes" in wrong.stderr
