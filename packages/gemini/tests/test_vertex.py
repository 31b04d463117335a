"""Single calls of Vertex AI's provider, with its files in Cloud Storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    OutcomeUnknown,
    ProviderUnavailable,
    RemoteNotFound,
)
from ai_batch.core.provider import RemoteState, Submission
from ai_batch.emulator import Emulator, Fault, Timing
from ai_batch.gemini.settings import VERTEX_LIMITS
from ai_batch.gemini.vertex import MAX_PREDICTIONS, VertexProvider

if TYPE_CHECKING:
    from packages.gemini.tests.conftest import MakeSubmission

FOLDER = "gs://my-bucket/batches"
OLDER = "text-embedding-005"


async def end_of(provider: VertexProvider, remote_id: str) -> RemoteState:
    """Wait for a job; how it ends."""
    for _ in range(500):
        status = (await provider.poll([remote_id]))[remote_id]
        if status.state not in {RemoteState.PENDING, RemoteState.RUNNING}:
            return status.state
        await asyncio.sleep(0.02)
    pytest.fail("the job goes on")


async def ended(provider: VertexProvider, remote_id: str) -> dict[str, str | None]:
    """Wait for a job that has results; its details."""
    assert await end_of(provider, remote_id) is RemoteState.ENDED
    return dict((await provider.poll([remote_id]))[remote_id].details)


def left_aside(folder: Path) -> list[str]:
    """Files beside the results that should be gone."""
    return [path.name for path in folder.glob("*.keyless")]


async def fetched(provider: VertexProvider, submission: Submission, folder: Path) -> list[bytes]:
    """The rows of a job's results."""
    output, errors = folder / "output", folder / "errors"
    await provider.fetch(submission, output, errors)
    assert output.stat().st_mode & 0o777 == 0o600
    assert left_aside(folder) == []
    assert not errors.exists()
    return [row for row in output.read_bytes().splitlines() if row]


async def test_a_job_from_beginning_to_end(
    vertex: VertexProvider, emulator: Emulator, make_submission: MakeSubmission, tmp_path: Path
) -> None:
    """Uploaded, created, polled, fetched, cleaned up; nothing is left in the bucket."""
    ours = make_submission(vertex)
    assert await vertex.upload(ours) == f"{FOLDER}/token.jsonl"
    assert await vertex.mark(ours) is None
    ours = make_submission(vertex, input_id=f"{FOLDER}/token.jsonl")
    remote_id = await vertex.create(ours)
    assert remote_id.startswith("projects/")
    details = await ended(vertex, remote_id)
    assert str(details["output"]).startswith(f"{FOLDER}/token/prediction-model-")
    done = make_submission(vertex, input_id=ours.input_id, remote_id=remote_id, details=details)
    rows = await fetched(vertex, done, tmp_path)
    assert {vertex.scan(row, ours.route).wire_id for row in rows} == {
        f"token-{n}" for n in range(3)
    }
    status = (await vertex.poll([remote_id]))[remote_id]
    assert (status.total, status.completed, status.failed) == (3, 3, 0)
    await vertex.cleanup(done)
    assert emulator.stats.files_live == 0
    await vertex.aclose()


async def test_results_are_looked_for_where_they_were_ordered(
    vertex: VertexProvider, make_submission: MakeSubmission, tmp_path: Path
) -> None:
    """A job that does not name its folder has written below the one that it was given."""
    ours = make_submission(vertex)
    ours = make_submission(vertex, input_id=await vertex.upload(ours))
    remote_id = await vertex.create(ours)
    await ended(vertex, remote_id)
    assert len(await fetched(vertex, make_submission(vertex, remote_id=remote_id), tmp_path)) == 3
    await vertex.aclose()


async def test_results_may_be_in_several_files(
    vertex: VertexProvider, emulator: Emulator, make_submission: MakeSubmission, tmp_path: Path
) -> None:
    """Whatever they are called."""
    emulator.inject(Fault(route="batches.create", quirk="several_files"))
    ours = make_submission(vertex, count=20)
    ours = make_submission(vertex, count=20, input_id=await vertex.upload(ours))
    remote_id = await vertex.create(ours)
    details = await ended(vertex, remote_id)
    done = make_submission(vertex, count=20, remote_id=remote_id, details=details)
    rows = await fetched(vertex, done, tmp_path)
    assert len({vertex.scan(row, ours.route).wire_id for row in rows}) == 20
    assert emulator.stats.requests["objects.download"] > 1
    await vertex.aclose()


