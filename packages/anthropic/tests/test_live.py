"""One request at a time, answered at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import pytest
from pydantic import BaseModel

from ai_batch.anthropic import AnthropicChat
from ai_batch.anthropic.wire import decode_body
from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    EmbeddingRequest,
    ItemError,
    Message,
    ProviderError,
    ProviderUnavailable,
    QuotaExhausted,
    RateLimited,
    RequestRefused,
    Tool,
    UsageError,
    system,
    user,
)
from ai_batch.core.clients import DescribedClient
from ai_batch.emulator import Emulator, Fault

if TYPE_CHECKING:
    from packages.anthropic.tests.conftest import MakeProcessor

MODEL = "claude-haiku-4-5"

ROUTE = "messages"


class Capital(BaseModel):
    city: str
    people: int


def lookup(city: str) -> str:
    """Look a city up."""
    return city


REQUESTS = [
    ChatRequest(id="plain", messages="What is the capital of France?"),
    ChatRequest(id="system", messages=[system("Be brief."), user("hello")], max_tokens=20),
    ChatRequest(id="former", messages="hello", temperature=0.5),
    ChatRequest(
        id="tools", messages="look", tools=[Tool.from_function(lookup)], tool_choice="required"
    ),
    ChatRequest(id="typed", messages="a capital", output_type=Capital),
    ChatRequest(
        id="thinking",
        messages="hello",
        max_tokens=3000,
        extra={"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
]


@asynccontextmanager
async def chat(emulator: Emulator, **options: Any) -> AsyncGenerator[AnthropicChat]:
    """A chat client before an emulator."""
    given: dict[str, Any] = {"model": MODEL, "api_key": "sk-ant-test-key"}
    given |= {"base_url": emulator.anthropic_url, **options}
    client = AnthropicChat(**given)
    try:
        yield client
    finally:
        await client.aclose()


async def failure(client: AnthropicChat, request: ChatRequest | None = None) -> ProviderError:
    """The error that a question ends with."""
    with pytest.raises(ProviderError) as raised:
        await client.chat(request or ChatRequest(messages="hello"))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value


async def test_an_answer_is_the_same_live_and_from_a_batch(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The same request gives the same answer by either way: tools, types and thoughts too."""
    processor = make_processor(emulator, model=MODEL)
    batch = {one.id: one for one in await asyncio.to_thread(processor.process, REQUESTS)}
    async with chat(emulator) as client:
        live = {one.id: await client.chat(one) for one in REQUESTS}

    volatile = {"response_id", "body"}
    for name, answer in live.items():
        found = batch[name or ""].chat
        assert found is not None, batch[name or ""].error
        assert answer.model_dump(exclude=volatile) == found.model_dump(exclude=volatile), name
    assert isinstance(live["typed"].parsed, Capital)
    assert live["tools"].tool_calls
    assert live["thinking"].thinking


