"""Texts embedded by one call for each request, over real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    ProviderError,
    ProviderUnavailable,
    Usage,
    UsageError,
)
from ai_batch.core.clients import DescribedClient
from ai_batch.voyage import VoyageEmbedder

if TYPE_CHECKING:
    from packages.voyage.tests.conftest import Voyage

TEXTS = ["one", "two words", "three more words"]


async def failure(client: VoyageEmbedder) -> ProviderError:
    """The error that a call ends with."""
    with pytest.raises(ProviderError) as raised:
        await client.embed(EmbeddingRequest(texts=TEXTS))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


def expected(prefix: str, size: int) -> list[list[float]]:
    """The server's vectors of the texts."""
    digests = [hashlib.sha256(f"{prefix}{text}".encode()).digest() for text in TEXTS]
    return [[digest[place % 32] / 256 for place in range(size)] for digest in digests]


async def test_vectors_come_in_the_order_of_the_texts(
    voyage: Voyage, embedder: VoyageEmbedder
) -> None:
    """Each text has its own vector, whatever order the server answers in."""
    found = await embedder.embed(EmbeddingRequest(texts=TEXTS, dimensions=256))
    assert found.vectors == expected("", 256)
    assert found.array.shape == (3, 256)
    assert (found.model, found.usage.input_tokens) == ("voyage-4", 6)
    assert found.raw["model"] == "voyage-4"
    assert voyage.seen == [
        {
            "input": TEXTS,
            "model": "voyage-4",
            "truncation": True,
            "encoding_format": "base64",
            "output_dimension": 256,
        }
    ]
    assert b"authorization: bearer pa-my-own-key" in voyage.heads[0].lower()


@pytest.mark.parametrize(
    ("task", "sent"),
    [
        ("query", "query"),
        ("document", "document"),
        ("RETRIEVAL_QUERY", "query"),
        ("search-document", "document"),
        (None, None),
    ],
)
async def test_the_task_decides_the_input_type(
    voyage: Voyage, embedder: VoyageEmbedder, task: str | None, sent: str | None
) -> None:
    """A task is told to Voyage in its own words; without one nothing is said."""
    found = await embedder.embed(EmbeddingRequest(texts=TEXTS, task=task))
    assert voyage.seen[0].get("input_type") == sent
    assert found.vectors == expected(sent or "", 1024)


async def test_a_request_may_choose_model_and_more(voyage: Voyage) -> None:
    """The request's own model wins; what is extra goes along as it is."""
    client = VoyageEmbedder(model="voyage-4-lite", base_url=voyage.url, truncation=False)
    await client.embed(EmbeddingRequest(texts="x", model="voyage-code-3", extra={"new": 1}))
    await client.embed(EmbeddingRequest(texts="x", extra={"truncation": True}))
    await client.aclose()
    asked = [(one["model"], one["truncation"], one.get("new")) for one in voyage.seen]
    assert asked == [("voyage-code-3", False, 1), ("voyage-4-lite", True, None)]


async def test_plain_numbers_are_read_too(voyage: Voyage, embedder: VoyageEmbedder) -> None:
    """A server that knows no base64 sends lists."""
    data = [{"embedding": [0.5, 1.0], "index": 0}]
    voyage.answer = lambda _: (200, {"data": data, "usage": {"total_tokens": 1}}, {})
    assert (await embedder.embed(EmbeddingRequest(texts="x"))).vectors == [[0.5, 1.0]]


async def test_connections_are_used_again(voyage: Voyage, embedder: VoyageEmbedder) -> None:
    """Calls one after another share a connection, and those at once have one each."""
    for _ in range(3):
        await embedder.embed(EmbeddingRequest(texts="x"))
    assert voyage.connections == 1
    voyage.delay = 0.3
    calls = (embedder.embed(EmbeddingRequest(texts="x")) for _ in range(20))
    async with asyncio.timeout(4):
        await asyncio.gather(*calls)
    assert voyage.connections == 20