async def test_rows_of_older_models_get_their_keys_back(
    emulator: Emulator,
    make_vertex: Callable[..., VertexProvider],
    make_submission: MakeSubmission,
    tmp_path: Path,
) -> None:
    """Neither the input nor the results hold any; nothing is left aside on disk."""
    vertex = make_vertex(emulator, embedding_model=OLDER)
    requests = [EmbeddingRequest(texts=f"text {n}") for n in range(3)]
    ours = make_submission(vertex, requests=requests)
    uri = await vertex.upload(ours)
    await vertex._storage.download([str(uri)], tmp_path / "sent")
    assert b"key" not in (tmp_path / "sent").read_bytes()
    ours = make_submission(vertex, requests=requests, input_id=uri)
    remote_id = await vertex.create(ours)
    details = await ended(vertex, remote_id)
    done = make_submission(vertex, requests=requests, remote_id=remote_id, details=details)
    rows = await fetched(vertex, done, tmp_path)
    assert {vertex.scan(row, ours.route).wire_id for row in rows} == {
        f"token-{n}" for n in range(3)
    }
    assert left_aside(tmp_path) == []
    await vertex.aclose()


async def test_a_failure_leaves_nothing_aside(
    emulator: Emulator,
    make_vertex: Callable[..., VertexProvider],
    make_submission: MakeSubmission,
    tmp_path: Path,
) -> None:
    """Files without keys are private texts too, on their way there and back."""
    vertex = make_vertex(emulator, embedding_model=OLDER)
    requests = [EmbeddingRequest(texts="text")]
    emulator.inject(Fault(route="objects.upload", nth=1, status=503))
    with pytest.raises(ProviderUnavailable):
        await vertex.upload(make_submission(vertex, requests=requests))
    assert left_aside(tmp_path) == []
    uri = await vertex.upload(make_submission(vertex, requests=requests))
    remote_id = await vertex.create(make_submission(vertex, requests=requests, input_id=uri))
    await ended(vertex, remote_id)
    done = make_submission(vertex, requests=requests, remote_id=remote_id)
    emulator.inject(Fault(route="objects.download", nth=1, cut_after_bytes=20))
    with pytest.raises(ProviderUnavailable):
        await vertex.fetch(done, tmp_path / "output", tmp_path / "errors")
    assert left_aside(tmp_path) == []
    await vertex.aclose()


async def test_a_lost_job_is_found_by_asking_for_its_name(
    vertex: VertexProvider,
    emulator: Emulator,
    make_submission: MakeSubmission,
    sent: list[httpx2.Request],
) -> None:
    """The list is filtered by the server; it was sent once, with aiohttp installed or not."""
    ours = make_submission(vertex)
    ours = make_submission(vertex, input_id=await vertex.upload(ours))
    emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    with pytest.raises(OutcomeUnknown):
        await vertex.create(ours)
    assert emulator.stats.batches_created == 1
    [candidate] = await vertex.find(ours)
    assert sent[-1].url.params["filter"] == 'display_name="ai-batch-token"'
    assert sent[-1].url.params["pageSize"] == "100"
    assert await vertex.find(make_submission(vertex, "other")) == []
    rejected = frozenset({candidate.remote_id})
    assert await vertex.find(make_submission(vertex, rejected=rejected)) == []
    await vertex.aclose()


