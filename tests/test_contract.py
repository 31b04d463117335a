"""What every provider has to be able to do, whatever its vendor's API looks like."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.core import BatchFailed, ChatRequest, OutcomeUnknown, ProviderUnavailable
from ai_batch.core.provider import Provider, RemoteState, Route, Submission
from ai_batch.emulator import Emulator, Fault, Timing
from ai_batch.openai.client import ClientSettings
from ai_batch.openai.provider import OpenAIProvider
from ai_batch.openai.settings import OpenAISettings

if TYPE_CHECKING:
    from tests.conftest import Lab

MODEL = "gpt-4o-mini"
TOKEN = "contracttoken2345"


@dataclass(frozen=True)
class Vendor:
    """A provider's processor, and what its vendor's emulated routes are called."""

    name: str
    provider: Callable[[Lab], Provider]
    upload: str
    create: str
    fetch: str

    def processor(self, lab: Lab, **options: Any) -> Any:
        """A processor of this provider before the laboratory's emulator."""
        return lab.processor(**options)


def openai_provider(lab: Lab) -> Provider:
    """The OpenAI provider before the laboratory's emulator."""
    connection = ClientSettings(api_key="sk-contract", base_url=lab.emulator.openai_url)
    return OpenAIProvider(OpenAISettings(connection=connection, model=MODEL))


OPENAI = Vendor("openai", openai_provider, "files.upload", "batches.create", "files.content")


