"""Lists of a vendor's batches and files, page by page, and what became of many batches at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from ai_batch.core.errors import OutcomeUnknown, ProviderUnavailable
from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import RemoteStatus

__all__ = ["created_id", "entries_of", "pages", "statuses"]

MAX_PAGES = 100

SINGLES = 4
"""Up to so many batches are asked for one by one; more of them by listing."""


async def pages(
    page: Callable[[str | None], Awaitable[JSONObject]], keys: Sequence[str] = ("data",)
) -> AsyncIterator[list[JSONObject]]:
    """The entries of a list, page by page; ``page`` gets the one after an entry's id.

    ``keys`` are the names that the entries may go by. A server that repeats itself is not asked
    for ever.
    """
    after: str | None = None
    for _ in range(MAX_PAGES):
        found = await page(after)
        entries = entries_of(found, keys)
        yield entries
        last = str(entries[-1].get("id")) if entries else None
        if last is None or found.get("has_more") is False or last == after:
            return
        after = last


def entries_of(page: JSONObject, keys: Sequence[str] = ("data",)) -> list[JSONObject]:
    """The entries of one page of a list.

    Raises ``ProviderUnavailable`` for what is no page at all: to take that for an empty list
    would be to take a batch that exists for one that was never created.
    """
    if not any(key in page for key in keys):
        raise ProviderUnavailable(f"the server's answer is no list: it has no {keys[0]!r}")
    entries: list[JSONObject] = []
    for key in keys:
        entries = entries or page.get(key) or []
    return entries


def created_id(batch: JSONObject, key: str = "id") -> str:
    """The id of a batch that was just created.

    Raises ``OutcomeUnknown`` for an answer without one: the batch may be there all the same.
    """
    found = batch.get(key)
    if not isinstance(found, str) or not found:
        raise OutcomeUnknown(f"the answer to a create call has no {key!r}")
    return found


async def statuses(
    remote_ids: Sequence[str],
    *,
    listed: Callable[[], AsyncIterator[list[JSONObject]]],
    read: Callable[[JSONObject], RemoteStatus],
    ask: Callable[[str], Awaitable[RemoteStatus | None]],
) -> dict[str, RemoteStatus]:
    """What became of the batches: a few are asked for one by one, many are listed first.

    ``ask`` gives None for a batch that the vendor does not know; those are left out.
    """
    wanted = set(remote_ids)
    found: dict[str, RemoteStatus] = {}
    if len(wanted) > SINGLES:
        async for batches in listed():
            known = map(read, batches)
            found |= {one.remote_id: one for one in known if one.remote_id in wanted}
            wanted -= found.keys()
            if len(wanted) <= SINGLES:
                break
    singles = await asyncio.gather(*map(ask, sorted(wanted)))
    return found | {one.remote_id: one for one in singles if one is not None}
