"""Lists of batches, page by page, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import pytest

if TYPE_CHECKING:
    from packages.emulator.tests.anthropic.conftest import AnthropicLab


def made(lab: AnthropicLab, count: int) -> list[str]:
    """The ids of new batches, newest first."""
    return [lab.submit(lab.items(1)).id for _ in range(count)][::-1]


def page(lab: AnthropicLab, **query: Any) -> tuple[list[str], bool]:
    """The ids of one page, and whether there are more."""
    found = lab.client.messages.batches.list(**query)
    return [batch.id for batch in found.data], bool(found.has_more)


def test_a_list_is_paged_towards_the_older_batches(lab: AnthropicLab) -> None:
    """The SDK follows after_id by itself, and sees every batch once."""
    ids = made(lab, 7)
    assert page(lab, limit=3) == (ids[:3], True)
    assert page(lab, limit=3, after_id=ids[2]) == (ids[3:6], True)
    assert page(lab, limit=3, after_id=ids[5]) == (ids[6:], False)
    assert page(lab, limit=3, after_id=ids[6]) == ([], False)
    assert [batch.id for batch in lab.client.messages.batches.list(limit=2)] == ids
    first = lab.client.messages.batches.list(limit=3)
    assert (first.first_id, first.last_id) == (ids[0], ids[2])


def test_a_list_is_paged_towards_the_newer_batches(lab: AnthropicLab) -> None:
    """A page before a cursor has the batches next to it, newest first."""
    ids = made(lab, 7)
    assert page(lab, limit=3, before_id=ids[6]) == (ids[3:6], True)
    assert page(lab, limit=3, before_id=ids[3]) == (ids[:3], False)
    assert page(lab, before_id=ids[0]) == ([], False)
    newer = lab.client.messages.batches.list(limit=2, before_id=ids[5])
    assert {batch.id for batch in newer} == set(ids[:5])


def test_a_page_has_twenty_batches_by_default(lab: AnthropicLab) -> None:
    """More are to be had on demand, up to a thousand."""
    ids = made(lab, 21)
    assert page(lab) == (ids[:20], True)
    assert page(lab, limit=1000) == (ids, False)


def test_an_empty_list_has_no_cursors(lab: AnthropicLab) -> None:
    """Both ids are null."""
    assert lab.http.get("/v1/messages/batches").json() == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize("limit", [0, 1001, "many"])
def test_a_limit_out_of_bounds_is_refused(lab: AnthropicLab, limit: Any) -> None:
    """A page has 1 to 1000 batches."""
    with pytest.raises(anthropic.BadRequestError, match=r"limit: Input should be"):
        page(lab, limit=limit)


def test_an_unknown_cursor_is_not_found(lab: AnthropicLab) -> None:
    """The emulator is strict where the vendor's behaviour is not known."""
    (batch_id,) = made(lab, 1)
    lab.emulator.advance(seconds=1)
    lab.client.messages.batches.delete(batch_id)
    for name in ("after_id", "before_id"):
        with pytest.raises(anthropic.NotFoundError):
            page(lab, **{name: batch_id})
