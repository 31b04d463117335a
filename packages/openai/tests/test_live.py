"""One request at a time, answered at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    Document,
    EmbeddingRequest,
    Message,
    ProviderError,
    ProviderUnavailable,
    QuotaExhausted,
    RateLimited,
    RequestRefused,
    Tool,
    UsageError,
)
from ai_batch.core.clients import DescribedClient
from ai_batch.emulator import Emulator, Fault
from ai_batch.openai import OpenAIChat, OpenAIEmbedder

if TYPE_CHECKING:
    from packages.openai.tests.conftest import MakeProcessor

ENDPOINTS = ("/v1/chat/completions", "/v1/responses")


class Capital(BaseModel):
    city: str
    people: int


def lookup(city: str) -> str:
    """Look a city up."""
    return city


REQUESTS = [
    ChatRequest(id="plain", messages="What is the capital of France?"),
    ChatRequest(id="own model", messages="hello", model="gpt-5-mini", reasoning_effort="low"),
    ChatRequest(id="limits", messages="hello", max_tokens=3, temperature=0.5, top_p=0.5),
    ChatRequest(
        id="tools", messages="look", tools=[Tool.from_function(lookup)], tool_choice="required"
    ),
    ChatRequest(id="typed", messages="a capital", output_type=Capital),
    ChatRequest(id="extra", messages="hello", extra={"service_tier": "flex"}),
]


@asynccontextmanager
async def chat(emulator: Emulator, **options: Any) -> AsyncGenerator[OpenAIChat]:
    """A chat client before an emulator."""
    given: dict[str, Any] = {"model": "gpt-4o-mini", "api_key": "sk-test-key"}
    given |= {"base_url": emulator.openai_url, **options}
    client = OpenAIChat(**given)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def embedder(emulator: Emulator, **options: Any) -> AsyncGenerator[OpenAIEmbedder]:
    """An embedder before an emulator."""
    given: dict[str, Any] = {"model": "text-embedding-3-small", "api_key": "sk-test-key"}
    given |= {"base_url": emulator.openai_url, **options}
    client = OpenAIEmbedder(**given)
    try:
        yield client
    finally:
        await client.aclose()


async def failure(client: OpenAIChat, request: ChatRequest | None = None) -> ProviderError:
    """The error that a question ends with."""
    with pytest.raises(ProviderError) as raised:
        await client.chat(request or ChatRequest(messages="hello"))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_answer_is_the_same_live_and_from_a_batch(
    emulator: Emulator, make_processor: MakeProcessor, endpoint: str
) -> None:
    """The same request gives the same answer by either way, typed ones and tools included."""
    requests = [one for one in REQUESTS if endpoint == ENDPOINTS[0] or one.id != "limits"]
    processor = make_processor(emulator, endpoint=endpoint)
    batch = {one.id: one for one in await asyncio.to_thread(processor.process, requests)}
    async with chat(emulator, endpoint=endpoint) as client:
        live = {one.id: await client.chat(one) for one in requests}

    volatile = {"response_id", "body"}
    for name, answer in live.items():
        found = batch[name or ""].chat
        assert found is not None
        assert answer.model_dump(exclude=volatile) == found.model_dump(exclude=volatile), name
        assert answer.raw.keys() == found.raw.keys()
    assert isinstance(live["typed"].parsed, Capital)


async def test_vectors_are_the_same_live_and_from_a_batch(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The same texts have the same vectors by either way, in their order."""
    request = EmbeddingRequest(id="e", texts=["one", "two", "three"], dimensions=16)
    processor = make_processor(emulator, embedding_model="text-embedding-3-small")
    [batch] = (await asyncio.to_thread(processor.process, [request])).results
    async with embedder(emulator) as client:
        live = await client.embed(request)
    assert batch.embedding is not None
    assert live.vectors == batch.embedding.vectors
    assert (live.count, live.dimensions, live.usage) == (3, 16, batch.embedding.usage)


async def test_an_error_has_the_words_of_the_vendor(emulator: Emulator) -> None:
    """Code, message and status are the vendor's own, as in the row of a batch."""
    request = ChatRequest(id="bad", messages="hello", model="no-such-model")
    async with chat(emulator) as client:
        found = await failure(client, request)
    assert isinstance(found, RequestRefused)
    assert (found.status, found.code) == (404, "model_not_found")
    assert found.message.startswith("The model 'no-such-model' does not exist")
    assert found.request_id


