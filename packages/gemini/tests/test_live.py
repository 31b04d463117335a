"""One request at a time, answered at once, by either of Google's APIs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google import genai
from google.genai import types
from packages.gemini.tests.conftest import to_developer, to_vertex
from pydantic import BaseModel

from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    EmbeddingRequest,
    ItemError,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    Tool,
    UsageError,
    system,
    user,
)
from ai_batch.core.clients import DescribedClient
from ai_batch.emulator import Emulator, Fault
from ai_batch.gemini import GeminiChat, GeminiEmbedder, GeminiProcessor

# What the SDK's own session is made of is not ours to change.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

MODEL = "gemini-2.5-flash"

BACKENDS = ("developer", "vertex")

GENERATE = "generateContent"


class Capital(BaseModel):
    city: str
    people: int


def lookup(city: str) -> str:
    """Look a city up."""
    return city


REQUESTS = [
    ChatRequest(id="plain", messages="What is the capital of France?"),
    ChatRequest(id="system", messages=[system("Be brief."), user("hello")], max_tokens=20),
    ChatRequest(id="numbers", messages="hello", temperature=0.5, seed=7, stop=["x"]),
    ChatRequest(
        id="tools", messages="look", tools=[Tool.from_function(lookup)], tool_choice="required"
    ),
    ChatRequest(id="typed", messages="a capital", output_type=Capital),
]


def options(emulator: Emulator, backend: str, **more: Any) -> dict[str, Any]:
    """Options of a client for an emulated API."""
    given = to_vertex(emulator) if backend == "vertex" else to_developer(emulator)
    given.pop("gcs_uri", None)
    return {**given, "backend": backend, **more}


@asynccontextmanager
async def chat(
    emulator: Emulator, backend: str = "developer", **more: Any
) -> AsyncGenerator[GeminiChat]:
    """A chat client before an emulator."""
    client = GeminiChat(model=MODEL, **options(emulator, backend, **more))
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def embedder(
    emulator: Emulator, backend: str = "developer", model: str = "gemini-embedding-001"
) -> AsyncGenerator[GeminiEmbedder]:
    """An embedder before an emulator."""
    client = GeminiEmbedder(model=model, **options(emulator, backend))
    try:
        yield client
    finally:
        await client.aclose()


async def failure(client: GeminiChat, request: ChatRequest | None = None) -> ProviderError:
    """The error that a question ends with."""
    with pytest.raises(ProviderError) as raised:
        await client.chat(request or ChatRequest(messages="hello"))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_answer_is_the_same_live_and_from_a_batch(
    emulator: Emulator, make_processor: Callable[..., GeminiProcessor], backend: str
) -> None:
    """The same request gives the same answer by either way, typed ones and tools included."""
    processor = make_processor(emulator, backend=backend, model=MODEL)
    batch = {one.id: one for one in await asyncio.to_thread(processor.process, REQUESTS)}
    async with chat(emulator, backend) as client:
        live = {one.id: await client.chat(one) for one in REQUESTS}

    volatile = {"response_id", "body"}
    for name, answer in live.items():
        found = batch[name or ""].chat
        assert found is not None, batch[name or ""].error
        assert answer.model_dump(exclude=volatile) == found.model_dump(exclude=volatile), name
    assert isinstance(live["typed"].parsed, Capital)
    assert live["tools"].tool_calls


@pytest.mark.parametrize(
    ("backend", "model", "texts"),
    [
        ("developer", "gemini-embedding-001", ["one", "two", "three"]),
        ("vertex", "gemini-embedding-001", ["one"]),
        ("vertex", "text-embedding-005", ["one", "two", "three"]),
    ],
)
async def test_vectors_are_the_same_live_and_from_a_batch(
    emulator: Emulator,
    make_processor: Callable[..., GeminiProcessor],
    backend: str,
    model: str,
    texts: list[str],
) -> None:
    """The same texts have the same vectors by either way, in their order."""
    request = EmbeddingRequest(id="e", texts=texts, task="query")
    processor = make_processor(emulator, backend=backend, embedding_model=model)
    [batch] = (await asyncio.to_thread(processor.process, [request])).results
    async with embedder(emulator, backend, model) as client:
        live = await client.embed(request)
    assert batch.embedding is not None, batch.error
    assert live.count == len(texts)
    assert live.vectors == batch.embedding.vectors


@pytest.mark.parametrize(
    ("backend", "model"), [("developer", "gemini-embedding-001"), ("vertex", "text-embedding-005")]
)
async def test_dimensions_may_be_chosen(emulator: Emulator, backend: str, model: str) -> None:
    """Live, also the older models take a number of dimensions."""
    async with embedder(emulator, backend, model) as client:
        found = await client.embed(EmbeddingRequest(texts=["one", "two"], dimensions=8))
    assert (found.count, found.dimensions) == (2, 8)


async def served(bodies: list[bytes]) -> tuple[asyncio.Server, list[tuple[str, Any]], str]:
    """A server with these answers, one after another; the calls it got, and its address."""
    seen: list[tuple[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        size = next(int(one[15:]) for one in lines if one.startswith(b"content-length:"))
        asked = json.loads(await reader.readexactly(size))
        seen.append((head.split(b" ", 2)[1].decode(), asked))
        body = bodies[len(seen) - 1]
        plain = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
        writer.write(plain % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, seen, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_several_texts_are_one_call_on_vertex() -> None:
    """Newer models on Vertex AI get all texts at once; the tokens count once."""
    several: dict[str, Any] = {
        "embeddings": [{"values": [1.0, 2.0]}, {"values": [3.0, 4.0]}],
        "usageMetadata": {"promptTokenCount": 9},
    }
    server, seen, url = await served([json.dumps(several).encode()])
    client = GeminiEmbedder(
        model="gemini-embedding-001", backend="vertex", project="p", location="l", base_url=url
    )
    async with server:
        found = await client.embed(EmbeddingRequest(texts=["a", "b"], dimensions=2))
        await client.aclose()
    assert found.vectors == [[1.0, 2.0], [3.0, 4.0]]
    assert found.usage.input_tokens == 9
    [(path, body)] = seen
    assert path.endswith(
        "/projects/p/locations/l/publishers/google/models/gemini-embedding-001:batchEmbedContents"
    )
    assert [one["content"]["parts"][0]["text"] for one in body["requests"]] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"embeddings":[]}',
        b'{"embeddings":[{"values":[1]},{"values":[]}]}',
        b'{"embeddings":[{"values":[1]},{"values":[1,2]}]}',
        b'{"embeddings":[{"values":[1]}]}',
        b'{"predictions":[{}]}',
    ],
)
async def test_vectors_that_are_none_are_an_error(body: bytes) -> None:
    """What can't be matched to the texts is not handed out, and may be asked for again."""
    server, _, url = await served([body])
    client = GeminiEmbedder(model="gemini-embedding-001", api_key="k", base_url=url)
    async with server:
        with pytest.raises(ProviderUnavailable) as raised:
            await client.embed(EmbeddingRequest(texts=["a", "b"]))
        await client.aclose()
    assert raised.value.code == "invalid_response"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_error_has_the_code_that_a_batch_has(
    emulator: Emulator, make_processor: Callable[..., GeminiProcessor], backend: str
) -> None:
    """Code and status are the same, whichever way was taken."""
    request = ChatRequest(id="bad", messages="hello", extra={"noSuchField": 1})
    processor = make_processor(emulator, backend=backend, model=MODEL)
    [batch] = (await asyncio.to_thread(processor.process, [request])).results
    async with chat(emulator, backend) as client:
        found = await failure(client, request)
    assert isinstance(found, RequestRefused)
    assert isinstance(batch.error, ItemError)
    assert (found.code, found.status) == (batch.error.code, batch.error.status)
    assert "noSuchField" in found.message


