"""Single calls of the provider, and how a lost batch is found among others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from ai_batch.anthropic.batches import created_at
from ai_batch.anthropic.provider import AnthropicProvider
from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    OutcomeUnknown,
    ProviderUnavailable,
    RemoteNotFound,
    RequestRefused,
)
from ai_batch.core.provider import Candidate, RemoteState, Route, Submission
from ai_batch.emulator import Emulator, Fault, Timing

if TYPE_CHECKING:
    from packages.anthropic.tests.conftest import MakeProcessor

ROUTE = Route("chat", "/v1/messages", "claude-haiku-4-5", "2026-10-21")


@pytest.fixture
def submission(provider: AnthropicProvider, tmp_path: Path) -> Callable[..., Submission]:
    """Make a submission with its input on disk."""

    def make(token: str = "token", count: int = 3, **changes: Any) -> Submission:
        path = tmp_path / f"{token}.jsonl"
        requests = [ChatRequest(messages=f"{token} {n}") for n in range(count)]
        lines = [
            provider.encode(request, ROUTE, f"{token}-{n}") for n, request in enumerate(requests)
        ]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return Submission(
            job_id="job",
            seq=1,
            token=token,
            route=ROUTE,
            count=count,
            input_path=path,
            **changes,
        )

    return make


def foreign(emulator: Emulator, count: int = 3) -> str:
    """A batch of another program with the same key; its id."""
    with anthropic.Anthropic(api_key="sk-ant-other", base_url=emulator.anthropic_url) as client:
        requests: Any = [
            {
                "custom_id": f"their-{n}",
                "params": {
                    "model": "claude-haiku-4-5",
                    "max_tokens": 10,
                    "messages": [{"role": "user", "content": f"theirs {n}"}],
                },
            }
            for n in range(count)
        ]
        return client.messages.batches.create(requests=requests).id


async def ended(provider: AnthropicProvider, batch_id: str) -> None:
    """Wait for a batch."""
    for _ in range(500):
        if (await provider.poll([batch_id]))[batch_id].state is RemoteState.ENDED:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the batch goes on")


async def test_a_batch_from_beginning_to_end(
    provider: AnthropicProvider, submission: Callable[..., Submission], tmp_path: Path
) -> None:
    """Created, polled, fetched as it came; nothing is uploaded and nothing left to clean up."""
    ours = submission()
    assert await provider.upload(ours) is None
    remote_id = await provider.create(ours)
    await ended(provider, remote_id)
    status = (await provider.poll([remote_id]))[remote_id]
    assert (status.completed, status.failed, status.rows, status.cut) == (3, 0, 3, None)
    output, errors = tmp_path / "output", tmp_path / "errors"
    await provider.fetch(submission(remote_id=remote_id), output, errors)
    found = {provider.scan(row, ROUTE).wire_id for row in output.read_bytes().splitlines()}
    assert found == {f"token-{n}" for n in range(3)}
    assert output.stat().st_mode & 0o777 == 0o600
    assert not errors.exists()
    await provider.revoke(ours)
    await provider.cleanup(ours)
    await provider.aclose()


async def test_many_batches_are_polled_by_listing_them(
    provider: AnthropicProvider, emulator: Emulator
) -> None:
    """One call lists a thousand; those that are not there are asked for one by one and left out."""
    ids = [foreign(emulator, count) for count in range(1, 7)]
    statuses = await provider.poll([*ids, "msgbatch_unknown"])
    assert sorted(statuses) == sorted(ids)
    assert [statuses[batch_id].total for batch_id in ids] == [1, 2, 3, 4, 5, 6]
    assert emulator.stats.requests["batches.list"] == 1
    assert emulator.stats.requests["batches.get"] == 1


async def test_pages_are_followed(
    provider: AnthropicProvider, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older batches are on later pages."""
    ids = [foreign(emulator, 1) for _ in range(7)]
    batches = provider._api.batches

    async def two(after: str | None = None, limit: int = 1000) -> dict[str, Any]:
        return await batches(after, min(limit, 2))

    monkeypatch.setattr(provider._api, "batches", two)
    assert len(await provider.poll(ids)) == 7
    assert emulator.stats.requests["batches.list"] == 2
    assert emulator.stats.requests["batches.get"] == 3


