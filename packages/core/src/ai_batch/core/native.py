"""Makes the engine that brings a job's shards to a vendor's batch API."""

from __future__ import annotations

from ai_batch.core.advance import Advancer
from ai_batch.core.engine import Engine
from ai_batch.core.polling import Listener, Poller
from ai_batch.core.provider import Provider
from ai_batch.core.run import JobContext, MakeEngine

__all__ = ["engine_of"]


def engine_of(provider: Provider) -> MakeEngine:
    """What makes the engines of the jobs of this provider."""

    def make(context: JobContext, listener: Listener) -> Engine:
        ledger, runtime = context.ledger, context.options.runtime
        advancer = Advancer(
            ledger=ledger,
            folder=context.folder,
            provider=provider,
            runtime=runtime,
            policy=context.options.policy,
            types=context.types,
        )
        return Engine(
            ledger=ledger,
            runtime=runtime,
            advancer=advancer,
            job_id=context.record.id,
            listener=listener,
            poller=Poller(
                ledger=ledger,
                provider=provider,
                runtime=runtime,
                advancer=advancer,
                listener=listener,
            ),
        )

    return make
