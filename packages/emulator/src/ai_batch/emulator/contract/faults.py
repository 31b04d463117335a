"""Cut connections, failing servers, damaged rows: each request still has one result."""

from __future__ import annotations

from typing import Any

import pytest

from ai_batch.core import AuthenticationFailed
from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.laboratory_fixtures import MakeLab, WithLaboratory, needs
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.options import Timing

__all__ = ["FaultContract"]


def routes_of_a_job(lab: Laboratory) -> list[str]:
    """Every call that a plain job makes."""
    requests = lab.requests(2, word="the first")
    lab.check(requests, lab.processor(shard=1).process(requests))
    return list(lab.emulator.stats.requests)


class FaultContract(WithLaboratory):
    """Nothing is lost and nothing paid for twice, whatever goes wrong."""

    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_every_call_may_be_cut(self, lab: Laboratory, cut: Any) -> None:
        """A connection that breaks before or after the effect, at each call in turn."""
        routes = routes_of_a_job(lab)
        assert "batches.create" in routes
        for route in routes:
            lab.emulator.inject(Fault(route=route, nth=1, cut=cut))
            requests = lab.requests(5, word=f"{route} {cut}")
            created = lab.emulator.stats.batches_created
            lab.check(requests, lab.processor(shard=2).process(requests))
            assert lab.emulator.stats.batches_created == created + 3, route
        assert lab.emulator.stats.executed_twice() == []

    @pytest.mark.parametrize(
        ("status", "effect"), [(429, False), (500, False), (500, True), (503, False), (503, True)]
    )
    def test_every_call_may_fail_for_a_while(
        self, lab: Laboratory, status: int, *, effect: bool
    ) -> None:
        """A burst of errors, the call carried out or not, at each call in turn."""
        for route in routes_of_a_job(lab):
            lab.emulator.inject(Fault(route=route, times=2, status=status, effect=effect))
            requests = lab.requests(4, word=f"{route} {status}")
            lab.check(requests, lab.processor(shard=2).process(requests))
        assert lab.emulator.stats.executed_twice() == []

    def test_a_key_may_be_revoked_on_the_way(self, lab: Laboratory) -> None:
        """Whichever call is refused first, the job is kept, and the same call continues it."""
        for route in routes_of_a_job(lab):
            lab.emulator.inject(Fault(route=route, nth=1, status=401))
            requests = lab.requests(3, word=f"{route}")
            processor = lab.processor()
            try:
                response = processor.process(requests)
            except AuthenticationFailed:
                response = processor.process(requests)
            lab.check(requests, response)
        assert lab.emulator.stats.executed_twice() == []

    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_a_search_may_be_cut(self, lab: Laboratory, cut: Any) -> None:
        """Looking for a batch of unknown outcome fails at first, and then finds it."""
        lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
        lab.emulator.inject(Fault(route="batches.list", every=2, times=3, cut=cut))
        requests = lab.requests(3)
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.batches_created == 1

    def test_a_list_may_lag_behind(self, lab: Laboratory) -> None:
        """A batch of unknown outcome that the list shows only later is adopted, not made again."""
        lab.emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
        lab.emulator.inject(Fault(route="batches.list", hide_seconds=0.2))
        requests = lab.requests(3)
        processor = lab.processor(settle_wait=1.0 * lab.clock.speed)
        lab.check(requests, processor.process(requests))
        assert lab.emulator.stats.batches_created == 1

    def test_a_batch_may_not_be_found_at_first(self, lab: Laboratory) -> None:
        """A 404 right after the create is no reason to create again."""
        lab.emulator.inject(Fault(route="batches.get", not_found_seconds=0.2))
        requests = lab.requests(3)
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.batches_created == 1

    def test_an_unknown_status_is_one_on_the_way(self, lab: Laboratory) -> None:
        """A status that nobody has heard of does not end the job."""
        lab.emulator.inject(Fault(route="batches.get", times=3, quirk="unknown_status"))
        requests = lab.requests(3)
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.requests["batches.get"] >= 4

    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_a_cancel_may_be_cut(self, make_lab: MakeLab, cut: Any) -> None:
        """A cancel whose answer was lost is sent again until the batch has stopped."""
        lab = make_lab(timing=Timing(in_progress=3600))
        lab.emulator.inject(Fault(route="batches.cancel", nth=1, cut=cut))
        requests = lab.requests(4)
        response = lab.processor().submit(requests).cancel()
        lab.check(requests, response, failed=[f"q{n}" for n in range(4)])

    @pytest.mark.parametrize("close_delimited", [False, True], ids=["length", "close"])
    @pytest.mark.parametrize("at", [1, 300, 900, 1500])
    def test_a_download_may_be_truncated(
        self, lab: Laboratory, at: int, *, close_delimited: bool
    ) -> None:
        """Results cut at any byte are downloaded again, also where the cut raises no error."""
        route = lab.subject.results
        lab.emulator.inject(
            Fault(route=route, nth=1, cut_after_bytes=at, close_delimited=close_delimited)
        )
        requests = lab.requests(12)
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.executed_twice() == []

    @pytest.mark.parametrize("row", ["garbage", "missing", "truncated_last"])
    def test_a_row_that_was_damaged_on_the_way_is_fetched_again(
        self, lab: Laboratory, row: Any
    ) -> None:
        """What another download mends is not asked, nor paid for, again."""
        lab.emulator.inject(Fault(route=lab.subject.results, nth=1, row=row))
        requests = lab.requests(6)
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.items_executed == 6

    @pytest.mark.parametrize("row", ["duplicate", "foreign", "crlf"])
    def test_a_harmless_oddity_may_stay(self, lab: Laboratory, row: Any) -> None:
        """Rows that come twice, rows of others, and Windows line ends do not matter."""
        lab.emulator.inject(Fault(route=lab.subject.results, row=row, persistent=True))
        requests = lab.requests(6)
        lab.check(requests, lab.processor().process(requests))
        assert lab.emulator.stats.items_executed == 6

    @pytest.mark.parametrize("row", ["garbage", "missing", "truncated_last"])
    def test_a_row_that_is_lost_for_good_is_asked_again(self, lab: Laboratory, row: Any) -> None:
        """A row that the vendor has destroyed is asked again, alone; the others keep theirs."""
        lab.emulator.inject(Fault(route=lab.subject.results, nth=1, row=row, persistent=True))
        requests = lab.requests(6)
        results = list(lab.processor().process(requests))
        lab.check(requests, results)
        assert sorted(result.attempts for result in results) == [1, 1, 1, 1, 1, 2]
        assert lab.emulator.stats.items_executed == 7

    @needs("upload")
    @pytest.mark.parametrize("at", [1, 2000])
    def test_an_upload_may_break_off(self, lab: Laboratory, at: int) -> None:
        """An upload cut at any byte leaves no file behind, and goes again."""
        lab.emulator.inject(Fault(route="*.upload*", nth=1, cut_after_bytes=at))
        requests = lab.requests(100)
        lab.check(requests, lab.processor().process(requests))
