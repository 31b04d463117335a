"""A Prefect flow whose tasks may all be repeated: each finds the job that it had before."""

from datetime import timedelta
from pathlib import Path

from prefect import flow, task

from examples.recipes import steps


@task(retries=3, retry_delay_seconds=60)
def plan(requests: str, purpose: str) -> str:
    """The job of a JSONL file."""
    return steps.plan(requests, purpose)


@task(retries=100, retry_delay_seconds=300, timeout_seconds=timedelta(days=2).total_seconds())
def work(job_id: str) -> None:
    """Work on the job; after a crash the next try goes on where this one stopped."""
    steps.work(job_id)


@task(retries=3)
def collect(job_id: str, output: str) -> int:
    """Write the answers."""
    with steps.processor() as reading:
        response = reading.attach(job_id).join()
        response.to_jsonl(Path(output))
        return response.completed


@flow
def answers(requests: str, output: str, purpose: str = "") -> int:
    """How many of the requests of a file were answered."""
    job_id = plan(requests, purpose)
    work(job_id)
    return collect(job_id, output)
