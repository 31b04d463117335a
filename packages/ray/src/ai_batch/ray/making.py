"""Makes, on whichever machine it is, the processor that a config describes."""

from __future__ import annotations

from typing import Any

from ai_batch.core.errors import UsageError
from ai_batch.core.options import Options
from ai_batch.core.processor import DurableProcessor
from ai_batch.core.remaking import make_processor, needs_client, parameters_of
from ai_batch.ray.config import BatchAPIProcessorConfig

__all__ = ["processor_of"]


def processor_of(config: BatchAPIProcessorConfig, *, reading: bool = False) -> DurableProcessor:
    """The processor, with the key of this machine's environment; for ``reading`` none is needed.

    Raises ``UsageError`` where the provider is not installed here, or does not have an option.
    """
    if needs_client(config.provider):
        raise UsageError(
            f"{config.provider} has no batch API: its jobs need a client, which can't be sent to "
            "other machines"
        )
    given: dict[str, Any] = {"model": config.model, **config.options}
    # A part has one job for ever, also when its results have been read.
    given["reuse"] = True
    given["max_batches_in_flight"] = config.limits.max_batches_in_flight
    given["max_enqueued_tokens"] = config.limits.max_enqueued_tokens
    if reading:
        given |= _without_key(config.provider)
    return make_processor(
        config.provider, given, Options(home=config.home_path, ledger=config.ledger)
    )


def _without_key(provider: str) -> dict[str, str]:
    known = parameters_of(provider)
    return {"api_key": "unused"} if "api_key" in known else {}
