"""What the vendors' clients for single calls have in common: what goes in, and what comes out.

A request is refused before it is sent for the same reasons as one of a batch, and an answer that
is none becomes an error with the vendor's own words, as it would be in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from ai_batch.core.checks import check_request
from ai_batch.core.errors import (
    AIBatchError,
    Problem,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
    UsageError,
    mask,
)
from ai_batch.core.intake import load_media
from ai_batch.core.requests import (
    ChatRequest,
    EmbeddingRequest,
    OutputSchema,
    Request,
    output_schema,
)
from ai_batch.core.results import ChatResponse, EmbeddingResponse, ItemError, Outcome
from ai_batch.core.structured import parse_answer
from ai_batch.core.vendor_errors import kind_of_status
from ai_batch.core.wire_faults import fault

__all__ = ["answered", "as_answer_error", "embedded", "ready", "wrong_kind"]

RequestT = TypeVar("RequestT", ChatRequest, EmbeddingRequest)

UNPAID = frozenset({"billing_hard_limit_reached", "billing_not_active", "insufficient_quota"})
"""Codes of an account without credit."""


def wrong_kind(request: Request, kind: type[ChatRequest | EmbeddingRequest]) -> Problem | None:
    """The fault of a request that the client is not made for; None for one of ``kind``."""
    if isinstance(request, kind):
        return None
    able = "answers chats" if kind is ChatRequest else "embeds texts"
    return Problem(f"this client only {able}, found {type(request).__name__}")


def ready(request: RequestT, check: Callable[[Request], Sequence[Problem]]) -> RequestT:
    """The request as it can be sent, with its files read.

    Raises ``UsageError`` with every fault of it; ``check`` finds those of the vendor's.
    """
    loaded = load_media(request)
    problems = [loaded] if isinstance(loaded, Problem) else _problems(loaded, check)
    if problems:
        named = [replace(problem, id=request.id) for problem in problems]
        raise UsageError("the request can't be sent", named)
    return cast("RequestT", loaded)


def _problems(request: Request, check: Callable[[Request], Sequence[Problem]]) -> list[Problem]:
    ours = check_request(request)
    known = {problem.field for problem in ours}
    return [*ours, *(problem for problem in check(request) if problem.field not in known)]


def answered(outcome: Outcome, request: ChatRequest, request_id: str | None) -> ChatResponse:
    """The answer to a chat, with ``parsed`` where the request has an ``output_type``.

    Raises ``ProviderError`` for an outcome that is none. A request that was planned before has
    only the schema left of its type: whoever planned it parses.
    """
    wanted = request.output_type
    if isinstance(outcome, ChatResponse):
        if wanted is None or isinstance(wanted, OutputSchema):
            return outcome
        types = {} if isinstance(wanted, dict) else {output_schema(wanted).key: wanted}
        outcome = parse_answer(outcome, request, types)
        if isinstance(outcome, ChatResponse):
            return outcome
    raise _of_outcome(outcome, request_id)


def embedded(
    outcome: Outcome, request: EmbeddingRequest, request_id: str | None
) -> EmbeddingResponse:
    """The vectors. Raises ``ProviderError`` for an outcome that is none, or has too few."""
    if not isinstance(outcome, EmbeddingResponse):
        raise _of_outcome(outcome, request_id)
    if outcome.count != len(request.texts):
        found = f"{outcome.count} vectors came for {len(request.texts)} texts"
        raise ProviderUnavailable(found, code="invalid_response", request_id=request_id)
    return outcome


def _of_outcome(outcome: Outcome, request_id: str | None) -> ProviderError:
    if not isinstance(outcome, ItemError):
        found = f"an answer of another kind came: {type(outcome).__name__}"
        return RequestRefused(found, code="invalid_response", request_id=request_id)
    kind: type[ProviderError] = ProviderUnavailable if outcome.retryable else RequestRefused
    if outcome.code in UNPAID:
        kind = QuotaExhausted
    elif outcome.status is not None and outcome.status >= 400:
        by_status = kind_of_status(outcome.status, creating=False)
        kind = by_status if by_status.retryable == outcome.retryable else kind
    known = outcome.request_id or request_id
    return kind(outcome.message, status=outcome.status, code=outcome.code, request_id=known)


_INSTEAD: dict[type[ProviderError], type[ProviderError]] = {
    # Only the model or the address can be missing, and will be so again.
    RemoteNotFound: RequestRefused,
    QueueFull: RateLimited,
}
"""Kinds that a call which is answered at once does not have."""


def as_answer_error(error: AIBatchError, detail: object, secret: str | None) -> AIBatchError:
    """The error of a call that asks a model, as the row of a batch would tell it.

    ``detail`` is the body that came with the status, or None.
    """
    if not isinstance(error, ProviderError):
        return error
    found = fault(error.status, detail) if detail and error.status is not None else None
    kind = _INSTEAD.get(type(error), type(error))
    if found is not None and found.code in UNPAID:
        kind = QuotaExhausted
    code = error.code or (None if found is None else found.code)
    return kind(
        error.message if found is None else mask(found.message, secret),
        status=error.status,
        code=None if code is None else mask(code, secret),
        request_id=error.request_id,
        retry_after=error.retry_after,
    )
