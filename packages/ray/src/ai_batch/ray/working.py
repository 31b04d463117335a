"""Works on a planned job in this process, which needs no cluster for it."""

from __future__ import annotations

from ai_batch.core import blocking
from ai_batch.core.work import WorkReport
from ai_batch.core.worker import Worker
from ai_batch.ray.config import BatchAPIProcessorConfig
from ai_batch.ray.failures import StepFailed
from ai_batch.ray.folder import JobFiles
from ai_batch.ray.making import processor_of

__all__ = ["work"]


def work(config: BatchAPIProcessorConfig) -> WorkReport:
    """Bring a planned job to its end: send its batches, wait for them, fetch their results.

    It takes minutes to a day, needs one process without Ray, and may be killed: the same call, on
    whichever machine, goes on. Several may run at once, on a ledger that they share.

    Raises ``UsageError`` where the job is not planned, and what keeps it from going on, such as
    ``AuthenticationFailed``: once that is mended, the same call goes on as well.
    """
    config = config.settled()
    manifest = JobFiles(config).planned()
    processor = processor_of(config)
    worker = Worker(
        lambda _: processor, ledger=config.ledger, home=config.home, only=manifest.job_ids
    )
    report = blocking.call(worker.arun(drain=True))
    for event in report.left.values():
        raise event.error or StepFailed(event.message)
    return report