@pytest.fixture(params=[OPENAI], ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """Each provider in turn."""
    found: Vendor = request.param
    return found


@dataclass
class Bench:
    """A provider and one submission, without an engine."""

    lab: Lab
    provider: Provider
    submission: Submission

    async def upload(self) -> None:
        """Send the input."""
        input_id = await self.provider.upload(self.submission)
        self.submission = replace(self.submission, input_id=input_id, intent_at=time.time())

    async def create(self) -> str:
        """Create the batch."""
        return await self.provider.create(self.submission)

    async def found(self) -> list[str]:
        """The ids of the batches that came of the submission."""
        return [each.remote_id for each in await self.provider.find(self.submission)]

    async def ended(self, remote_id: str, patience: float = 10.0) -> RemoteState:
        """How the batch ends."""
        until = time.monotonic() + patience
        state = RemoteState.PENDING
        while time.monotonic() < until and state in (RemoteState.PENDING, RemoteState.RUNNING):
            status = (await self.provider.poll([remote_id]))[remote_id]
            state = status.state
            self.submission = replace(self.submission, details=status.details, remote_id=remote_id)
        return state


@pytest.fixture
def make_bench(
    vendor: Vendor, make_lab: Callable[..., Lab], tmp_path: Path
) -> Callable[..., Bench]:
    """Make a bench with two requests, before an emulator with these options."""

    def make(**options: Any) -> Bench:
        lab = make_lab(**options)
        provider = vendor.provider(lab)
        request = lab.questions(1)[0]
        route = provider.route(request)
        path = tmp_path / "0001.input.jsonl"
        lines = [
            provider.encode(request, route, f"{TOKEN}-{n}")
            for n, request in enumerate(lab.questions(2))
        ]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        submission = Submission(
            job_id="job_contract", seq=1, token=TOKEN, route=route, count=2, input_path=path
        )
        return Bench(lab, provider, submission)

    return make


# -- single calls ----------------------------------------------------------------------------


async def test_a_batch_goes_through_all_its_calls(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    """Upload, create, poll, fetch and decode give each request's answer back under its wire id."""
    bench = make_bench()
    await bench.upload()
    assert await bench.ended(await bench.create()) is RemoteState.ENDED
    output, errors = tmp_path / "output", tmp_path / "errors"
    await bench.provider.fetch(bench.submission, output, errors)
    rows = output.read_bytes().splitlines()
    answers = dict(bench.provider.decode(row, bench.submission.route) for row in rows)
    scanned = {bench.provider.scan(row, bench.submission.route).wire_id for row in rows}
    assert scanned == set(answers) == {f"{TOKEN}-0", f"{TOKEN}-1"}
    assert getattr(answers[f"{TOKEN}-1"], "content", None) == "question 1"
    assert not errors.exists()
    await bench.provider.aclose()


async def test_a_batch_is_found_after_an_unknown_outcome(
    vendor: Vendor, make_bench: Callable[..., Bench]
) -> None:
    """A create whose answer was lost is told apart from a failure, and its batch is found."""
    bench = make_bench()
    await bench.upload()
    assert await bench.found() == []
    bench.lab.emulator.inject(Fault(route=vendor.create, nth=1, cut="after"))
    with pytest.raises(OutcomeUnknown):
        await bench.create()
    (found,) = await bench.found()
    assert await bench.ended(found) is RemoteState.ENDED
    bench.submission = replace(bench.submission, rejected=frozenset({found}))
    assert await bench.found() == []
    await bench.provider.aclose()


async def test_a_create_is_one_attempt(vendor: Vendor, make_bench: Callable[..., Bench]) -> None:
    """Neither the provider nor its SDK repeats a create by itself."""
    bench = make_bench()
    await bench.upload()
    bench.lab.emulator.inject(Fault(route=vendor.create, nth=1, status=503))
    with pytest.raises(OutcomeUnknown):
        await bench.create()
    assert bench.lab.emulator.stats.creates_attempted == 1
    await bench.provider.aclose()


async def test_a_failed_upload_is_no_unknown_outcome(
    vendor: Vendor, make_bench: Callable[..., Bench]
) -> None:
    """Uploads cost nothing: one that failed may simply be repeated."""
    bench = make_bench()
    bench.lab.emulator.inject(Fault(route=vendor.upload, nth=1, cut="after"))
    with pytest.raises(ProviderUnavailable):
        await bench.upload()
    await bench.upload()
    await bench.provider.cleanup(replace(bench.submission, strays=(TOKEN,)))
    assert bench.lab.emulator.stats.files_live == 0
    await bench.provider.aclose()


async def test_a_revoked_input_fences_a_late_create(make_bench: Callable[..., Bench]) -> None:
    """A create that reaches the vendor after the revoke executes nothing."""
    bench = make_bench()
    await bench.upload()
    await bench.provider.revoke(bench.submission)
    late = await bench.create()
    assert await bench.ended(late) in (RemoteState.REFUSED, RemoteState.INPUT_LOST)
    assert bench.lab.emulator.stats.items_executed == 0
    await bench.provider.aclose()


async def test_calls_may_be_repeated(make_bench: Callable[..., Bench]) -> None:
    """Revoking, cancelling and cleaning up what is gone or has ended is no error."""
    bench = make_bench()
    await bench.upload()
    remote_id = await bench.create()
    await bench.ended(remote_id)
    for _ in range(2):
        await bench.provider.revoke(bench.submission)
        await bench.provider.cancel(remote_id)
        await bench.provider.cleanup(bench.submission)
    assert bench.lab.emulator.stats.files_live == 0
    assert await bench.provider.poll(["batch_of_nobody"]) == {}
    await bench.provider.aclose()


async def test_a_stray_batch_is_cancelled(make_bench: Callable[..., Bench]) -> None:
    """What runs under a token that was given up is stopped when the shard is cleaned up."""
    bench = make_bench(timing=Timing(in_progress=3600))
    await bench.upload()
    await bench.create()
    gone = replace(bench.submission, token="newtoken", remote_id="batch_x", strays=(TOKEN,))
    await bench.provider.cleanup(gone)
    assert set(bench.lab.emulator.stats.batches_by_status) <= {"cancelling", "cancelled"}
    assert bench.lab.emulator.stats.files_deleted == 1
    await bench.provider.aclose()


# -- whole jobs ------------------------------------------------------------------------------


def test_a_job_is_submitted_polled_and_collected(vendor: Vendor, lab: Lab) -> None:
    """Several batches, results in order, and nothing left at the vendor."""
    requests = lab.questions(7)
    processor = vendor.processor(lab, shard=3)
    response = processor.process(requests)
    lab.check(requests, response)
    assert (response.completed, response.failed, response.total) == (7, 0, 7)
    assert response.usage.input_tokens > 0
    assert processor.jobs()[0].provider == vendor.name


def test_a_job_can_be_cancelled(vendor: Vendor, make_lab: Callable[..., Lab]) -> None:
    """What was answered by then is kept, the rest has an error."""
    lab = make_lab(timing=Timing(in_progress=1000))
    requests = lab.questions(8)
    job = vendor.processor(lab).submit(requests)
    lab.emulator.advance(seconds=500)
    results = list(job.cancel())
    failed = [result.id for result in results if not result.ok]
    assert 0 < len(failed) < 8
    lab.check(requests, results, failed=failed)


def test_an_expired_batch_is_continued(
    vendor: Vendor, make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """What was not executed in time goes again, and only that."""
    home = tmp_path / "server"
    slow = Emulator(home=home, timing=Timing(in_progress=36 * 3600))
    with slow:
        lab = make_lab(slow)
        requests = lab.questions(6)
        job = vendor.processor(lab).submit(requests)
        slow.advance(hours=25)
    with Emulator(home=home, port=int(slow.url.rpartition(":")[2])) as quick:
        lab.emulator = quick
        results = list(job.join())
        lab.check(requests, results)
        assert quick.stats.executed_twice() == []
    assert sorted(result.attempts for result in results) == [1, 1, 1, 1, 2, 2]


def test_a_job_may_fail_in_part(vendor: Vendor, lab: Lab) -> None:
    """A request that the vendor refuses is an error value beside the others' answers."""
    requests = lab.questions(4)
    requests[2] = ChatRequest(id="q2", messages="question 2", extra={"temperature": 7})
    response = vendor.processor(lab).process(requests)
    lab.check(requests, response, failed=["q2"])
    assert response[2].error
    assert response[2].error.status == 400
    assert response[2].error.request_id


def test_a_job_may_fail_as_a_whole(vendor: Vendor, lab: Lab) -> None:
    """A model that does not exist is an exception that holds the job."""
    with pytest.raises(BatchFailed) as caught:
        vendor.processor(lab, model="no-such-model").process(lab.questions(2))
    assert len(list(caught.value.job.results())) == 2
    assert lab.emulator.stats.files_live == 0


def test_a_job_is_resumed_by_another_processor(
    vendor: Vendor, make_lab: Callable[..., Lab]
) -> None:
    """A second processor on the same home continues what the first one began."""
    lab = make_lab(timing=Timing(in_progress=3600))
    requests = lab.questions(5)
    first = vendor.processor(lab, shard=2).submit(requests)
    first.detach()
    lab.emulator.advance(hours=1)
    second = vendor.processor(lab, shard=2)
    assert [job.id for job in second.jobs()] == [first.id]
    lab.check(requests, second.process(requests))
    assert lab.emulator.stats.batches_created == 3


def test_files_stay_where_they_are_wanted(vendor: Vendor, lab: Lab) -> None:
    """``cleanup=False`` deletes nothing at the vendor."""
    requests = lab.questions(2)
    response = vendor.processor(lab, cleanup=False).process(requests)
    lab.check(requests, response, files=2)
    assert lab.emulator.stats.files_deleted == 0


def test_a_route_is_one_model_and_endpoint(vendor: Vendor, lab: Lab) -> None:
    """Requests of two models never share a batch."""
    provider = vendor.provider(lab)
    one, two = (ChatRequest(messages="x", model=model) for model in (MODEL, "gpt-4o"))
    assert provider.route(one) != provider.route(two)
    assert provider.route(one) == Route("chat", provider.route(one).endpoint, MODEL)
