"""Takes one request to its result: asks, waits, and asks again while that may help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_batch.concurrent.calling import call_in_time
from ai_batch.concurrent.clients import Kind, LiveClient
from ai_batch.concurrent.failures import Failure, failure_of, wrong_answer
from ai_batch.concurrent.gate import Gate, full_jitter
from ai_batch.concurrent.settings import Settings
from ai_batch.core import ChatRequest, ChatResponse, EmbeddingResponse, ItemError, Request
from ai_batch.core.results import Outcome
from ai_batch.core.runtime import Runtime
from ai_batch.core.tokens import estimate_tokens

__all__ = ["Answer", "Answerer", "RetryBudget"]

MOST_REFUSALS = 50
"""How often one request is put off because the vendor wants fewer calls. That says nothing of
the request, and does not count among its attempts."""

FREE_RETRIES = 100
"""Retries that a run may make before its budget counts: a short job has hiccups too."""


class RetryBudget:
    """Keeps retries in proportion to requests, so that an outage is not answered with a storm.

    Source: https://sre.google/sre-book/handling-overload/
    """

    def __init__(self, share: float) -> None:
        """``share`` is how many retries there may be for each request."""
        self._share = share
        self._requests = self._retries = 0

    def ask(self) -> None:
        """A request is sent for the first time."""
        self._requests += 1

    def take(self) -> bool:
        """Whether one more retry may be made; it is counted then."""
        if self._retries >= FREE_RETRIES + self._share * self._requests:
            return False
        self._retries += 1
        return True


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended, after how many calls; ``failure`` is set where it has no answer."""

    outcome: Outcome
    attempts: int
    failure: Failure | None = None


class Answerer:
    """Answers requests through the clients there are."""

    def __init__(
        self,
        clients: Mapping[Kind, LiveClient],
        gate: Gate,
        settings: Settings,
        runtime: Runtime,
        *,
        counts_tokens: bool,
    ) -> None:
        """``counts_tokens`` tells that the gate has to know how many a call may take."""
        self._clients = clients
        self._gate = gate
        self._settings = settings
        self._runtime = runtime
        self._counts_tokens = counts_tokens
        self._budget = RetryBudget(settings.retry_budget)

    async def answer(self, request: Request) -> Answer:
        """The answer, or the error of the last try."""
        client = self._clients.get("chat" if isinstance(request, ChatRequest) else "embedding")
        if client is None:
            return Answer(_no_client(request), 0)
        self._budget.ask()
        calls = failures = refusals = 0
        while True:
            calls += 1
            found = await self._ask(client, request)
            if not isinstance(found, Failure):
                return Answer(found, calls)
            refusals += found.limited
            failures += not found.limited
            if not self._again(found, failures, refusals):
                return Answer(found.error, calls, found)
            if not found.limited:
                await self._rest(found, failures)

    def _again(self, failure: Failure, failures: int, refusals: int) -> bool:
        if failure.mend is not None or not (failure.error.retryable or failure.limited):
            return False
        if failure.limited:
            return refusals < MOST_REFUSALS
        return failures < self._settings.max_attempts and self._budget.take()

    async def _rest(self, failure: Failure, failures: int) -> None:
        wait = full_jitter(failures, self._runtime.random())
        await self._runtime.sleep(max(wait, failure.retry_after or 0.0))

    async def _ask(self, client: LiveClient, request: Request) -> Outcome | Failure:
        expected = estimate_tokens(request) if self._counts_tokens else 0
        entered = await self._gate.enter(expected)
        beyond = 0
        try:
            found = await self._call(client, request)
            if isinstance(found, Failure):
                if found.limited or found.error.retryable:
                    self._gate.complain(retry_after=found.retry_after, limited=found.limited)
            else:
                self._gate.praise()
                if self._counts_tokens and not isinstance(found, ItemError):
                    beyond = found.usage.total_tokens - expected
        finally:
            self._gate.leave(tokens=beyond, entered=entered)
        return found

    async def _call(self, client: LiveClient, request: Request) -> Outcome | Failure:
        try:
            found = await call_in_time(client.call, request, self._settings.timeout)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this item alone
            return failure_of(error)
        if isinstance(request, ChatRequest):
            if isinstance(found, ChatResponse):
                return found
            return wrong_answer(found, "a ChatResponse")
        if not isinstance(found, EmbeddingResponse):
            return wrong_answer(found, "an EmbeddingResponse")
        if found.count != len(request.texts):
            texts = len(request.texts)
            return wrong_answer(found, f"one vector for each of {texts} texts ({found.count} came)")
        return found


def _no_client(request: Request) -> ItemError:
    name = "chat" if isinstance(request, ChatRequest) else "embedder"
    return ItemError(code="no_client", message=f"there is no client for it: give {name}=")
