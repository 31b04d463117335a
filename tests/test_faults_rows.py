"""Result files that are not what they should be: every other request keeps its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.emulator import Fault

if TYPE_CHECKING:
    from tests.conftest import Lab

LOSING = [
    "garbage",
    "missing",
    "status_zero",
    "empty_body",
    "invalid_utf8",
    "lone_surrogate",
    "missing_id",
    "nan",
    "huge_int",
    "deep",
    "truncated_last",
]
HARMLESS = ["duplicate", "foreign", "bom", "crlf"]
UNREADABLE = ["garbage", "missing", "missing_id", "truncated_last"]


@pytest.mark.parametrize("row", [*UNREADABLE, *HARMLESS])
def test_a_row_that_was_damaged_on_the_way_is_fetched_again(lab: Lab, row: Any) -> None:
    """What another download mends is not asked, nor paid for, again."""
    lab.emulator.inject(Fault(route="files.content", nth=1, row=row))
    requests = lab.questions(6)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.executed_twice() == []
    assert lab.emulator.stats.items_executed == 6


@pytest.mark.parametrize("row", HARMLESS)
def test_a_harmless_oddity_may_stay(lab: Lab, row: Any) -> None:
    """Rows that come twice, rows of others, a BOM and Windows line ends do not matter."""
    lab.emulator.inject(Fault(route="files.content", row=row, persistent=True))
    requests = lab.questions(6)
    lab.check(requests, lab.processor().process(requests))
    assert lab.emulator.stats.items_executed == 6


@pytest.mark.parametrize("row", LOSING)
def test_a_row_that_is_lost_for_good_is_asked_again(lab: Lab, row: Any) -> None:
    """A row that the vendor has destroyed is asked again, alone; all others keep their answers."""
    lab.emulator.inject(Fault(route="files.content", nth=1, row=row, persistent=True))
    requests = lab.questions(6)
    results = list(lab.processor().process(requests))
    lab.check(requests, results)
    assert sorted(result.attempts for result in results) == [1, 1, 1, 1, 1, 2]
    assert lab.emulator.stats.items_executed == 7


@pytest.mark.parametrize("row", UNREADABLE)
def test_a_row_that_is_lost_every_time_is_an_error(lab: Lab, row: Any) -> None:
    """After three attempts a request without a row has an error; the others keep their answers."""
    lab.emulator.inject(Fault(route="files.content", row=row, row_index=0, persistent=True))
    requests = lab.questions(4)
    results = list(lab.processor().process(requests))
    failed = [result for result in results if not result.ok]
    assert [result.id for result in results] == [f"q{n}" for n in range(4)]
    assert len(failed) == 1
    assert failed[0].error
    assert failed[0].error.code == "missing_row"
    assert failed[0].error.retryable
    assert failed[0].attempts == 3
    lab.check(requests, results, failed=[failed[0].id])