async def test_an_error_has_the_words_that_a_batch_has(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Code and message are the vendor's own, whichever way was taken."""
    request = ChatRequest(id="bad", messages="hello", extra={"no_such_parameter": 1})
    processor = make_processor(emulator, model=MODEL)
    [batch] = (await asyncio.to_thread(processor.process, [request])).results
    async with chat(emulator) as client:
        found = await failure(client, request)
    assert isinstance(found, RequestRefused)
    assert isinstance(batch.error, ItemError)
    assert (found.code, found.message) == (batch.error.code, batch.error.message)
    assert found.status == 400
    assert found.request_id


async def test_the_client_describes_itself(emulator: Emulator) -> None:
    """Model, identity, prices and checks are there for the runner; the key is not."""
    async with chat(emulator, max_tokens=5, betas=["b-2", "a-1"]) as client:
        assert isinstance(client, DescribedClient)
        assert client.model == MODEL
        assert client.identity == {
            "base_url": emulator.anthropic_url,
            "model": MODEL,
            "max_tokens": "5",
            "betas": "a-1,b-2",
            "api_version": "",
        }
        assert "sk-ant" not in repr(client)
        answer = await client.chat(ChatRequest(messages="hello"))
        assert client.cost(MODEL, answer.usage)
        assert client.cost("nobody-knows", answer.usage) is None
        assert client.check(EmbeddingRequest(texts="x"))
        assert client.check(ChatRequest(messages="x", seed=1))
        assert not client.check(ChatRequest(messages="x", extra={"speed": "fast"}))


async def test_version_and_betas_travel_with_each_call(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request goes under the newest version that allows it, with the client's betas."""
    seen: list[tuple[str, str]] = []
    transport = anthropic.DefaultAioHttpClient.send

    async def send(self: Any, request: Any, **options: Any) -> Any:
        headers = request.headers
        seen.append((headers["anthropic-version"], headers["anthropic-beta"]))
        return await transport(self, request, **options)

    monkeypatch.setattr(anthropic.DefaultAioHttpClient, "send", send)
    async with chat(emulator, betas=["context-1m-2025-08-07"]) as client:
        for one in (ChatRequest(messages="a"), ChatRequest(messages="a", temperature=0.1)):
            await client.chat(one)
    async with chat(emulator, betas=["b", "a"], api_version="2023-06-01") as client:
        await client.chat(ChatRequest(messages="a"))
    assert seen == [
        ("2026-10-21", "context-1m-2025-08-07"),
        ("2023-06-01", "context-1m-2025-08-07"),
        ("2023-06-01", "a,b"),
    ]


async def test_what_cannot_be_done_is_not_sent(emulator: Emulator) -> None:
    """All faults of a request are told together, and nothing was asked for."""
    bad = ChatRequest(id="x", messages="hi", temperature=7.0, seed=1, extra={"stream": True})
    async with chat(emulator) as client:
        with pytest.raises(UsageError) as raised:
            await client.chat(bad)
        with pytest.raises(UsageError, match="no messages"):
            await client.chat(ChatRequest(messages=list[Message]()))
    async with chat(emulator, api_version="2026-10-21") as client:
        with pytest.raises(UsageError, match="does not take this"):
            await client.chat(ChatRequest(messages="x", temperature=0.5))
    fields = {problem.field for problem in raised.value.problems}
    assert fields == {"temperature", "seed", "extra.stream"}
    assert emulator.stats.items_executed == 0


@pytest.mark.parametrize(
    ("status", "kind", "code", "message"),
    [
        (400, RequestRefused, "invalid_request_error", "no"),
        (400, QuotaExhausted, "invalid_request_error", "Your credit balance is too low"),
        (401, AuthenticationFailed, "authentication_error", "no"),
        (403, AuthenticationFailed, "permission_error", "no"),
        (404, RequestRefused, "not_found_error", "no"),
        (413, RequestRefused, "request_too_large", "no"),
        (429, RateLimited, "rate_limit_error", "no"),
        (500, ProviderUnavailable, "api_error", "no"),
        (529, ProviderUnavailable, "overloaded_error", "no"),
    ],
)
async def test_a_status_becomes_one_of_our_errors(
    emulator: Emulator, status: int, kind: type[ProviderError], code: str, message: str
) -> None:
    """The kind says what to do next, the fields are the server's, and it was asked once."""
    body: Any = {"type": "error", "error": {"type": code, "message": message}}
    headers = {"retry-after": "7"}
    emulator.inject(Fault(route=ROUTE, nth=1, status=status, body=body, headers=headers))
    async with chat(emulator) as client:
        found = await failure(client)
        assert (await client.chat(ChatRequest(messages="hello"))).content
    assert type(found) is kind
    assert (found.status, found.code, found.retry_after) == (status, code, 7.0)
    assert found.message == message


def test_bytes_that_are_no_text_are_no_answer() -> None:
    """A body in another encoding is refused, and never raises."""
    outcome = decode_body(b'{"content":[{"type":"text","text":"\xff"}]}')
    assert isinstance(outcome, ItemError)
    assert outcome.retryable


async def test_a_users_own_client_is_used_and_left_open(emulator: Emulator) -> None:
    """``client=`` may be async or not; its retries are not used, and it is not closed."""
    url = emulator.anthropic_url
    async with anthropic.AsyncAnthropic(api_key="own", base_url=url) as own:
        with anthropic.Anthropic(api_key="own", base_url=url) as plain:
            for one in (own, plain):
                emulator.inject(Fault(route=ROUTE, nth=2, status=500))
                client = AnthropicChat(model=MODEL, client=one)
                assert (await client.chat(ChatRequest(messages="hello"))).content
                await failure(client)
                await client.aclose()
                assert not one.is_closed()
                emulator.clear_faults()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": ""}, "no model"),
        ({"model": "m"}, "ANTHROPIC_API_KEY"),
        ({"model": "m", "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "betas": "one"}, "betas"),
        ({"model": "m", "api_version": "a b"}, "api_version"),
        ({"model": "m", "base_url": "http://127.0.0.1/v1"}, "must not end in /v1"),
        ({"model": "m", "client": object()}, "must be an Anthropic"),
        ({"model": "m", "client": object(), "api_key": "x"}, "either or"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    """A wrong option is told when the client is made."""
    with pytest.raises(UsageError, match=words):
        AnthropicChat(**options)


def test_importing_the_name_imports_no_sdk() -> None:
    """The SDK takes two seconds to import, which nobody waits for before the first call."""
    code = (
        "import sys; from ai_batch.anthropic import AnthropicChat;"
        "AnthropicChat(model='m', base_url='http://127.0.0.1:1');"
        "assert not {'anthropic', 'httpx2', 'aiohttp'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
