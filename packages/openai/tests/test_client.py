"""Whose client is used, against which server, and with which headers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from ai_batch.core import ChatRequest, UsageError
from ai_batch.emulator import Emulator, Fault
from ai_batch.openai import OpenAIProcessor
from ai_batch.openai.client import ClientSettings

if TYPE_CHECKING:
    from packages.openai.tests.conftest import MakeProcessor

MESSAGES = [f"question {n}" for n in range(3)]


@contextmanager
def seen_headers(monkeypatch: pytest.MonkeyPatch) -> Generator[list[httpx2.Headers]]:
    """The headers of every request that the SDK sends."""
    seen: list[httpx2.Headers] = []
    original = httpx2.AsyncHTTPTransport.handle_async_request

    async def handle(
        transport: httpx2.AsyncHTTPTransport, request: httpx2.Request
    ) -> httpx2.Response:
        seen.append(request.headers)
        return await original(transport, request)

    with monkeypatch.context() as patch:
        patch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
        yield seen


def test_a_users_sync_client_is_used_and_left_open(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """``client=`` may be a plain ``OpenAI``; it is still open afterwards."""
    with openai.OpenAI(api_key="sk-own", base_url=emulator.openai_url) as client:
        processor = make_processor(emulator, client=client)
        assert processor.process(MESSAGES).completed == 3
        processor.close()
        assert client.max_retries == 2
        assert len(client.batches.list().data) == 1


async def test_a_users_async_client_is_used_and_left_open(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """``client=`` may be an ``AsyncOpenAI`` of the running loop; its retries stay its own."""
    async with openai.AsyncOpenAI(api_key="sk-own", base_url=emulator.openai_url) as client:
        processor = make_processor(emulator, client=client)
        assert (await processor.aprocess(MESSAGES)).completed == 3
        await asyncio.to_thread(processor.close)
        assert len((await client.batches.list()).data) == 1


def test_a_users_client_is_not_retried_either(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The retries of a user's own client would pay twice: they are off for our calls."""
    emulator.inject(Fault(route="batches.create", nth=1, status=500, effect=True))
    with openai.OpenAI(api_key="sk-own", base_url=emulator.openai_url) as client:
        assert make_processor(emulator, client=client).process(MESSAGES).completed == 3
    assert emulator.stats.creates_attempted == 1
    assert emulator.stats.batches_created == 1


@pytest.mark.parametrize("spoil", ["empty", "null", "empty_object", "html"])
def test_a_create_that_is_answered_without_an_id_is_looked_for(
    emulator: Emulator, make_processor: MakeProcessor, spoil: Any
) -> None:
    """The batch may be there all the same: nothing is sent again before it is found."""
    emulator.inject(Fault(route="batches.create", nth=1, spoil=spoil))
    assert make_processor(emulator).process(MESSAGES).completed == 3
    assert emulator.stats.creates_attempted == 1


def test_azure_is_a_base_url(
    emulator: Emulator, make_processor: MakeProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's v1 API is reached by its URL, and by a header of its own for the key."""
    with seen_headers(monkeypatch) as headers:
        processor = make_processor(
            emulator,
            base_url=f"{emulator.openai_url}/",
            extra_headers={"api-key": "azure-key", "x-team": "search"},
            model="my-deployment",
        )
        assert processor.process(MESSAGES).completed == 3
    assert headers
    assert {header["api-key"] for header in headers} == {"azure-key"}
    assert {header["x-team"] for header in headers} == {"search"}


def test_the_environment_names_key_and_server(
    emulator: Emulator, make_processor: MakeProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options the SDK's own variables hold."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", emulator.openai_url)
    with seen_headers(monkeypatch) as headers:
        processor = make_processor(emulator, api_key=None, base_url=None)
        assert processor.process(MESSAGES).completed == 3
    assert {header["authorization"] for header in headers} == {"Bearer sk-of-the-environment"}


def test_a_server_of_ones_own_needs_no_key(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Local servers often want no key."""
    processor = make_processor(emulator, api_key=None)
    assert processor.process(MESSAGES).completed == 3


@pytest.mark.parametrize("option", ["api_key", "base_url", "extra_headers"])
def test_a_client_brings_its_own(option: str, emulator: Emulator) -> None:
    """A client and what only we would use for making one exclude each other."""
    values: dict[str, object] = {
        "api_key": "k",
        "base_url": "http://x",
        "extra_headers": {"a": "b"},
    }
    with (
        openai.OpenAI(api_key="sk-own", base_url=emulator.openai_url) as client,
        pytest.raises(UsageError, match="client= brings its own key, URL and headers"),
    ):
        OpenAIProcessor(client=client, **{option: values[option]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "is_openai"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1/", True),
        ("https://resource.openai.azure.com/openai/v1/", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_openai_itself_is_told_apart(url: str | None, *, is_openai: bool) -> None:
    """Prices, and whether a key is needed, depend on whose server it is."""
    assert ClientSettings(base_url=url).is_openai is is_openai


def test_a_new_key_continues_the_job(emulator: Emulator, make_processor: MakeProcessor) -> None:
    """The same requests under another key are the same job: keys get replaced."""
    first = make_processor(emulator, api_key="sk-key-one").submit([ChatRequest(messages="x")])
    second = make_processor(emulator, api_key="sk-key-two").submit([ChatRequest(messages="x")])
    assert first.id == second.id
    assert first.join().completed == 1
    assert emulator.stats.items_executed == 1


def test_many_processors_share_a_home(
    emulator: Emulator, make_processor: Callable[..., OpenAIProcessor]
) -> None:
    """Different jobs in one home do not meet."""
    jobs = [
        make_processor(emulator).submit([f"processor {number}, question {n}" for n in range(2)])
        for number in range(3)
    ]
    contents = [[result.chat and result.chat.content for result in job.join()] for job in jobs]
    assert contents == [
        [f"processor {number}, question {n}" for n in range(2)] for number in range(3)
    ]


async def test_a_create_that_was_cut_over_aiohttp_is_looked_for(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The SDK calls it a timeout while connecting, and yet the batch is there: it is found."""
    emulator.inject(Fault(route="batches.create", nth=1, cut="after"))
    http = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(
        api_key="sk-own", base_url=emulator.openai_url, http_client=http
    ) as client:
        processor = make_processor(emulator, client=client)
        assert (await processor.aprocess(MESSAGES)).completed == 3
        await asyncio.to_thread(processor.close)
    assert emulator.stats.creates_attempted == 1
    assert emulator.stats.batches_created == 1
