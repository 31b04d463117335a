"""Calls through a client that stands in for a vendor's SDK."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from ai_batch.core import ProviderUnavailable
from ai_batch.core.connections import fingerprint
from ai_batch.core.vendor_calls import MANY, Calls, many_connections, timeouts


class Client:
    """An SDK's client, async or not."""

    def __init__(self, *, is_async: bool = True) -> None:
        self.is_async = is_async
        self.closed = 0
        self.threads: list[int] = []

    def ask(self, content: bytes) -> Any:
        self.threads.append(threading.get_ident())
        answer = SimpleNamespace(content=content)
        return asyncio.sleep(0, answer) if self.is_async else answer

    def close(self) -> Any:
        self.closed += 1
        return asyncio.sleep(0) if self.is_async else None


def translated(error: Exception, creating: bool) -> Exception:
    """The error of a vendor's package."""
    return ProviderUnavailable(f"{type(error).__name__} {creating}")


def calls(client: Client, *, own: bool = True) -> Calls[Client]:
    """Calls with this client."""
    return Calls(lambda: client, own=own, is_async=lambda one: one.is_async, translate=translated)


@pytest.mark.parametrize("is_async", [True, False])
async def test_either_kind_of_client_answers(is_async: bool) -> None:
    """A client that is not async works in a thread, so that the loop goes on."""
    client = Client(is_async=is_async)
    several = calls(client)
    assert await several.json(lambda one: one.ask(b'{"a":1}')) == {"a": 1}
    assert (client.threads == [threading.get_ident()]) is is_async
    await several.aclose()
    assert client.closed == 1


async def test_a_users_own_client_stays_open() -> None:
    """Only what was made here is closed here."""
    client = Client()
    several = calls(client, own=False)
    await several.run(lambda one: one.ask(b""))
    await several.aclose()
    assert client.closed == 0


@pytest.mark.parametrize("creating", [True, False])
@pytest.mark.parametrize("content", [b"<html>", b"[]", b"1", b"[" * 100_000])
async def test_an_answer_that_is_no_object_is_an_error(content: bytes, creating: bool) -> None:
    """What a proxy sends instead is translated as what was raised, and nothing is chained."""
    with pytest.raises(ProviderUnavailable, match=f"ValueError {creating}") as raised:
        await calls(Client()).json(lambda one: one.ask(content), creating=creating)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


async def test_what_is_raised_is_translated() -> None:
    """An SDK's exception holds the key: nothing of it is left."""

    def fail(_: object) -> object:
        raise OSError("sk-secret")

    with pytest.raises(ProviderUnavailable, match="OSError True") as raised:
        await calls(Client()).run(fail, creating=True)
    assert raised.value.__context__ is None


class Sdk:
    """The HTTP clients that an SDK offers."""

    def __init__(self, *, extra: bool) -> None:
        self._extra = extra

    def DefaultAioHttpClient(self, **given: Any) -> Any:  # noqa: N802 - the SDKs' name
        if not self._extra:
            raise RuntimeError("install the extra")
        return "aiohttp", given

    def DefaultAsyncHttpxClient(self, **given: Any) -> Any:  # noqa: N802 - the SDKs' name
        return "httpx2", given


@pytest.mark.parametrize(("extra", "expected"), [(True, "aiohttp"), (False, "httpx2")])
def test_connections_for_many_calls(extra: bool, expected: str) -> None:
    """There is room for all calls, over aiohttp unless the SDK says that it is missing."""
    name, given = many_connections(Sdk(extra=extra), httpx2, "http://h", "t")
    assert (name, given["timeout"]) == (expected, "t")
    assert given["limits"].max_connections == given["limits"].max_keepalive_connections == MANY


@pytest.mark.parametrize(("seconds", "connect"), [(60.0, 10.0), (2.0, 2.0)])
def test_connecting_takes_less_than_answering(seconds: float, connect: float) -> None:
    """A server that is not there is known soon."""
    found = timeouts(httpx2, seconds, pool=None)
    assert found == httpx2.Timeout(seconds, connect=connect, pool=None)


def test_fingerprints_tell_accounts_apart() -> None:
    """Key, tenant and headers each make another account, and none of them shows."""
    several = [
        fingerprint("key"),
        fingerprint("other"),
        fingerprint(None),
        fingerprint("key", "project"),
        fingerprint("key", headers={"x-team": "1"}),
        fingerprint("key", headers={"x-team": "2"}),
    ]
    assert len(set(several)) == len(several)
    assert all(len(one) == 12 and "key" not in one for one in several)
    assert fingerprint("key", None, headers={"b": "1", "a": "2"}) == fingerprint(
        "key", None, headers={"a": "2", "b": "1"}
    )
