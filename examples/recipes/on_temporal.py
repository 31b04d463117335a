"""Temporal activities, and the workflow that calls them; each may run again on any machine."""

import asyncio
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from ai_batch.core import Worker
    from examples.recipes import steps


@activity.defn
def plan(requests: str, purpose: str) -> str:
    """The job of a JSONL file."""
    return steps.plan(requests, purpose)


@activity.defn
async def work(job_id: str) -> None:
    """Work on the job while the server hears of it; a worker that is lost is replaced."""
    worker = Worker(only=[job_id])
    working = asyncio.create_task(worker.arun())
    try:
        while not working.done():
            activity.heartbeat(job_id)
            await asyncio.wait([working], timeout=20)
    finally:
        worker.stop()
        report = await working
    for event in report.left.values():
        raise event.error or RuntimeError(event.message)


@activity.defn
def collect(job_id: str, output: str) -> int:
    """Write the answers."""
    with steps.processor() as reading:
        response = reading.attach(job_id).join()
        response.to_jsonl(Path(output))
        return response.completed


@workflow.defn
class Answers:
    """How many of the requests of a file were answered."""

    @workflow.run
    async def run(self, requests: str, output: str) -> int:
        """Plan, work, collect; the run's own id sets its job apart from those of other runs."""
        brief = {"start_to_close_timeout": timedelta(hours=1)}
        purpose = workflow.info().workflow_id
        job_id = await workflow.execute_activity(plan, args=[requests, purpose], **brief)
        await workflow.execute_activity(
            work,
            job_id,
            start_to_close_timeout=timedelta(days=2),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=15)),
        )
        return await workflow.execute_activity(collect, args=[job_id, output], **brief)
