"""The batches of a workspace, listed from the newest back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from ai_batch.anthropic.api import AnthropicApi
from ai_batch.core.errors import RemoteNotFound, RequestRefused
from ai_batch.core.listing import entries_of, pages
from ai_batch.core.messages import JSONObject

__all__ = ["listed", "newest"]


async def listed(
    api: AnthropicApi, until: Callable[[JSONObject], bool]
) -> AsyncIterator[JSONObject]:
    """Batches, the newest first, up to the first of which ``until`` holds."""
    async for batches in pages(api.batches):
        for batch in batches:
            if until(batch):
                return
            yield batch


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
    batches = entries_of(page)
    return batches[0] if batches else None