async def test_many_jobs_are_polled_by_listing_them(
    vertex: VertexProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """All of the project's, without a filter; unknown ones are asked for and left out."""
    names: list[str] = []
    for n in range(6):
        ours = make_submission(vertex, f"t{n}")
        ours = make_submission(vertex, f"t{n}", input_id=await vertex.upload(ours))
        names.append(await vertex.create(ours))
    unknown = names[0].rpartition("/")[0] + "/999"
    assert sorted(await vertex.poll([*names, unknown])) == sorted(names)
    assert emulator.stats.requests["batches.list"] == 1
    assert emulator.stats.requests["batches.get"] == 1
    await vertex.aclose()


async def test_a_revoked_input_is_gone(
    vertex: VertexProvider, emulator: Emulator, make_submission: MakeSubmission
) -> None:
    """A create that comes late executes nothing; revoking may be repeated."""
    ours = make_submission(vertex)
    await vertex.revoke(ours)
    ours = make_submission(vertex, input_id=await vertex.upload(ours))
    for _ in range(2):
        await vertex.revoke(ours)
    assert emulator.stats.files_live == 0
    remote_id = await vertex.create(ours)
    assert await end_of(vertex, remote_id) is RemoteState.INPUT_LOST
    assert emulator.stats.items_executed == 0
    await vertex.aclose()


async def test_cleaning_up_stops_strays_and_deletes_their_files(
    make_emulator: Callable[..., Emulator],
    make_vertex: Callable[..., VertexProvider],
    make_submission: MakeSubmission,
) -> None:
    """What runs under a token that was given up is cancelled; the job itself is not."""
    emulator = make_emulator(timing=Timing(in_progress=3600))
    vertex = make_vertex(emulator)
    made: dict[str, str] = {}
    for token in ("old", "new"):
        ours = make_submission(vertex, token)
        ours = make_submission(vertex, token, input_id=await vertex.upload(ours))
        made[token] = await vertex.create(ours)
    ours = make_submission(vertex, "new", remote_id=made["new"], strays=("old", "new"))
    for _ in range(2):
        await vertex.cleanup(ours)
    statuses = await vertex.poll(list(made.values()))
    assert statuses[made["old"]].cut == "cancelled"
    assert statuses[made["new"]].cut is None
    assert emulator.stats.files_live == 0
    await vertex.aclose()


async def test_cancelling_what_has_ended_is_no_error(
    vertex: VertexProvider, make_submission: MakeSubmission
) -> None:
    """There is nothing left to stop; a job that nobody knows is an error."""
    ours = make_submission(vertex)
    ours = make_submission(vertex, input_id=await vertex.upload(ours))
    remote_id = await vertex.create(ours)
    await ended(vertex, remote_id)
    await vertex.cancel(remote_id)
    with pytest.raises(RemoteNotFound):
        await vertex.cancel("batchPredictionJobs/999")
    await vertex.aclose()


# -- what the engine asks without calling anybody ----------------------------------------------


def test_older_models_share_a_batch_by_their_options(
    emulator: Emulator, make_vertex: Callable[..., VertexProvider]
) -> None:
    """Their rows are told by their texts, so that a text may not be asked in two ways at once."""
    vertex = make_vertex(emulator, embedding_model=OLDER)
    plain, query, shorter = (
        vertex.route(EmbeddingRequest(texts="x", **options))
        for options in list[dict[str, Any]](
            [{}, {"task": "query"}, {"extra": {"autoTruncate": False}}]
        )
    )
    assert len({plain, query, shorter}) == 3
    assert plain == vertex.route(EmbeddingRequest(texts="y"))
    newer = make_vertex(emulator, embedding_model="gemini-embedding-001")
    routes = [EmbeddingRequest(texts="x"), EmbeddingRequest(texts="x", task="query")]
    assert len(set(map(newer.route, routes))) == 1


def test_limits_are_those_of_the_model(
    emulator: Emulator, make_vertex: Callable[..., VertexProvider]
) -> None:
    """Older models of embeddings take fewer texts."""
    vertex = make_vertex(emulator)
    assert vertex.limits(vertex.route(ChatRequest(messages="x"))) == VERTEX_LIMITS
    older = vertex.route(EmbeddingRequest(texts="x", model=OLDER))
    assert vertex.limits(older).max_requests == MAX_PREDICTIONS
    assert vertex.limits(older).max_inputs == MAX_PREDICTIONS


def test_the_place_is_a_part_of_the_question(
    emulator: Emulator, make_vertex: Callable[..., VertexProvider]
) -> None:
    """Models differ by location; where the files lie does not matter."""
    identity = make_vertex(emulator).identity
    assert (identity["project"], identity["location"]) == ("my-project", "us-central1")
    assert "my-bucket" not in str(identity)
