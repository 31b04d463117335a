"""Lists page by page, and what became of many batches at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_batch.core.errors import OutcomeUnknown, ProviderUnavailable
from ai_batch.core.listing import SINGLES, created_id, entries_of, pages, statuses
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteState, RemoteStatus


class Server:
    """Entries by pages of ``size``; ``more`` says whether ``has_more`` is told."""

    def __init__(self, count: int, size: int, *, more: bool = True, key: str = "data") -> None:
        self.ids = [f"b{number}" for number in range(count)]
        self.size, self.more, self.key = size, more, key
        self.asked: list[str | None] = []
        self.singles: list[str] = []

    async def page(self, after: str | None) -> dict[str, Any]:
        self.asked.append(after)
        start = 0 if after is None else self.ids.index(after) + 1
        found = [{"id": one} for one in self.ids[start : start + self.size]]
        told = {"has_more": start + self.size < len(self.ids)} if self.more else {}
        return {self.key: found, **told}

    def listed(self) -> AsyncIterator[list[dict[str, Any]]]:
        return pages(self.page)

    async def ask(self, batch_id: str) -> RemoteStatus | None:
        self.singles.append(batch_id)
        return read({"id": batch_id}) if batch_id in self.ids else None


def read(batch: dict[str, Any]) -> RemoteStatus:
    """The status of a batch."""
    return RemoteStatus(remote_id=batch["id"], state=RemoteState.RUNNING)


async def ids_of(listed: AsyncIterator[list[dict[str, Any]]]) -> list[str]:
    """The ids of all pages."""
    return [entry["id"] async for entries in listed for entry in entries]


@pytest.mark.parametrize("count", [0, 1, 3, 7])
@pytest.mark.parametrize("more", [True, False])
async def test_every_entry_comes_once(count: int, more: bool) -> None:
    """All pages are asked for, whether or not the server says that there is another."""
    server = Server(count, 3, more=more)
    assert await ids_of(pages(server.page)) == server.ids
    assert server.asked[0] is None
    assert len(server.asked) <= count // 3 + 2


async def test_entries_may_go_by_another_name() -> None:
    """Compatible servers call them otherwise."""
    server = Server(4, 3, key="value")
    assert await ids_of(pages(server.page, ("data", "value"))) == server.ids


async def test_a_server_that_repeats_itself_is_left() -> None:
    """One that does not know the parameter sends its first page for ever."""
    calls: list[str | None] = []

    async def page(after: str | None) -> dict[str, Any]:
        calls.append(after)
        return {"data": [{"id": "b1"}], "has_more": True}

    assert await ids_of(pages(page)) == ["b1", "b1"]
    assert calls == [None, "b1"]


async def test_a_few_batches_are_asked_for_one_by_one() -> None:
    """Nothing is listed for them, and what is not known is left out."""
    server = Server(20, 5)
    found = await statuses(["b1", "b9", "no"], listed=server.listed, read=read, ask=server.ask)
    assert found.keys() == {"b1", "b9"}
    assert server.singles == ["b1", "b9", "no"]
    assert not server.asked


async def test_many_batches_are_listed_until_few_are_left() -> None:
    """Pages are read no further than needed; the last few, and the lost, are asked for."""
    server = Server(100, 10)
    wanted = [f"b{number}" for number in range(12)] + ["b99", "no"]
    found = await statuses(wanted, listed=server.listed, read=read, ask=server.ask)
    assert found.keys() == set(wanted) - {"no"}
    assert len(server.asked) == 1
    assert set(server.singles) == {"b10", "b11", "b99", "no"}
    assert len(server.singles) <= SINGLES


@pytest.mark.parametrize("answer", [{}, {"id": ""}, {"id": None}, {"id": 5}, {"name": "batch_1"}])
def test_an_answer_without_an_id_is_an_unknown_outcome(answer: JSONObject) -> None:
    """The batch may be there: it is looked for, and not created again."""
    with pytest.raises(OutcomeUnknown, match="has no 'id'"):
        created_id(answer)
    assert created_id({"id": "batch_1"}) == "batch_1"


async def test_what_is_no_page_is_no_empty_list() -> None:
    """Else a batch that is there would be taken for one that never came to be."""

    async def page(_: str | None) -> JSONObject:
        return {}

    with pytest.raises(ProviderUnavailable, match="no list"):
        _ = [entries async for entries in pages(page)]
    assert entries_of({"value": [{"id": "a"}], "data": []}, ("data", "value")) == [{"id": "a"}]
    assert entries_of({"data": []}) == []
