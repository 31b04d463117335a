"""What live clients of chats have to be able to do beyond that: answers of a type."""

from __future__ import annotations

from typing import Any

import pytest

from ai_batch.core import ChatRequest, RequestRefused, UsageError
from ai_batch.emulator.contract.live_server import LiveServer
from ai_batch.emulator.contract.live_suite import LiveContract
from ai_batch.emulator.contract.output_types import CASES, RECURSIVE, Case, Place

__all__ = ["LiveChatContract"]


class LiveChatContract(LiveContract):
    """Inherit from it, and set ``subject``: pytest then tests that client."""

    async def _parsed(self, server: LiveServer, case: Case) -> Any:
        server.answer = lambda asked: self.subject.reply(asked, case.text)
        request = ChatRequest(messages="an example", output_type=case.output_type)
        async with self.client(server) as client:
            return (await client.chat(request)).parsed

    @pytest.mark.parametrize("name", CASES)
    async def test_every_type_comes_back_as_itself(self, server: LiveServer, name: str) -> None:
        """Models, dataclasses, typed dicts and JSON schemas, whatever they are made of."""
        found = await self._parsed(server, CASES[name])
        assert found == CASES[name].parsed
        assert type(found) is type(CASES[name].parsed)

    @pytest.mark.parametrize("name", RECURSIVE)
    async def test_a_type_that_holds_itself(self, server: LiveServer, name: str) -> None:
        """It comes back, or it is refused before anything is sent."""
        if self.subject.recursive_types:
            assert await self._parsed(server, RECURSIVE[name]) == RECURSIVE[name].parsed
            return
        with pytest.raises(UsageError, match="itself"):
            await self._parsed(server, RECURSIVE[name])
        assert server.seen == []

    @pytest.mark.parametrize("text", ["in my own words", '{"city":"Oslo"}'])
    async def test_a_misfit_is_an_error(self, server: LiveServer, text: str) -> None:
        """It says so, and is not asked again by itself: it was paid for."""
        server.answer = lambda asked: self.subject.reply(asked, text)
        async with self.client(server) as client:
            found = await self.failure(client, ChatRequest(messages="x", output_type=Place))
        assert type(found) is RequestRefused
        assert (found.code, found.retryable) == ("invalid_output", False)
        assert len(server.seen) == 1
