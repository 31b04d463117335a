"""A deferrable Airflow operator: no worker's slot is held while batches are on their way."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

from ai_batch.core import Worker
from examples.recipes import steps


class BatchOperator(BaseOperator):
    """Answers the requests of a JSONL file. A task that is retried finds its job again."""

    template_fields = ("requests", "results")

    def __init__(self, *, requests: str, results: str, **general: Any) -> None:
        super().__init__(**general)
        self.requests = requests
        self.results = results

    def execute(self, context: Context) -> None:
        """Plan, and leave the rest to the triggerer."""
        job_id = steps.plan(self.requests, f"{self.dag_id} {context['run_id']}")
        self.defer(trigger=JobTrigger(job_id), method_name="collect")

    def collect(self, context: Context, event: dict[str, Any]) -> int:
        """Write the answers; how many there are."""
        if event["error"]:
            raise RuntimeError(f"{event['job_id']}: {event['error']}")
        with steps.processor() as reading:
            response = reading.attach(event["job_id"]).join()
            response.to_jsonl(Path(self.results))
            return response.completed


class JobTrigger(BaseTrigger):
    """Works on a job in the triggerer, whose one process is enough for hundreds of them."""

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """All that travels is the job's id."""
        return f"{__name__}.JobTrigger", {"job_id": self.job_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Another triggerer may run it at the same time: leases share the work."""
        report = await Worker(only=[self.job_id]).arun()
        left = report.left.get(self.job_id)
        yield TriggerEvent({"job_id": self.job_id, "error": left and left.message})
