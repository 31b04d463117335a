"""A provider's single calls, without an engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import OutcomeUnknown, ProviderError, ProviderUnavailable
from ai_batch.core.provider import Provider, RemoteState, Submission
from ai_batch.core.results import ItemError
from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory, needs
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.options import Timing

__all__ = ["CallContract"]

TOKEN = "contracttoken2345"  # noqa: S105 - the token of a submission, no secret
PATIENCE = 10.0


@dataclass
class Bench:
    """A provider and one submission of two requests."""

    lab: Laboratory
    provider: Provider
    submission: Submission

    async def upload(self) -> None:
        """Send the input, and mark where the vendor's list ends."""
        input_id = await self.provider.upload(self.submission)
        self.submission = replace(self.submission, input_id=input_id, intent_at=time.time())
        mark = await self.provider.mark(self.submission)
        self.submission = replace(self.submission, high_water=mark)

    async def create(self) -> str:
        """Create the batch."""
        return await self.provider.create(self.submission)

    async def found(self) -> list[str]:
        """The ids of the batches that came of the submission."""
        return [each.remote_id for each in await self.provider.find(self.submission)]

    async def ended(self, remote_id: str) -> RemoteState:
        """How the batch ends."""
        until = time.monotonic() + PATIENCE
        state = RemoteState.PENDING
        while time.monotonic() < until and state in (RemoteState.PENDING, RemoteState.RUNNING):
            status = (await self.provider.poll([remote_id]))[remote_id]
            state = status.state
            self.submission = replace(self.submission, details=status.details, remote_id=remote_id)
        return state

    async def rows(self, folder: Path) -> list[bytes]:
        """What the vendor gives for the batch, from one file or both."""
        files = folder / "output", folder / "errors"
        await self.provider.fetch(self.submission, *files)
        found = [file.read_bytes() for file in files if file.exists()]
        return [row for rows in found for row in rows.split(b"\n") if row.strip()]


MakeBench = Callable[..., Bench]


