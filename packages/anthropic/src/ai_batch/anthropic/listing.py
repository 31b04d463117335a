"""The batches of a workspace, listed from the newest back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from ai_batch.anthropic.api import AnthropicApi
from ai_batch.core.errors import RemoteNotFound, RequestRefused
from ai_batch.core.messages import JSONObject

__all__ = ["listed", "newest", "pages"]

MAX_PAGES = 100
"""Pages of a thousand: nobody makes so many batches in the month that results are kept."""


async def listed(
    api: AnthropicApi, until: Callable[[JSONObject], bool]
) -> AsyncIterator[JSONObject]:
    """Batches, the newest first, up to the first of which ``until`` holds."""
    async for batches in pages(api):
        for batch in batches:
            if until(batch):
                return
            yield batch


async def pages(api: AnthropicApi) -> AsyncIterator[list[JSONObject]]:
    """All batches, a thousand at a time, the newest first."""
    after: str | None = None
    for _ in range(MAX_PAGES):
        page = await api.batches(after)
        batches: list[JSONObject] = page.get("data") or []
        yield batches
        # A server that repeats itself must not be asked for ever.
        if not batches or page.get("has_more") is False or str(batches[-1].get("id")) == after:
            return
        after = str(batches[-1].get("id"))


async def newest(api: AnthropicApi) -> JSONObject | None:
    """The newest batch, if there is one.

    Raises ``RequestRefused`` where there are no message batches at all: waiting does not help.
    """
    try:
        page = await api.batches(limit=1)
    except RemoteNotFound as error:
        raise RequestRefused(
            f"{error.message}; the server has no message batches at this address: check base_url",
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        ) from None
    batches: list[JSONObject] = page.get("data") or []
    return batches[0] if batches else None