@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_clients_describe_themselves(emulator: Emulator, backend: str) -> None:
    """Model, identity, prices and checks are there for the runner; the key is not."""
    async with chat(emulator, backend, max_tokens=5) as client, embedder(emulator) as other:
        assert isinstance(client, DescribedClient)
        assert isinstance(other, DescribedClient)
        assert (client.model, other.model) == (MODEL, "gemini-embedding-001")
        assert client.identity["max_tokens"] == "5"
        assert client.identity["project"] == ("my-project" if backend == "vertex" else "")
        assert "AIza" not in repr((client, client.identity))
        answer = await client.chat(ChatRequest(messages="hello"))
        assert client.cost(MODEL, answer.usage)
        assert client.cost("nobody-knows", answer.usage) is None
        assert client.check(EmbeddingRequest(texts="x"))
        assert client.check(ChatRequest(messages="x", temperature=9.0))
        assert other.check(ChatRequest(messages="x"))


async def test_what_cannot_be_done_is_not_sent(emulator: Emulator) -> None:
    """All faults of a request are told together, and nothing was asked for."""
    bad = ChatRequest(id="x", messages="hi", temperature=7.0, top_p=3.0)
    async with chat(emulator) as client, embedder(emulator) as other:
        with pytest.raises(UsageError) as raised:
            await client.chat(bad)
        with pytest.raises(UsageError, match="not one of"):
            await other.embed(EmbeddingRequest(texts="x", task="no such task"))
    assert {problem.field for problem in raised.value.problems} == {"temperature", "top_p"}
    assert emulator.stats.items_executed == 0