class CallContract(WithLaboratory):
    """Upload, create, find, poll, fetch, revoke, cancel and clean up."""

    @pytest.fixture
    def make_bench(self, make_lab: MakeLab, tmp_path: Path) -> MakeBench:
        """Make a bench before an emulator with these options."""

        def make(**options: Any) -> Bench:
            lab = make_lab(**options)
            provider = lab.processor().provider
            requests = lab.requests(2)
            route = provider.route(requests[0])
            path = tmp_path / "0001.input.jsonl"
            lines = [
                provider.encode(each, route, f"{TOKEN}-{n}") for n, each in enumerate(requests)
            ]
            path.write_bytes(b"".join(line + b"\n" for line in lines))
            return Bench(
                lab,
                provider,
                Submission(
                    job_id="job_contract", seq=1, token=TOKEN, route=route, count=2, input_path=path
                ),
            )

        return make

    async def test_a_batch_goes_through_all_its_calls(
        self, make_bench: MakeBench, tmp_path: Path
    ) -> None:
        """Each request's answer comes back under its wire id, and ``scan`` and ``decode`` agree."""
        bench = make_bench()
        await bench.upload()
        assert await bench.ended(await bench.create()) is RemoteState.ENDED
        rows, route = await bench.rows(tmp_path), bench.submission.route
        answers = dict(bench.provider.decode(row, route) for row in rows)
        scans = [bench.provider.scan(row, route) for row in rows]
        assert {scan.wire_id for scan in scans} == set(answers) == {f"{TOKEN}-0", f"{TOKEN}-1"}
        assert not any(isinstance(answer, ItemError) for answer in answers.values())
        assert all(scan.error is None and scan.input_tokens > 0 for scan in scans)
        await bench.provider.aclose()

    async def test_a_batch_is_found_after_an_unknown_outcome(self, make_bench: MakeBench) -> None:
        """A create whose answer was lost is told apart from a failure, and its batch is found."""
        bench = make_bench()
        await bench.upload()
        assert await bench.found() == []
        bench.lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
        with pytest.raises(OutcomeUnknown):
            await bench.create()
        (found,) = await bench.found()
        assert await bench.ended(found) is RemoteState.ENDED
        bench.submission = replace(bench.submission, rejected=frozenset({found}))
        assert await bench.found() == []
        await bench.provider.aclose()

    @pytest.mark.parametrize("status", [500, 502, 504])
    async def test_a_create_is_one_attempt(self, make_bench: MakeBench, status: int) -> None:
        """Neither the provider nor its SDK repeats a create by itself."""
        bench = make_bench()
        await bench.upload()
        bench.lab.emulator.inject(Fault(route="batches.create", nth=1, status=status))
        with pytest.raises(OutcomeUnknown):
            await bench.create()
        assert bench.lab.emulator.stats.creates_attempted == 1
        await bench.provider.aclose()

    @pytest.mark.parametrize("cut", ["before", "after"])
    async def test_a_cut_create_is_one_attempt(self, make_bench: MakeBench, cut: Any) -> None:
        """A connection that breaks is not mended behind the engine's back."""
        bench = make_bench()
        await bench.upload()
        bench.lab.emulator.inject(Fault(route="batches.create", nth=1, cut=cut))
        with pytest.raises(OutcomeUnknown):
            await bench.create()
        assert bench.lab.emulator.stats.creates_attempted == 1
        await bench.provider.aclose()

    @needs("upload")
    async def test_a_failed_upload_is_no_unknown_outcome(self, make_bench: MakeBench) -> None:
        """Uploads cost nothing: one that failed may simply be repeated, by an SDK too."""
        bench = make_bench()
        bench.lab.emulator.inject(Fault(route="*.upload*", nth=1, cut="after"))
        with contextlib.suppress(ProviderUnavailable):
            await bench.upload()
        await bench.upload()
        await bench.provider.cleanup(replace(bench.submission, strays=(TOKEN,)))
        assert bench.lab.emulator.stats.files_live == 0
        await bench.provider.aclose()

    @needs("fence")
    async def test_a_revoked_input_fences_a_late_create(self, make_bench: MakeBench) -> None:
        """A create that reaches the vendor after the revoke executes nothing."""
        bench = make_bench()
        await bench.upload()
        await bench.provider.revoke(bench.submission)
        try:
            late = await bench.create()
        except ProviderError:
            pass  # refused at once
        else:
            assert await bench.ended(late) in (RemoteState.REFUSED, RemoteState.INPUT_LOST)
        assert bench.lab.emulator.stats.items_executed == 0
        await bench.provider.aclose()

    async def test_calls_may_be_repeated(self, make_bench: MakeBench) -> None:
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
        await bench.provider.aclose()

    async def test_a_batch_that_nobody_knows_is_left_out(self, make_bench: MakeBench) -> None:
        """Of two batches that are polled, the vendor knows one."""
        bench = make_bench()
        await bench.upload()
        remote_id = await bench.create()
        unknown = remote_id[:-4] + ("aaaa" if not remote_id[-4:].isdigit() else "9999")
        assert set(await bench.provider.poll([remote_id, unknown])) == {remote_id}
        await bench.provider.aclose()

    @needs("strays")
    async def test_a_stray_batch_is_cancelled(self, make_bench: MakeBench) -> None:
        """What runs under a token that was given up is stopped when the shard is cleaned up."""
        bench = make_bench(timing=Timing(in_progress=3600))
        await bench.upload()
        await bench.create()
        gone = replace(bench.submission, token=f"new{TOKEN}", remote_id="x", strays=(TOKEN,))
        await bench.provider.cleanup(gone)
        states = bench.lab.emulator.stats.batches_by_status
        assert all("cancel" in state.lower() for state in states)
        if "upload" in self.subject.features:
            assert bench.lab.emulator.stats.files_deleted >= 1
        await bench.provider.aclose()

    def test_requests_of_two_models_never_share_a_batch(self, lab: Laboratory) -> None:
        """One model per batch."""
        provider = lab.processor().provider
        one = lab.requests(1)[0]
        other = one.model_copy(update={"model": "another-model"})
        assert provider.route(one) != provider.route(other)
        assert provider.route(one) == provider.route(one)
