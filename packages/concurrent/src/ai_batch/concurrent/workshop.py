"""Puts a concurrent run together: clients, gate, answerer, and the core's engine."""

from __future__ import annotations

from collections.abc import Mapping

from ai_batch.concurrent.advance import LiveAdvancer
from ai_batch.concurrent.answering import Answerer
from ai_batch.concurrent.clients import Kind, LiveClient
from ai_batch.concurrent.formats import LiveFormats
from ai_batch.concurrent.gate import Gate
from ai_batch.concurrent.pacing import Pace
from ai_batch.concurrent.rows import attempts_of
from ai_batch.concurrent.settings import Settings
from ai_batch.concurrent.sharing import Shares
from ai_batch.core.closing import ShardCloser
from ai_batch.core.engine import Engine
from ai_batch.core.jobs import Workshop
from ai_batch.core.polling import Listener
from ai_batch.core.run import JobContext

__all__ = ["workshop_of"]


def workshop_of(clients: Mapping[Kind, LiveClient], settings: Settings) -> Workshop:
    """What plans, works on and reads the jobs of these clients."""
    formats = LiveFormats(clients)
    # One for all jobs of a processor: a minute's calls are the account's, not a job's.
    limit = settings.requests_per_minute
    pace = Pace(limit, settings.tokens_per_minute)

    def make_engine(context: JobContext, listener: Listener) -> Engine:
        runtime = context.options.runtime
        gate = Gate(
            max_concurrency=settings.max_concurrency,
            adaptive=settings.adaptive,
            pace=pace,
            runtime=runtime,
        )
        answerer = Answerer(
            clients,
            gate,
            settings,
            runtime,
            counts_tokens=pace.counts_tokens,
            types=context.types,
            shares=None if limit is None else Shares(context.ledger, limit, runtime),
        )
        closer = ShardCloser(
            ledger=context.ledger,
            folder=context.folder,
            formats=formats,
            runtime=runtime,
            max_attempts=1,
            types=context.types,
        )
        advancer = LiveAdvancer(
            ledger=context.ledger,
            folder=context.folder,
            closer=closer,
            answerer=answerer,
            runtime=runtime,
            workers=settings.max_concurrency,
            listener=listener,
        )
        return Engine(
            ledger=context.ledger,
            runtime=runtime,
            advancer=advancer,
            job_id=context.record.id,
            listener=listener,
        )

    return Workshop(formats, make_engine, attempts_of)