async def test_the_clients_describe_themselves(emulator: Emulator) -> None:
    """Model, identity, prices and checks are there for the runner; the key is not."""
    async with chat(emulator, max_tokens=5) as client, embedder(emulator) as other:
        described: list[DescribedClient] = [client, other]
        assert all(isinstance(one, DescribedClient) for one in described)
        assert [one.model for one in described] == ["gpt-4o-mini", "text-embedding-3-small"]
        assert client.identity["max_tokens"] == "5"
        assert client.identity["base_url"] == emulator.openai_url
        assert not any("sk-test" in repr((one.identity, one)) for one in described)
        answer = await client.chat(ChatRequest(messages="hello"))
        assert client.cost("gpt-4o-mini", answer.usage)
        assert client.cost("nobody-knows", answer.usage) is None
        assert [problem.message for problem in client.check(EmbeddingRequest(texts=["x"]))] == [
            "this client only answers chats, found EmbeddingRequest"
        ]
        assert other.check(ChatRequest(messages="x"))
        assert not other.check(EmbeddingRequest(texts=["x"]))


async def test_what_cannot_be_done_is_not_sent(emulator: Emulator, tmp_path: Path) -> None:
    """All faults of a request are told together, with its id, and nothing was asked for."""
    bad = ChatRequest(id="x", messages="hi", temperature=7.0, max_tokens=0, extra={"stream": True})
    missing = Document(path=tmp_path / "no.pdf")
    async with chat(emulator) as client:
        with pytest.raises(UsageError) as raised:
            await client.chat(bad)
        with pytest.raises(UsageError, match=r"cannot be read"):
            await client.chat(ChatRequest(messages=[Message(role="user", parts=[missing])]))
    assert {problem.field for problem in raised.value.problems} == {
        "temperature",
        "max_tokens",
        "extra.stream",
    }
    assert {problem.id for problem in raised.value.problems} == {"x"}
    async with embedder(emulator) as other:
        with pytest.raises(UsageError, match="empty text"):
            await other.embed(EmbeddingRequest(texts=[""]))
    assert emulator.stats.items_executed == 0


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": {"message": "no", "code": "bad", "type": "t"}}, RequestRefused, "bad"),
        (400, {"error": {"message": "no", "type": "typed"}}, RequestRefused, "typed"),
        (401, {"error": {"message": "no", "code": "key"}}, AuthenticationFailed, "key"),
        (403, {"error": {"message": "no"}}, AuthenticationFailed, "http_403"),
        (404, {"detail": "no"}, RequestRefused, "http_404"),
        (408, {"error": {"message": "no", "code": "c"}}, ProviderUnavailable, "c"),
        (429, {"error": {"message": "no", "code": "c"}}, RateLimited, "c"),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, QuotaExhausted, None),
        (400, {"error": {"message": "no", "code": "billing_not_active"}}, QuotaExhausted, None),
        (500, {"error": {"message": "no", "code": "c"}}, ProviderUnavailable, "c"),
        (503, "<html>no</html>", ProviderUnavailable, "http_503"),
    ],
)
async def test_a_status_becomes_one_of_our_errors(
    emulator: Emulator, status: int, body: Any, kind: type[ProviderError], code: str | None
) -> None:
    """The kind says what to do next, the fields are the server's, and it was asked once."""
    headers = {"retry-after": "7", "x-request-id": "req_7"}
    emulator.inject(Fault(route="chat.completions", status=status, body=body, headers=headers))
    async with chat(emulator) as client:
        found = await failure(client)
    assert type(found) is kind
    assert found.status == status
    assert found.code == (code or body["error"]["code"])
    assert found.retry_after == 7.0
    assert "no" in found.message
    assert "Error code" not in found.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
async def test_how_long_to_wait_is_read(
    emulator: Emulator, headers: dict[str, str], seconds: float | None
) -> None:
    """Milliseconds win over seconds; nonsense is nothing."""
    emulator.inject(Fault(route="chat.completions", status=429, headers=headers))
    async with chat(emulator) as client:
        assert (await failure(client)).retry_after == seconds