async def test_what_cannot_be_done_is_not_sent(voyage: Voyage, embedder: VoyageEmbedder) -> None:
    """All faults of a request are told together, with its id, and nothing was asked for."""
    extra: dict[str, Any] = {"input_type": "query", "output_dtype": "int8", "x": float("nan")}
    bad = EmbeddingRequest(id="b", texts=["x"] * 1001, dimensions=100, task="cook", extra=extra)
    with pytest.raises(UsageError) as raised:
        await embedder.embed(bad)
    fields = {"texts", "dimensions", "task", "extra", "extra.input_type", "extra.output_dtype"}
    assert {problem.field for problem in raised.value.problems} == fields
    assert {problem.id for problem in raised.value.problems} == {"b"}
    assert embedder.check(ChatRequest(messages="x"))
    assert not voyage.seen


async def test_a_status_that_the_sdk_overlooks_is_an_error(
    voyage: Voyage, embedder: VoyageEmbedder
) -> None:
    """A rare 5xx, which the SDK takes for an answer, holds no vectors all the same."""
    voyage.answer = lambda _: (529, {"detail": "busy"}, {})
    assert type(await failure(embedder)) is ProviderUnavailable


NONE: list[Any] = [
    "<html>",
    {},
    {"data": []},
    {"data": [{"embedding": [], "index": 0}]},
    {"data": [{"embedding": "AAA=", "index": 0}]},
    {"data": [{"embedding": [1.0], "index": 0}]},
    {"data": [{"embedding": [1.0], "index": 5}]},
    {"data": "none"},
]


@pytest.mark.parametrize("body", NONE)
async def test_vectors_that_are_none_are_an_error(
    voyage: Voyage, embedder: VoyageEmbedder, body: Any
) -> None:
    """What can't be matched to the texts is not handed out, and may be asked for again."""
    voyage.answer = lambda _: (200, body, {})
    assert type(await failure(embedder)) is ProviderUnavailable


async def test_the_client_describes_itself(embedder: VoyageEmbedder, voyage: Voyage) -> None:
    """Model, identity, prices and checks are there for the runner."""
    assert isinstance(embedder, DescribedClient)
    assert embedder.model == "voyage-4"
    identity = {"base_url": voyage.url, "model": "voyage-4", "truncation": "True"}
    assert embedder.identity == identity
    found = await embedder.embed(EmbeddingRequest(texts=TEXTS))
    assert embedder.cost("voyage-3-large", found.usage)
    assert embedder.cost("nobody-knows", found.usage) is None
    elsewhere = VoyageEmbedder(base_url="http://other.test/v1")
    assert elsewhere.cost("voyage-3-large", found.usage) is None


def test_keys_decide_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of MongoDB Atlas belongs to another address; without any key it is said at once."""
    with pytest.raises(UsageError, match="VOYAGE_API_KEY"):
        VoyageEmbedder()
    monkeypatch.setenv("VOYAGE_API_KEY", "al-key")
    assert VoyageEmbedder().identity["base_url"] == "https://ai.mongodb.com/v1"
    plain = VoyageEmbedder(api_key="pa-key")
    assert plain.identity["base_url"] == "https://api.voyageai.com/v1"
    with pytest.raises(UsageError, match="no model"):
        VoyageEmbedder(model="")


def test_importing_the_name_imports_no_sdk() -> None:
    """The SDK takes seconds to import, which nobody waits for before the first call."""
    assert importlib.util.find_spec("voyageai")
    code = (
        "import sys; from ai_batch.voyage import VoyageEmbedder; VoyageEmbedder(api_key='k');"
        "assert not {'voyageai', 'aiohttp', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("model", "price"), [("voyage-4", 0.06), ("voyage-4-lite", 0.02), ("voyage-of-tomorrow", None)]
)
def test_what_a_million_tokens_cost(model: str, price: float | None) -> None:
    """By Voyage's list, and nothing where that has none."""
    found = VoyageEmbedder(api_key="k").cost(model, Usage(input_tokens=1_000_000))
    assert found == (None if price is None else pytest.approx(price))