@pytest.mark.parametrize(
    ("status", "word", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "no", RequestRefused),
        (400, "INVALID_ARGUMENT", "API key not valid.", AuthenticationFailed),
        (403, "PERMISSION_DENIED", "no", AuthenticationFailed),
        (404, "NOT_FOUND", "no", RequestRefused),
        (429, "RESOURCE_EXHAUSTED", "no", RateLimited),
        (500, "INTERNAL", "no", ProviderUnavailable),
        (503, "UNAVAILABLE", "no", ProviderUnavailable),
    ],
)
async def test_a_status_becomes_one_of_our_errors(
    emulator: Emulator, status: int, word: str, message: str, kind: type[ProviderError]
) -> None:
    """The kind says what to do next, the fields are the server's, and it was asked once."""
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    error = {"code": status, "message": message, "status": word, "details": [retry]}
    body: Any = {"error": error}
    emulator.inject(Fault(route=GENERATE, nth=1, status=status, body=body))
    async with chat(emulator) as client:
        found = await failure(client)
        assert (await client.chat(ChatRequest(messages="hello"))).content
    assert type(found) is kind
    assert (found.status, found.code, found.message) == (status, word.lower(), message)
    assert found.retry_after == 7.0


async def test_a_users_own_client_is_asked_once_and_left_open(emulator: Emulator) -> None:
    """The retries of a user's own client are not used, and it is not closed."""
    emulator.inject(Fault(route=GENERATE, nth=2, status=503))
    http = types.HttpOptions(
        base_url=emulator.gemini_url, retry_options=types.HttpRetryOptions(attempts=4)
    )
    own = genai.Client(api_key="k", http_options=http)
    client = GeminiChat(model=MODEL, client=own)
    assert (await client.chat(ChatRequest(messages="hello"))).content
    await failure(client)
    await client.aclose()
    models: Any = own.aio.models
    assert (await models.generate_content(model=MODEL, contents="still here")).text
    await own.aio.aclose()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "", "api_key": "k"}, "no model"),
        ({"model": "m"}, "GEMINI_API_KEY"),
        ({"model": "m", "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "backend": "other"}, "backend must be"),
        ({"model": "m", "backend": "vertex"}, "needs a project"),
        ({"model": "m", "backend": "vertex", "api_key": "k"}, "for the other API"),
        ({"model": "m", "project": "p"}, "for the other API"),
        ({"model": "m", "client": object(), "api_key": "k"}, "either or"),
    ],
)
def test_options_that_cannot_be_meant(given: dict[str, Any], words: str) -> None:
    """A wrong option is told when the client is made."""
    with pytest.raises(UsageError, match=words):
        GeminiChat(**given)


def test_importing_the_names_imports_no_sdk() -> None:
    """The SDK takes a second to import, which nobody waits for before the first call."""
    code = (
        "import sys; from ai_batch.gemini import GeminiChat, GeminiEmbedder;"
        "GeminiChat(model='m', base_url='http://127.0.0.1:1');"
        "assert not {'google.genai', 'httpx2', 'aiohttp'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
