"""Spans and metrics of OpenTelemetry, where a program uses it; see ``docs/telemetry.md``.

The API is never imported before the program itself has: one that does not use it loses nothing.
Attributes are those of the GenAI semantic conventions, and our own for what these do not know:
https://opentelemetry.io/docs/specs/semconv/gen-ai/. No prompt, answer or message of an error is in
them.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, MeterProvider
    from opentelemetry.trace import Span

    from ai_batch.core.events import Progress
    from ai_batch.core.provider import Route
    from ai_batch.core.state import Shard

__all__ = ["count_shard", "describe", "job_span", "step_span"]

SCOPE = "ai_batch"

PROVIDERS = {"gemini": "gcp.gemini", "vertex": "gcp.vertex_ai"}
"""The conventions' names of providers, where they are not ours."""

OPERATIONS = {"chat": "chat", "embedding": "embeddings"}

TOKEN_TYPES = ("input", "output")

Attributes = Mapping[str, str | int]


def _used() -> bool:
    """Whether the program uses OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def _provider(name: str) -> dict[str, str]:
    return {"gen_ai.provider.name": PROVIDERS.get(name, name)}


def _route(route: Route) -> dict[str, str]:
    return {
        "gen_ai.operation.name": OPERATIONS[route.kind],
        "gen_ai.request.model": route.model,
    }


@contextmanager
def job_span(provider: str, job_id: str, requests: int) -> Generator[Span | None]:
    """A span around the work on a job, in this process; what is sent meanwhile is within it."""
    if not _used():
        yield None
        return
    own: dict[str, str | int] = {"ai_batch.job.id": job_id, "ai_batch.job.requests": requests}
    with _span("batch job", {**_provider(provider), **own}, client=False) as span:
        yield span


def describe(span: Span | None, progress: Progress) -> None:
    """Write into a job's span what came of the job."""
    if span is None:
        return
    usage = progress.usage
    span.set_attributes(
        {
            "ai_batch.job.state": progress.state,
            "ai_batch.job.completed": progress.completed,
            "ai_batch.job.failed": progress.failed,
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    )


@contextmanager
def step_span(
    step: Literal["upload", "create", "fetch"], provider: str, shard: Shard
) -> Generator[None]:
    """A span around one of the calls that take a batch to its provider and back."""
    if not _used():
        yield
        return
    own: dict[str, str | int] = {
        "ai_batch.job.id": shard.job_id,
        "ai_batch.batch.name": shard.name,
        "ai_batch.batch.requests": shard.count,
        "ai_batch.batch.attempt": shard.attempt,
    }
    if shard.remote_id is not None:
        own["ai_batch.batch.id"] = shard.remote_id
    name = f"batch {step} {shard.route.model}"
    with _span(name, {**_provider(provider), **_route(shard.route), **own}, client=True):
        yield


@contextmanager
def _span(name: str, attributes: Attributes, *, client: bool) -> Generator[Span]:
    from opentelemetry import trace

    kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
    with trace.get_tracer(SCOPE).start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        # They would write down messages, in which vendors repeat what they were sent.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            raise


def count_shard(
    provider: str, route: Route, *, usage: Sequence[int], ok: int, failed: int, retried: int
) -> None:
    """Count a batch that has ended: its tokens, and how its requests did."""
    if not _used():
        return
    from opentelemetry import metrics

    tokens, requests = _counters(metrics.get_meter_provider())
    shared = {**_provider(provider), **_route(route)}
    for kind, count in zip(TOKEN_TYPES, usage, strict=False):
        if count:
            tokens.add(count, {**shared, "gen_ai.token.type": kind})
    for outcome, count in (("completed", ok), ("failed", failed), ("retried", retried)):
        if count:
            requests.add(count, {**shared, "ai_batch.outcome": outcome})


@lru_cache(maxsize=1)
def _counters(provider: MeterProvider) -> tuple[Counter, Counter]:
    meter = provider.get_meter(SCOPE)
    return (
        # No histogram as the conventions have: what is known is the sum of a batch.
        meter.create_counter("ai_batch.tokens", unit="{token}", description="Tokens used"),
        meter.create_counter("ai_batch.requests", unit="{request}", description="Requests done"),
    )
