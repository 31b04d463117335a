"""Takes one request to its result: asks, waits, and asks again while that may help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ai_batch.concurrent.calling import call_in_time
from ai_batch.concurrent.clients import Kind, LiveClient
from ai_batch.concurrent.failures import Failure, failure_of, wrong_answer
from ai_batch.concurrent.gate import Gate, full_jitter
from ai_batch.concurrent.settings import Settings
from ai_batch.concurrent.sharing import Shares
from ai_batch.core import ChatRequest, ChatResponse, EmbeddingResponse, ItemError, Request
from ai_batch.core.results import Outcome
from ai_batch.core.runtime import Runtime
from ai_batch.core.structured import parse_answer
from ai_batch.core.tokens import estimate_tokens

__all__ = ["Answer", "Answerer", "Asked", "RetryBudget"]

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
    """How a request ended, after how many calls.

    ``failure`` is set where it has no answer, ``misfit`` where that does not fit its type.
    """

    outcome: Outcome
    attempts: int
    failure: Failure | None = None
    misfit: ItemError | None = None


class Asked(Protocol):
    """A request in hand, and who keeps account of it."""

    @property
    def request(self) -> Request:
        """What is asked."""
        ...

    @property
    def attempts(self) -> int:
        """Calls that were made for it before."""
        ...

    @property
    def misfits(self) -> int:
        """Answers that were discarded before."""
        ...

    def call(self, *, out: bool) -> None:
        """A call for it goes out, or is back."""
        ...

    def discard(self, answer: ChatResponse, misfit: ItemError, attempts: int) -> None:
        """An answer does not fit; it is asked again."""
        ...


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
        types: Mapping[str, object] | None = None,
        shares: Shares | None = None,
    ) -> None:
        """``counts_tokens`` tells that the gate has to know how many a call may take.

        ``shares`` are of the limit that other processes hold as well, where there is one.
        ``types`` are the answers' Python types; None where no request has an output type.
        """
        self._clients = clients
        self._gate = gate
        self._settings = settings
        self._runtime = runtime
        self._counts_tokens = counts_tokens
        self._types = types
        self._shares = shares
        self._budget = RetryBudget(settings.retry_budget)

    async def answer(self, asked: Asked) -> Answer:
        """The answer, or the error of the last try."""
        request = asked.request
        client = self._clients.get("chat" if isinstance(request, ChatRequest) else "embedding")
        if client is None:
            return Answer(_no_client(request), 0)
        self._budget.ask()
        calls, failures, refusals = asked.attempts, asked.misfits, 0
        while True:
            calls += 1
            found = await self._ask(client, asked)
            if not isinstance(found, Failure):
                answer = self._judged(found, request, calls)
                failures += 1
                if not self._discards(answer, failures, asked):
                    return answer
                continue
            refusals += found.limited
            failures += not found.limited
            if not self._again(found, failures, refusals):
                return Answer(found.error, calls, found)
            if not found.limited:
                await self._rest(found, failures)

    def _judged(self, found: Outcome, request: Request, calls: int) -> Answer:
        """What came, and whether it fits the type that was asked for."""
        if self._types is None or not isinstance(found, ChatResponse):
            return Answer(found, calls)
        parsed = parse_answer(found, request, self._types)
        return Answer(found, calls, misfit=parsed if isinstance(parsed, ItemError) else None)

    def _discards(self, answer: Answer, failures: int, asked: Asked) -> bool:
        """Whether it is asked again; at once, as nobody is overloaded."""
        found, misfit = answer.outcome, answer.misfit
        if misfit is None or not isinstance(found, ChatResponse):
            return False
        # One that was cut at max_tokens would be cut again.
        if not self._settings.retry_invalid or found.finish_reason == "length":
            return False
        if failures >= self._settings.max_attempts:
            return False
        asked.discard(found, misfit, answer.attempts)
        return True

    def _again(self, failure: Failure, failures: int, refusals: int) -> bool:
        if failure.mend is not None or not (failure.error.retryable or failure.limited):
            return False
        if failure.limited:
            return refusals < MOST_REFUSALS
        return failures < self._settings.max_attempts and self._budget.take()

    async def _rest(self, failure: Failure, failures: int) -> None:
        wait = full_jitter(failures, self._runtime.random())
        await self._runtime.sleep(max(wait, failure.retry_after or 0.0))

    async def _ask(self, client: LiveClient, asked: Asked) -> Outcome | Failure:
        request = asked.request
        expected = estimate_tokens(request) if self._counts_tokens else 0
        share = None if self._shares is None else self._shares.of(client, request)
        entered = await self._gate.enter(expected, share)
        beyond = 0
        asked.call(out=True)
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
            asked.call(out=False)
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
