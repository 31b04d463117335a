"""What every live client has to be able to do, as tests to inherit.

    class TestMyClient(LiveContract):
        subject = LiveSubject(...)

They drive the real client, through its vendor's real SDK and over HTTP, against a small server
that answers, refuses, falls silent and cuts connections. pytest must be installed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    EmbeddingRequest,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    Usage,
    UsageError,
)
from ai_batch.core.clients import DescribedClient
from ai_batch.emulator.contract.live_server import PATIENCE, Asked, LiveServer, Reply
from ai_batch.emulator.contract.live_subject import KEY, LiveSubject
from ai_batch.emulator.contract.spoken import TOKENS

__all__ = ["LiveContract", "WithClient"]

KINDS: dict[int, type[ProviderError]] = {
    400: RequestRefused,
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    404: RequestRefused,
    429: RateLimited,
    500: ProviderUnavailable,
    503: ProviderUnavailable,
}


TRANSPORT = "transport"
"""The fixture that goes through an SDK's ways to a server."""


def _fast(_: object) -> str:
    return "fast"


class WithClient:
    """A subject, a server for it, and clients before that."""

    subject: ClassVar[LiveSubject]

    def __init_subclass__(cls, **options: Any) -> None:
        """An SDK that has one way to a server is tested by that alone."""
        super().__init_subclass__(**options)
        subject: LiveSubject | None = getattr(cls, "subject", None)
        if subject is not None and subject.plain is None:
            setattr(cls, TRANSPORT, pytest.fixture(_fast))

    @pytest.fixture
    def server(self) -> Iterator[LiveServer]:
        """A server that answers well."""
        with LiveServer(self.subject.reply) as server:
            yield server

    @pytest.fixture(params=["fast", "plain"])
    def transport(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        """Every way that the SDK has to a server."""
        if request.param == "plain":
            assert self.subject.plain is not None
            self.subject.plain(monkeypatch)
        return str(request.param)

    @asynccontextmanager
    async def client(self, server: LiveServer, **options: Any) -> AsyncGenerator[Any]:
        """A client of the server's, closed in the end."""
        client = self.subject.make(server.url, **options)
        try:
            yield client
        finally:
            await client.aclose()

    async def failure(self, client: Any, request: Any = None) -> ProviderError:
        """The error that a request ends with; nothing foreign hangs on it."""
        with pytest.raises(ProviderError) as raised:
            await self.subject.ask(client, request)
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
        return raised.value


class AnswerContract(WithClient):
    """Answers, and what a client says of itself."""

    async def test_an_answer_comes_back(self, server: LiveServer) -> None:
        """By one call, with its tokens."""
        async with self.client(server) as client:
            answer = await self.subject.ask(client)
        assert len(server.seen) == 1
        assert answer.usage.input_tokens > 0
        if self.subject.kind == "chat":
            assert answer.content == "hi"
            assert answer.usage == Usage(input_tokens=TOKENS[0], output_tokens=TOKENS[1])
        else:
            assert answer.count == 2

    async def test_connections_are_used_again_and_closed(self, server: LiveServer) -> None:
        """Calls one after another share one; ``aclose`` leaves none open."""
        async with self.client(server) as client:
            for _ in range(3):
                await self.subject.ask(client)
            assert server.made == 1
        await server.until(lambda: not server.open)

    async def test_it_describes_itself(self, server: LiveServer) -> None:
        """Model, identity, prices and checks are there for the runner; the key is not."""
        async with self.client(server) as client:
            assert isinstance(client, DescribedClient)
            assert client.model == self.subject.model
            assert client.identity["model"] == self.subject.model
            assert server.url in client.identity["base_url"]
            assert KEY not in repr((client, client.identity, vars(client)))
            usage = Usage(input_tokens=1_000_000)
            assert client.cost(self.subject.model, usage)
            assert client.cost("nobody-knows", usage) is None
            chat, embedding = ChatRequest(messages="x"), EmbeddingRequest(texts="x")
            able, unable = (chat, embedding) if self.subject.kind == "chat" else (embedding, chat)
            assert not client.check(able)
            assert [problem.message for problem in client.check(unable)] != []

    async def test_what_cannot_be_done_is_not_sent(self, server: LiveServer) -> None:
        """An empty request, and one of the other kind."""
        empty: Any = ChatRequest(messages=[]) if self._chats else EmbeddingRequest(texts=[""])
        other: Any = EmbeddingRequest(texts="x") if self._chats else ChatRequest(messages="x")
        async with self.client(server) as client:
            for request in (empty, other):
                with pytest.raises(UsageError):
                    await self.subject.ask(client, request)
        assert server.seen == []

    @property
    def _chats(self) -> bool:
        return self.subject.kind == "chat"

    def test_it_works_in_several_loops(self, server: LiveServer) -> None:
        """One object answers in any thread's event loop, one after another and side by side."""
        client = self.subject.make(server.url)
        answers: list[Any] = []

        async def ask() -> None:
            several = (self.subject.ask(client) for _ in range(5))
            answers.extend(await asyncio.gather(*several))

        threads = [threading.Thread(target=asyncio.run, args=(ask(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(ask())
        assert len(answers) == 15

    async def test_many_calls_are_out_at_once(self, server: LiveServer, transport: str) -> None:
        """More than an HTTP client has room for by itself."""
        # The plain way takes ten times as long to connect, which says nothing of the room.
        count = 300 if transport == "fast" else 150
        server.delay = PATIENCE
        async with self.client(server) as client:
            calls = [asyncio.ensure_future(self.subject.ask(client)) for _ in range(count)]
            await server.until(
                lambda: server.waiting == count or any(call.done() for call in calls)
            )
            assert server.most_waiting == count
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def test_a_cancelled_call_is_just_cancelled(self, server: LiveServer) -> None:
        """Its connection is closed, there is no error of ours, and the client can be used on."""
        server.delay = PATIENCE
        async with self.client(server) as client:
            call = asyncio.ensure_future(self.subject.ask(client))
            await server.until(lambda: server.waiting)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await server.until(lambda: not server.waiting)
            server.delay = 0.0
            assert (await self.subject.ask(client)).usage.input_tokens > 0


class TroubleContract(WithClient):
    """Errors, silence and cut connections."""

    @pytest.mark.parametrize("status", KINDS)
    async def test_a_status_becomes_one_of_our_errors(
        self, server: LiveServer, status: int
    ) -> None:
        """The kind says what to do next, the words are the server's, and it was asked once.

        Later calls, which may go another way than the first one, fail as that does.
        """
        body = self.subject.refusal(status, "not this one")
        headers = {"retry-after": "7", "x-request-id": "req_7", "request-id": "req_7"}
        server.answer = lambda _: Reply(status=status, body=body, headers=headers)
        async with self.client(server) as client:
            first, later = [await self.failure(client) for _ in range(2)]
        assert type(first) is type(later) is KINDS[status]
        assert vars(first) == vars(later)
        assert (first.status, first.retry_after) == (status, 7.0)
        assert "not this one" in first.message
        assert first.code
        assert len(server.seen) == 2

    @pytest.mark.parametrize("body", ["<html>busy</html>", "", "null", "{}", "[]", '{"a'])
    async def test_a_success_that_is_no_answer_is_an_error(
        self, server: LiveServer, body: str
    ) -> None:
        """Whatever a server or a proxy sends instead; it may be asked for again."""
        server.answer = lambda _: Reply(body=body)
        async with self.client(server) as client:
            first, later = [await self.failure(client) for _ in range(2)]
        assert type(first) is type(later) is ProviderUnavailable
        assert len(server.seen) == 2

    @pytest.mark.parametrize("whole", [0, 1], ids=["first", "kept alive"])
    async def test_a_cut_call_is_made_once(
        self, server: LiveServer, transport: str, whole: int
    ) -> None:
        """Neither the SDK nor its HTTP library asks again, also on a connection in use."""
        del transport

        def answer(asked: Asked) -> Reply | None:
            return self.subject.reply(asked) if asked.number <= whole else None

        server.answer = answer
        async with self.client(server) as client:
            for _ in range(whole):
                await self.subject.ask(client)
            found = await self.failure(client)
        assert type(found) is ProviderUnavailable
        assert found.retryable
        assert len(server.seen) == whole + 1

    async def test_half_an_answer_is_none(self, server: LiveServer, transport: str) -> None:
        """It may be asked for again."""
        del transport

        def answer(asked: Asked) -> Reply:
            whole = self.subject.reply(asked)
            return Reply(body=whole.body, lost=20)

        server.answer = answer
        async with self.client(server) as client:
            assert type(await self.failure(client)) is ProviderUnavailable
        assert len(server.seen) == 1

    async def test_silence_ends_at_the_timeout(self, server: LiveServer, transport: str) -> None:
        """A server that says nothing is not waited for beyond ``timeout``."""
        del transport
        server.delay = PATIENCE
        begun = time.monotonic()
        async with self.client(server, timeout=0.5) as client:
            assert type(await self.failure(client)) is ProviderUnavailable
        assert time.monotonic() - begun < PATIENCE / 2
        assert len(server.seen) == 1

    async def test_nobody_there_is_unavailable(self, transport: str) -> None:
        """A refused connection may be tried again."""
        del transport
        with LiveServer(self.subject.reply) as gone:
            pass
        async with self.client(gone) as client:
            found = await self.failure(client)
        assert type(found) is ProviderUnavailable
        assert found.retryable

    async def test_no_secret_shows(
        self, server: LiveServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A server that repeats the key gets it neither into an error nor into the log."""
        caplog.set_level(logging.DEBUG)
        body = self.subject.refusal(401, f"your key {KEY} is wrong")
        server.answer = lambda _: Reply(status=401, body=body)
        async with self.client(server) as client:
            found = await self.failure(client)
        assert KEY in server.seen[0].text
        assert "your key *** is wrong" in found.message
        assert KEY not in repr(found) + repr(vars(found)) + str(found)
        assert KEY not in caplog.text


class LiveContract(AnswerContract, TroubleContract):
    """Inherit from it, and set ``subject``: pytest then tests that client."""
