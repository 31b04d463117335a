"""Single calls of the Developer API's provider, and how a lost batch is found among others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from google import genai

from ai_batch.core import (
    EmbeddingRequest,
    OutcomeUnknown,
    ProviderError,
    ProviderUnavailable,
    RemoteNotFound,
    RequestRefused,
)
from ai_batch.core.provider import Candidate, RemoteState
from ai_batch.emulator import Emulator, Fault, Timing
from ai_batch.gemini.developer import DeveloperProvider

if TYPE_CHECKING:
    from packages.gemini.tests.conftest import MakeSubmission


def foreign(emulator: Emulator, count: int = 3) -> str:
    """A batch of another program with the same key; its name."""
    options: Any = {"base_url": emulator.gemini_url}
    with genai.Client(api_key="AIza-test-key", http_options=options) as client:
        source: Any = [{"contents": f"theirs {n}"} for n in range(count)]
        return str(client.batches.create(model="gemini-2.5-flash", src=source).name)


async def ended(provider: DeveloperProvider, remote_id: str) -> dict[str, str | None]:
    """Wait for a batch; its details."""
    for _ in range(500):
        status = (await provider.poll([remote_id]))[remote_id]
        if status.state is RemoteState.ENDED:
            return dict(status.details)
        await asyncio.sleep(0.02)
    pytest.fail("the batch goes on")


def rows(path: Path) -> list[bytes]:
    """Those of a file of results."""
    return path.read_bytes().splitlines()


async def test_a_batch_from_beginning_to_end(
    developer: DeveloperProvider,
    emulator: Emulator,
    make_submission: MakeSubmission,
    tmp_path: Path,
) -> None:
    """Uploaded, created, polled, fetched as it came, cleaned up; and nothing is marked."""
    ours = make_submission(developer)
    input_id = await developer.upload(ours)
    assert input_id == "files/ai-batch-token"
    assert await developer.mark(ours) is None
    ours = make_submission(developer, input_id=input_id)
    remote_id = await developer.create(ours)
    details = await ended(developer, remote_id)
    status = (await developer.poll([remote_id]))[remote_id]
    assert (status.total, status.completed, status.failed, status.cut) == (3, 3, 0, None)
    output, errors = tmp_path / "output", tmp_path / "errors"
    done = make_submission(developer, input_id=input_id, remote_id=remote_id, details=details)
    await developer.fetch(done, output, errors)
    found = {developer.scan(row, ours.route).wire_id for row in rows(output)}
    assert found == {f"token-{n}" for n in range(3)}
    assert output.stat().st_mode & 0o777 == 0o600
    assert not errors.exists()
    await developer.cleanup(done)
    assert emulator.stats.files_live == 0
    await developer.aclose()


async def test_small_batches_may_travel_inline(
    emulator: Emulator,
    make_developer: Callable[..., DeveloperProvider],
    make_submission: MakeSubmission,
    tmp_path: Path,
) -> None:
    """Their answers are in the batch, with the keys as metadata; nothing is uploaded."""
    developer = make_developer(emulator, inline_bytes=10_000)
    ours = make_submission(developer)
    assert await developer.upload(ours) is None
    await developer.revoke(ours)
    remote_id = await developer.create(ours)
    await ended(developer, remote_id)
    output = tmp_path / "output"
    await developer.fetch(make_submission(developer, remote_id=remote_id), output, output)
    found = {developer.scan(row, ours.route).wire_id for row in rows(output)}
    assert found == {f"token-{n}" for n in range(3)}
    assert output.stat().st_mode & 0o777 == 0o600
    assert emulator.stats.files_uploaded == 0
    await developer.aclose()


async def test_larger_batches_and_embeddings_are_files(
    emulator: Emulator,
    make_developer: Callable[..., DeveloperProvider],
    make_submission: MakeSubmission,
) -> None:
    """Vectors that come inline have no keys at all."""
    developer = make_developer(emulator, inline_bytes=300, embedding_model="gemini-embedding-001")
    assert await developer.upload(make_submission(developer, "large", 10)) is not None
    vectors = [EmbeddingRequest(texts="x")]
    assert await developer.upload(make_submission(developer, "few", requests=vectors)) is not None
    await developer.aclose()


@pytest.mark.parametrize("count", [1, 2])
async def test_inline_answers_may_come_without_keys(
    count: int,
    emulator: Emulator,
    make_developer: Callable[..., DeveloperProvider],
    make_submission: MakeSubmission,
    tmp_path: Path,
) -> None:
    """Seen in the wild: of use for a single request only, and said so for more."""
    developer = make_developer(emulator, inline_bytes=10_000)
    emulator.inject(Fault(route="batches.create", quirk="no_item_metadata"))
    remote_id = await developer.create(make_submission(developer, count=count))
    await ended(developer, remote_id)
    ours = make_submission(developer, count=count, remote_id=remote_id)
    output = tmp_path / "output"
    if count == 1:
        await developer.fetch(ours, output, output)
        assert [developer.scan(row, ours.route).wire_id for row in rows(output)] == ["token-0"]
    else:
        with pytest.raises(RequestRefused, match="leave out inline_bytes"):
            await developer.fetch(ours, output, output)
    await developer.aclose()


async def test_a_batch_without_any_results_has_no_file(
    make_emulator: Callable[..., Emulator],
    make_developer: Callable[..., DeveloperProvider],
    make_submission: MakeSubmission,
    tmp_path: Path,
) -> None:
    """One that was cancelled before anything was done: no rows, and no error."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    developer = make_developer(emulator)
    ours = make_submission(developer)
    ours = make_submission(developer, input_id=await developer.upload(ours))
    remote_id = await developer.create(ours)
    await developer.cancel(remote_id)
    assert await ended(developer, remote_id) == {"output": None}
    output = tmp_path / "output"
    await developer.fetch(make_submission(developer, remote_id=remote_id), output, output)
    assert not output.exists()
    await developer.aclose()