async def counted(handler: Callable[[int], bytes | None]) -> tuple[asyncio.Server, list[bytes]]:
    """A server that answers each call with bytes of a function's, or cuts it; and the calls."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                seen.append(head + await reader.readexactly(size))
                reply = handler(len(seen))
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0), seen


def url_of(server: asyncio.Server) -> str:
    """Where a server listens."""
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def http(body: bytes, status: str = "200 OK") -> bytes:
    """An answer of a server."""
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


ANSWER = b'{"id":"c","model":"m","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"<html>busy</html>", ProviderUnavailable, "invalid_response"),
        (b"{}", ProviderUnavailable, "invalid_response"),
        (b'{"choices":[]}', ProviderUnavailable, "invalid_response"),
        (b'{"error":{"message":"slow down","code":429}}', RateLimited, "http_429"),
        (b'{"error":{"message":"no","code":"content_filter"}}', RequestRefused, "content_filter"),
        (b'{"error":{"message":"no","code":"insufficient_quota"}}', QuotaExhausted, None),
    ],
)
async def test_an_error_that_comes_as_a_success_is_an_error(
    body: bytes, kind: type[ProviderError], code: str | None
) -> None:
    """Some servers say 200 and mean another thing; what they say in words decides."""
    server, _ = await counted(lambda _: http(body))
    client = OpenAIChat(model="m", base_url=url_of(server))
    async with server:
        found = await failure(client)
        await client.aclose()
    assert type(found) is kind
    assert found.code == (code or "insufficient_quota")


async def test_too_few_vectors_are_no_answer() -> None:
    """Vectors that can't be matched to their texts are not handed out."""
    body = b'{"model":"m","data":[{"index":0,"embedding":[0.5,1.0]}]}'
    server, _ = await counted(lambda _: http(body))
    client = OpenAIEmbedder(model="m", base_url=url_of(server))
    async with server:
        assert (await client.embed(EmbeddingRequest(texts="one"))).vectors == [[0.5, 1.0]]
        with pytest.raises(ProviderUnavailable, match="1 vectors came for 2 texts"):
            await client.embed(EmbeddingRequest(texts=["one", "two"]))
        await client.aclose()


async def test_a_compatible_server_needs_no_key_and_knows_max_tokens() -> None:
    """Another server gets its own headers, no key of ours, and the older name of the limit."""
    server, seen = await counted(lambda _: http(ANSWER))
    client = OpenAIChat(
        model="llama", base_url=url_of(server), max_tokens=9, extra_headers={"x-own": "1"}
    )
    async with server:
        await client.chat(ChatRequest(messages="hello"))
        await client.aclose()
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert b"bearer none" in head.lower()
    assert b"x-own: 1" in head.lower()
    assert (
        body == b'{"model":"llama","messages":[{"role":"user","content":"hello"}],"max_tokens":9}'
    )


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key may come from the environment; without one it is said at once."""
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        OpenAIChat(model="gpt-5-mini")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    assert OpenAIChat(model="gpt-5-mini").model == "gpt-5-mini"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": ""}, "no model"),
        ({"model": "m", "endpoint": "/v1/completions"}, "endpoint must be"),
        ({"model": "m", "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "timeout": -1}, "timeout"),
        ({"model": "m", "client": openai.AsyncOpenAI(api_key="k"), "api_key": "x"}, "either or"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    """A wrong option is told when the client is made."""
    with pytest.raises(UsageError, match=words):
        OpenAIChat(**options)


async def test_a_users_own_client_is_used_and_left_open(emulator: Emulator) -> None:
    """``client=`` may be async or not; its retries are not used, and it is not closed."""
    emulator.inject(Fault(route="chat.completions", nth=2, status=500))
    emulator.inject(Fault(route="chat.completions", nth=4, status=500))
    url = emulator.openai_url
    async with openai.AsyncOpenAI(api_key="sk-own", base_url=url) as own:
        with openai.OpenAI(api_key="sk-own", base_url=url) as plain:
            for one in (own, plain):
                client = OpenAIChat(model="gpt-4o-mini", client=one)
                assert "hello" in (await client.chat(ChatRequest(messages="hello"))).content
                await failure(client)
                await client.aclose()
                assert not one.is_closed()


async def test_azures_client_puts_the_model_into_the_url() -> None:
    """Azure's older addresses hold the deployment, which its client takes out of the body."""
    server, seen = await counted(lambda _: http(ANSWER))
    root = url_of(server).removesuffix("/v1")
    async with (
        server,
        openai.AsyncAzureOpenAI(api_key="k", api_version="2026-01-01", azure_endpoint=root) as own,
    ):
        client = OpenAIChat(model="mine", client=own)
        assert (await client.chat(ChatRequest(messages="hello"))).content == "hi"
        await client.aclose()
    path = seen[0].split(b" ", 2)[1]
    assert path.startswith(b"/openai/deployments/mine/chat/completions?")


def test_importing_the_names_imports_no_sdk() -> None:
    """The SDK takes a second to import, which nobody waits for before the first call."""
    import subprocess
    import sys

    code = (
        "import sys; from ai_batch.openai import OpenAIChat, OpenAIEmbedder;"
        "OpenAIChat(model='m', base_url='http://127.0.0.1:1/v1');"
        "assert not {'openai', 'httpx2', 'aiohttp'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
