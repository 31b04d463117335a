"""Calls through a vendor's SDK: its client for the running loop, and errors of ours only.

Bodies and answers are plain JSON objects, or bytes. What an SDK raises is never chained: its
exceptions hold the API key.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from ai_batch.core.connections import Clients
from ai_batch.core.direct_calls import DirectCalls
from ai_batch.core.errors import AIBatchError
from ai_batch.core.guards import guards
from ai_batch.core.messages import JSONObject

__all__ = ["MANY", "Calls", "direct_calls", "many_connections", "sdk_client", "timeouts"]

CONNECT_SECONDS = 10.0

MANY = 1000
"""Calls that may be in flight at once, each with a connection of its own."""

ClientT = TypeVar("ClientT")

_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Calls(Generic[ClientT]):
    """Makes calls with a client per event loop; one that is not async works in threads.

    ``make`` makes a client, which is closed in the end unless it is the user's own (``own`` is
    False). ``translate`` turns an error and whether the call was a creating one into the error to
    raise.
    """

    def __init__(
        self,
        make: Callable[[], ClientT],
        *,
        own: bool,
        is_async: Callable[[ClientT], bool],
        translate: Callable[[Exception, bool], Exception],
    ) -> None:
        """Nothing is imported or connected before the first call."""
        self._clients: Clients[ClientT] = Clients(make, _close if own else None)
        self._is_async = is_async
        self._translate = translate

    async def run(self, work: Callable[[Any], Any], *, creating: bool = False) -> Any:
        """Run some work with the client."""
        client = await self._clients.here()
        try:
            if self._is_async(client):
                return await cast("Awaitable[object]", work(client))
            return await asyncio.to_thread(work, client)
        except Exception as error:  # noqa: BLE001 - the border: everything is translated
            failure = self._translate(_plain(error), creating)
        raise failure from None

    async def json(self, ask: Callable[[Any], Any], *, creating: bool = False) -> JSONObject:
        """Run a call that gives a raw answer, and read the JSON object in it."""
        response = await self.run(ask, creating=creating)
        try:
            return _OBJECT.decode(response.content)
        except (ValueError, RecursionError) as error:
            failure = self._translate(ValueError(str(error)), creating)
        raise failure from None

    async def aclose(self) -> None:
        """Close the clients that were made here; a client of the user's stays open."""
        await self._clients.aclose()


def _plain(error: Exception) -> Exception:
    """An error of ours that the SDK has taken for one of the connection, else the error."""
    return error.__cause__ if isinstance(error.__cause__, AIBatchError) else error


async def _close(client: Any) -> None:
    closing = client.close()
    if inspect.isawaitable(closing):
        await closing


def timeouts(http: Any, seconds: float, *, pool: float | None) -> Any:
    """Seconds for each part of a call; ``pool`` is for the wait for a free connection.

    ``http`` is the HTTP library of the SDK.
    """
    return http.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds), pool=pool)


def _is_stream(request: Any) -> bool:
    # How both SDKs are asked for an answer that is not read yet.
    return bool(request.headers.get("x-stainless-raw-response") == "stream")


def sdk_client(
    make: Callable[..., ClientT], sdk: Any, http: Any, who: Mapping[str, Any], seconds: float
) -> ClientT:
    """An async client of an SDK, over a guarded HTTP client.

    ``make`` is its class, ``who`` tells it the server (``base_url``) and who asks; ``seconds``
    are for each part of a call.
    """
    timeout = timeouts(http, seconds, pool=seconds)
    hooks = guards(who["base_url"], http, _is_stream)
    client = sdk.DefaultAsyncHttpxClient(timeout=timeout, event_hooks=hooks)
    return make(**who, timeout=timeout, http_client=client)


def direct_calls(
    make: Callable[..., object],
    sdk: Any,
    http: Any,
    who: Mapping[str, Any],
    seconds: float,
    *,
    unwrap: str | None = None,
) -> DirectCalls:
    """The same for many calls at once; ``unwrap`` is the field of an error that the SDK keeps.

    A call may wait for a free connection for as long as it takes: that is no fault of the server.
    """
    timeout = timeouts(http, seconds, pool=None)
    client = many_connections(sdk, http, who["base_url"], timeout)
    made = make(**who, timeout=timeout, http_client=client)
    return DirectCalls(made, client, sdk, http, unwrap=unwrap)


def many_connections(sdk: Any, http: Any, url: str, timeout: Any) -> Any:
    """A guarded HTTP client for an SDK that calls the server ``url``, ``MANY`` times at once.

    Over aiohttp where that is installed: a call then costs half as much.
    """
    limits = http.Limits(max_connections=MANY, max_keepalive_connections=MANY)
    hooks = guards(url, http, _is_stream)
    try:
        return sdk.DefaultAioHttpClient(limits=limits, timeout=timeout, event_hooks=hooks)
    except RuntimeError:
        return sdk.DefaultAsyncHttpxClient(limits=limits, timeout=timeout, event_hooks=hooks)
