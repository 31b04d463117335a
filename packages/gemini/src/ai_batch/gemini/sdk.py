"""All that is used of the SDK beside its public names; a test says so when a release changes it.

The SDK's own ``batches`` calls can't be used: on the Developer API they drop a batch's error and
its counts (googleapis/python-genai#2367), on both they raise for details of errors and for keys
that they do not expect, and they hide the answer's bytes. What is used instead is what they call
themselves, so that addresses, headers, credentials and the user's own client stay the SDK's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.genai import Client

    from ai_batch.core.messages import JSONObject

__all__ = ["http_options", "inner", "one_attempt", "raw_call"]


def inner(client: Client) -> Any:
    """The part that makes calls, and knows project, location and key."""
    return client._api_client  # noqa: SLF001 - nowhere else are the bare answers to be had


def http_options(client: Client) -> Any:
    """What the client was made with."""
    return inner(client)._http_options  # noqa: SLF001 - the base URL is nowhere else


def one_attempt(timeout: float) -> Any:
    """Options for a call that is sent once at most; ``timeout`` is in seconds.

    Where aiohttp is installed, the SDK sends a call that was cut a second time, unless it is told
    how often to try.
    """
    from google.genai import types

    retry = types.HttpRetryOptions(attempts=1)
    return types.HttpOptions(timeout=int(timeout * 1000), retry_options=retry)


async def raw_call(
    client: Client, method: str, path: str, body: JSONObject | None, timeout: float
) -> str:
    """The body of an answer with status 200; raises the SDK's errors for all others."""
    options = one_attempt(timeout)
    answer = await inner(client).async_request(method, path, dict(body or {}), options)
    return str(answer.body or "")
