"""The jobs that Vertex AI knows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.record_book import RecordBook
from ai_batch.emulator.vertex.lifecycle import state_at
from ai_batch.emulator.vertex.records import VertexJob, project_number
from ai_batch.emulator.world import World


class VertexLedger:
    """Finds and changes jobs. Changes are made under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.book = RecordBook(world.store, "vertex.job", VertexJob)

    def get(self, project: str, location: str, job_id: str) -> VertexJob:
        """Return a job of a project in a location, or raise the vendor's 404."""
        job = self.book.find(job_id)
        if job is None or job.parent != _parent(project, location):
            raise not_found(f"{_parent(project, location)}/batchPredictionJobs/{job_id}")
        return job

    def of(self, project: str, location: str) -> list[VertexJob]:
        """Return all jobs of a project in a location, newest first."""
        parent = _parent(project, location)
        return [job for job in self.book.newest_first() if job.parent == parent]

    def held(self, job_id: str) -> Path:
        """Return where the input of a job lies until it has run."""
        return self._world.store.contents / f"vertex-{job_id}.input"

    def counts_by_status(self) -> Counter[str]:
        """Return how many jobs are in each state, in small letters."""
        now = self._world.clock.now()
        return Counter(state_at(job, now).lower() for job in self.book.oldest_first())


def not_found(name: str) -> GoogleError:
    """Return the vendor's 404 for a job."""
    return GoogleError(f"The BatchPredictionJob does not exist: {name}", status=404)


def _parent(project: str, location: str) -> str:
    return f"projects/{project_number(project)}/locations/{location}"