async def test_many_batches_are_polled_by_listing_them(
    developer: DeveloperProvider, emulator: Emulator
) -> None:
    """One call lists a hundred; those that are not there are asked for one by one and left out."""
    names = [foreign(emulator, count) for count in range(1, 7)]
    statuses = await developer.poll([*names, "batches/unknown"])
    assert sorted(statuses) == sorted(names)
    assert [statuses[name].total for name in names] == [1, 2, 3, 4, 5, 6]
    assert emulator.stats.requests["batches.list"] == 1
    assert emulator.stats.requests["batches.get"] == 1
    await developer.aclose()


async def test_pages_are_followed(
    developer: DeveloperProvider, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older batches are on later pages."""
    monkeypatch.setattr("ai_batch.gemini.provider.PAGE", 2)
    names = [foreign(emulator, 1) for _ in range(7)]
    assert len(await developer.poll(names)) == 7
    assert emulator.stats.requests["batches.list"] == 2
    assert emulator.stats.requests["batches.get"] == 3
    await developer.aclose()


async def test_a_server_that_repeats_itself_is_not_asked_for_ever(
    developer: DeveloperProvider, emulator: Emulator
) -> None:
    """A hundred pages are more than there are batches."""
    emulator.inject(
        Fault(route="batches.list", status=200, body={"operations": [], "nextPageToken": "again"})
    )
    assert await developer.poll([f"batches/b{n}" for n in range(5)]) == {}
    assert emulator.stats.requests["batches.list"] == 100
    await developer.aclose()


async def test_a_list_without_a_size_was_seen_to_be_empty(
    developer: DeveloperProvider, emulator: Emulator
) -> None:
    """So one is always given."""
    names = [foreign(emulator, 1) for _ in range(5)]
    emulator.inject(Fault(route="batches.list", quirk="empty_without_page_size"))
    assert len(await developer.poll(names)) == 5
    assert "batches.get" not in emulator.stats.requests
    await developer.aclose()


@pytest.mark.parametrize("route", ["batches.create", "batches.get"])
@pytest.mark.parametrize("body", ["<html>hello</html>", "[1, 2]"])
async def test_an_answer_that_is_no_object_is_none(
    route: str,
    body: str,
    developer: DeveloperProvider,
    emulator: Emulator,
    make_submission: MakeSubmission,
) -> None:
    """HTML from something in between tells nothing, of a create call least of all."""
    emulator.inject(Fault(route=route, status=200, body=body, effect=True))
    if route == "batches.create":
        with pytest.raises(OutcomeUnknown, match="cannot be understood"):
            await developer.create(make_submission(developer, input_id="files/x"))
    else:
        with pytest.raises(ProviderUnavailable, match="cannot be understood"):
            await developer.poll(["batches/x"])
    await developer.aclose()


async def test_cancelling_what_has_ended_is_no_error(
    developer: DeveloperProvider, emulator: Emulator
) -> None:
    """There is nothing left to stop; other refusals are errors."""
    name = foreign(emulator)
    await ended(developer, name)
    for status in (400, 409):
        emulator.inject(Fault(route="batches.cancel", nth=1, status=status))
        await developer.cancel(name)
        emulator.clear_faults()
    emulator.inject(Fault(route="batches.cancel", nth=1, status=403))
    with pytest.raises(ProviderError):
        await developer.cancel(name)
    with pytest.raises(RemoteNotFound):
        await developer.cancel("batches/unknown")
    await developer.aclose()


# -- uploads -----------------------------------------------------------------------------------


async def test_an_upload_has_one_name_however_often_it_is_made(
    developer: DeveloperProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """An upload whose answer was lost is taken as it is."""
    ours = make_submission(developer)
    names = {await developer.upload(ours) for _ in range(2)}
    assert names == {"files/ai-batch-token"}
    assert emulator.stats.files_live == emulator.stats.files_uploaded == 1
    await developer.aclose()


async def test_what_a_cut_upload_left_is_replaced(
    developer: DeveloperProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """A file under our name that is not ours, by its size, must not be executed."""
    await developer.upload(make_submission(developer, count=1))
    ours = make_submission(developer, count=3)
    name = await developer.upload(ours)
    file = await developer._api.get(str(name))
    assert file["sizeBytes"] == str(ours.input_path.stat().st_size)
    assert emulator.stats.files_live == 1
    await developer.aclose()


@pytest.mark.parametrize("route", ["files.upload", "files.upload.chunk"])
async def test_a_failed_upload_may_be_made_again(
    route: str,
    developer: DeveloperProvider,
    emulator: Emulator,
    make_submission: MakeSubmission,
) -> None:
    """A cut is no unknown outcome: an upload costs nothing."""
    ours = make_submission(developer)
    emulator.inject(Fault(route=route, nth=1, cut="before"))
    with pytest.raises(ProviderUnavailable):
        await developer.upload(ours)
    await developer.upload(ours)
    assert emulator.stats.files_live == 1
    await developer.aclose()


async def test_a_revoked_input_is_gone(
    developer: DeveloperProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """A create that comes late then fails; revoking may be repeated."""
    ours = make_submission(developer)
    ours = make_submission(developer, input_id=await developer.upload(ours))
    for _ in range(2):
        await developer.revoke(ours)
    assert emulator.stats.files_live == 0
    with pytest.raises(RemoteNotFound):
        await developer.create(ours)
    assert emulator.stats.items_executed == 0
    await developer.aclose()


# -- results that are not there ----------------------------------------------------------------


async def test_old_results_are_told_from_late_ones(
    developer: DeveloperProvider,
    emulator: Emulator,
    make_submission: MakeSubmission,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Results that are not there yet are waited for; after six weeks there are none to wait for."""
    ours = make_submission(developer)
    ours = make_submission(developer, input_id=await developer.upload(ours))
    remote_id = await developer.create(ours)
    details = await ended(developer, remote_id)
    ours = make_submission(developer, remote_id=remote_id, details=details)
    output = tmp_path / "output"
    emulator.inject(Fault(route="files.content", nth=1, status=404))
    with pytest.raises(RemoteNotFound):
        await developer.fetch(ours, output, output)
    weeks_later = SimpleNamespace(time=lambda: time.time() + 43 * 86400)
    monkeypatch.setattr("ai_batch.gemini.developer.time", weeks_later)
    emulator.advance(hours=43 * 24)
    with pytest.raises(RequestRefused, match="six weeks after the batch was made"):
        await developer.fetch(ours, output, output)
    monkeypatch.undo()
    emulator.inject(Fault(route="batches.get", status=404))
    with pytest.raises(RequestRefused, match="six weeks after the batch was made"):
        await developer.fetch(ours, output, output)
    await developer.aclose()


# -- a create whose answer was lost ------------------------------------------------------------


async def test_a_lost_batch_is_found_among_others(
    developer: DeveloperProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """By its name; it was sent once, with aiohttp installed or not."""
    foreign(emulator)
    ours = make_submission(developer)
    ours = make_submission(developer, input_id=await developer.upload(ours))
    assert await developer.find(ours) == []
    created = emulator.stats.batches_created
    emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    with pytest.raises(OutcomeUnknown, match="the create call was cut"):
        await developer.create(ours)
    assert emulator.stats.batches_created == created + 1
    foreign(emulator)
    [candidate] = await developer.find(ours)
    assert await developer.find(make_submission(developer, "other")) == []
    rejected = frozenset({candidate.remote_id})
    assert await developer.find(make_submission(developer, rejected=rejected)) == []
    await developer.aclose()


async def test_candidates_come_oldest_first(
    developer: DeveloperProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """The first one is adopted, and later ones are strays."""
    ours = make_submission(developer)
    ours = make_submission(developer, input_id=await developer.upload(ours))
    names = [await developer.create(ours)]
    emulator.advance(seconds=5)
    names.append(await developer.create(ours))
    assert await developer.find(ours) == [Candidate(name) for name in names]
    await developer.aclose()


async def test_cleaning_up_stops_strays_but_not_the_batch_itself(
    make_emulator: Callable[..., Emulator],
    make_developer: Callable[..., DeveloperProvider],
    make_submission: MakeSubmission,
) -> None:
    """What runs under a token that was given up is cancelled, and its input deleted."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    developer = make_developer(emulator)
    made: dict[str, str] = {}
    for token in ("old", "new"):
        ours = make_submission(developer, token)
        ours = make_submission(developer, token, input_id=await developer.upload(ours))
        made[token] = await developer.create(ours)
    ours = make_submission(
        developer,
        "new",
        input_id="files/ai-batch-new",
        remote_id=made["new"],
        strays=("old", "new"),
    )
    await developer.cleanup(ours)
    statuses = await developer.poll(list(made.values()))
    assert statuses[made["old"]].cut == "cancelled"
    assert statuses[made["new"]].cut is None
    assert emulator.stats.files_live == 0
    await developer.aclose()
