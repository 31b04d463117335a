"""Dask plans and collects in parallel; one task works on all jobs while the cluster is free."""

from typing import Any

from dask.distributed import Client

from examples.recipes import steps


def answers_of(client: Client, parts: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The answers to each part; a part is a job of its own."""
    jobs = client.gather(client.map(steps.plan, parts))
    # One task for hours, not one for each job; `ai-batch work` elsewhere does as well.
    client.submit(steps.work, *jobs, pure=False).result()
    return client.gather(client.map(collected, jobs))


def collected(job_id: str) -> list[dict[str, Any]]:
    """The answers of a job, in the memory of a worker."""
    return list(steps.collect(job_id))