async def test_a_server_that_repeats_itself_is_not_asked_for_ever(
    provider: AnthropicProvider, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that ends where the one before did is the last."""
    batch_id = foreign(emulator, 1)
    calls: list[str | None] = []

    async def stuck(after: str | None = None, limit: int = 1000) -> dict[str, Any]:
        calls.append(after)
        return {"data": [{"id": batch_id, "created_at": None}], "has_more": True, "limit": limit}

    monkeypatch.setattr(provider._api, "batches", stuck)
    assert list(await provider.poll([batch_id, *"abcdefg"])) == [batch_id]
    assert calls == [None, batch_id]


@pytest.mark.parametrize("route", ["batches.create", "batches.list"])
async def test_an_answer_that_is_no_json_is_none(
    route: str,
    provider: AnthropicProvider,
    emulator: Emulator,
    submission: Callable[..., Submission],
) -> None:
    """HTML from something in between tells nothing, of a create call least of all."""
    emulator.inject(Fault(route=route, status=200, body="<html>hello</html>", effect=True))
    if route == "batches.create":
        with pytest.raises(OutcomeUnknown, match="cannot be understood"):
            await provider.create(submission())
    else:
        with pytest.raises(ProviderUnavailable, match="cannot be understood"):
            await provider.mark(submission())


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [({}, 4096), ({"max_tokens": 10}, 10), ({"extra": {"max_tokens": 20}}, 20)],
)
def test_the_longest_answer_is_known(
    provider: AnthropicProvider, fields: dict[str, Any], tokens: int
) -> None:
    """Estimates of the cost rest on it."""
    assert provider.max_output_tokens(ChatRequest(messages="x", **fields)) == tokens


def test_an_embedding_never_becomes_a_chat_request(provider: AnthropicProvider) -> None:
    """``check`` refuses it, and so does everything after."""
    request = EmbeddingRequest(texts="x")
    for method in (provider.route, provider.max_output_tokens):
        with pytest.raises(TypeError, match="no embeddings API"):
            method(request)


async def test_cancelling_what_has_ended_is_no_error(
    provider: AnthropicProvider, emulator: Emulator
) -> None:
    """The vendor refuses it, and there is nothing left to stop; other refusals are errors."""
    batch_id = foreign(emulator)
    await ended(provider, batch_id)
    await provider.cancel(batch_id)
    with pytest.raises(RemoteNotFound):
        await provider.cancel("msgbatch_unknown")


async def test_cancelling_may_fail(
    make_emulator: Callable[..., Emulator], make_provider: Callable[..., AnthropicProvider]
) -> None:
    """A refusal while the batch still runs is told."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    emulator.inject(Fault(route="batches.cancel", status=400, nth=1))
    provider, batch_id = make_provider(emulator), foreign(emulator)
    with pytest.raises(RequestRefused):
        await provider.cancel(batch_id)
    await provider.cancel(batch_id)


async def test_archived_results_are_told_from_late_ones(
    provider: AnthropicProvider,
    emulator: Emulator,
    submission: Callable[..., Submission],
    tmp_path: Path,
) -> None:
    """Results that are not there yet are waited for; after 29 days there is nothing to wait for."""
    remote_id = await provider.create(submission())
    await ended(provider, remote_id)
    ours = submission(remote_id=remote_id)
    emulator.inject(Fault(route="batches.results", not_found_seconds=60, nth=1))
    with pytest.raises(RemoteNotFound):
        await provider.fetch(ours, tmp_path / "output", tmp_path / "errors")
    emulator.advance(hours=30 * 24)
    with pytest.raises(RequestRefused, match="29 days after the batch was made"):
        await provider.fetch(ours, tmp_path / "output", tmp_path / "errors")


# -- a create whose answer was lost ----------------------------------------------------------


async def lost(
    provider: AnthropicProvider, emulator: Emulator, make: Callable[..., Submission]
) -> Submission:
    """Create a batch and lose the answer; the submission as the ledger has it."""
    mark = await provider.mark(make())
    emulator.inject(Fault(route="batches.create", cut="after", nth=1))
    with pytest.raises(OutcomeUnknown):
        await provider.create(make())
    emulator.clear_faults()
    return make(high_water=mark, intent_at=0.0)


async def newest_id(provider: AnthropicProvider) -> str:
    """The id of the newest batch."""
    return str((await provider._api.batches())["data"][0]["id"])


async def test_a_batch_that_has_ended_shows_whose_it_is(
    provider: AnthropicProvider, emulator: Emulator, submission: Callable[..., Submission]
) -> None:
    """Among others of the same size, older and newer ones."""
    foreign(emulator)
    ours = await lost(provider, emulator, submission)
    remote_id = await newest_id(provider)
    theirs = [foreign(emulator), foreign(emulator, 4)]
    for batch_id in (remote_id, *theirs):
        await ended(provider, batch_id)
    assert await provider.find(ours) == [Candidate(remote_id)]
    other = submission(token="other", high_water=ours.high_water)
    assert await provider.find(other) == []


async def test_a_batch_under_way_is_a_suspicion(
    make_emulator: Callable[..., Emulator],
    make_provider: Callable[..., AnthropicProvider],
    submission: Callable[..., Submission],
) -> None:
    """Whose it is shows only at its end; the oldest that it may be comes first."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    provider = make_provider(emulator)
    foreign(emulator)
    ours = await lost(provider, emulator, submission)
    remote_id = await newest_id(provider)
    theirs = foreign(emulator)
    foreign(emulator, 5)
    assert await provider.find(ours) == [
        Candidate(remote_id, certain=False),
        Candidate(theirs, certain=False),
    ]
    rejected = submission(high_water=ours.high_water, rejected=frozenset({remote_id}))
    assert await provider.find(rejected) == [Candidate(theirs, certain=False)]


async def test_rows_that_are_not_there_yet_leave_a_suspicion(
    provider: AnthropicProvider, emulator: Emulator, submission: Callable[..., Submission]
) -> None:
    """Results may be late; nothing is concluded from that."""
    ours = await lost(provider, emulator, submission)
    remote_id = await newest_id(provider)
    await ended(provider, remote_id)
    emulator.inject(Fault(route="batches.results", not_found_seconds=60, nth=1))
    assert await provider.find(ours) == [Candidate(remote_id, certain=False)]
    emulator.inject(Fault(route="batches.results", row="garbage", row_index=0, nth=1))
    assert await provider.find(ours) == [Candidate(remote_id, certain=False)]
    assert await provider.find(ours) == [Candidate(remote_id)]


async def test_the_marked_batch_may_be_gone(
    provider: AnthropicProvider, emulator: Emulator, submission: Callable[..., Submission]
) -> None:
    """Then the server's own times say which batches are newer."""
    foreign(emulator)
    emulator.advance(seconds=60)
    marked = foreign(emulator)
    await ended(provider, marked)
    ours = await lost(provider, emulator, submission)
    remote_id = await newest_id(provider)
    await ended(provider, remote_id)
    with anthropic.Anthropic(api_key="sk-ant-other", base_url=emulator.anthropic_url) as client:
        client.messages.batches.delete(marked)
    assert await provider.find(ours) == [Candidate(remote_id)]
    # The oldest one was not looked at.
    assert emulator.stats.requests["batches.results"] == 1


async def test_the_first_batch_of_a_workspace_is_found(
    provider: AnthropicProvider, emulator: Emulator, submission: Callable[..., Submission]
) -> None:
    """Where there was none, every batch is newer."""
    ours = await lost(provider, emulator, submission)
    remote_id = await newest_id(provider)
    await ended(provider, remote_id)
    assert await provider.find(ours) == [Candidate(remote_id)]


async def test_without_a_mark_the_time_decides(
    provider: AnthropicProvider, emulator: Emulator, submission: Callable[..., Submission]
) -> None:
    """With some patience for the clocks."""
    ours = await lost(provider, emulator, submission)
    remote_id = await newest_id(provider)
    await ended(provider, remote_id)
    batch = await provider._api.batch(remote_id)
    made = created_at(batch) or 0.0
    near, far = submission(intent_at=made + 60), submission(intent_at=made + 3600)
    assert ours.high_water is not None
    assert await provider.find(near) == [Candidate(remote_id)]
    assert await provider.find(far) == []


@pytest.mark.parametrize("under_way", [True, False])
def test_a_lost_batch_is_found_beside_another_programs(
    under_way: bool,
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
) -> None:
    """Whatever was mistaken for ours at first: each request is answered once, and paid once."""
    emulator = make_emulator(timing=Timing(in_progress=0.5 if under_way else 0.0))
    processor = make_processor(emulator, settle_wait=30.0)
    emulator.inject(Fault(route="batches.create", cut="after", nth=1))
    emulator.inject(Fault(route="batches.list", hide_seconds=0.3))
    job = processor.submit([f"m{n}" for n in range(3)])
    theirs = foreign(emulator)
    assert [result.chat and result.chat.content for result in job.join()] == ["m0", "m1", "m2"]
    assert emulator.stats.batches_created == 2, theirs
    assert emulator.stats.billed_twice() == []
