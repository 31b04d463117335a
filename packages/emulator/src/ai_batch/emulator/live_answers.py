"""What the live endpoints of all vendors have in common: an answer, counted."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from ai_batch.emulator.answers import Answered, Answerer
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.route import Call
from ai_batch.emulator.tally import Tally

_MANY = 16
"""More texts than this are embedded beside the server's thread, which has others to answer."""


class LiveAnswers:
    """Answers live requests by one answerer, and counts them."""

    def __init__(self, answerer: Answerer, tally: Tally) -> None:
        self._answerer = answerer
        self._tally = tally

    async def answer(
        self, call: Call, endpoint: str, body: JsonObject, prompts: Sequence[str], key: str
    ) -> Answered:
        """Answer one request, whose `prompts` are what its user says; `key` is the caller's."""

        def execute() -> Answered:
            # Counted in the same thread, since a call whose client has gone does not come back.
            answered = self._answerer.answer(endpoint, body, key)
            self._tally.executed(call.account, endpoint, body, prompts, ok=answered.ok)
            return answered

        if self._answerer.blocking or len(prompts) > _MANY:
            return await run_in_threadpool(execute)
        return execute()
