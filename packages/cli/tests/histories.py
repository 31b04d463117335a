"""Jobs as a ledger has them, made without a provider: at any time, of any size, in any state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_batch.core import JobRecord
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.ledger import Ledger
from ai_batch.core.provider import Route
from ai_batch.core.state import Shard, ShardState

START = 1_700_000_000.0


class History:
    """A ledger whose clock stands where it is put; times are in seconds after its start."""

    def __init__(self, home: Path) -> None:
        """Makes the home."""
        home.mkdir(exist_ok=True)
        self.home = home
        self.at = 0.0
        self.ledger = Ledger(SQLiteDatabase(home / "ledger.db", clock=lambda: START + self.at))

    def job(self, job_id: str, batches: int = 1, size: int = 100, **fields: Any) -> JobRecord:
        """A planned job of batches of so many requests, with a folder that has nothing in it."""
        route = Route("chat", "/v1/chat/completions", fields.pop("model", "gpt-4o-mini"))
        given: dict[str, Any] = {
            "fingerprint": job_id,
            "provider": "openai",
            "folder": f"jobs/{job_id}",
            "total": batches * size,
            "created_at": START + self.at,
            "spec": {"model": route.model},
        }
        record = JobRecord(id=job_id, **{**given, **fields})
        (self.home / record.folder).mkdir(parents=True)
        self.ledger.add_job(
            record,
            [
                Shard(
                    job_id=job_id,
                    seq=number + 1,
                    name=f"{number + 1:04d}",
                    state=ShardState.PLANNED,
                    route=route,
                    account="account",
                    token=f"{job_id}-{number}",
                    count=size,
                    bytes=1,
                    tokens=1,
                    first_index=number * size,
                    last_index=number * size + size - 1,
                )
                for number in range(batches)
            ],
        )
        return record

    def shard(self, job_id: str, seq: int = 1) -> Shard:
        """A batch as it is now, held by this process."""
        held = {"owner": "me", "fence": 1}
        with self.ledger._database.transaction() as tx:
            tx.execute(
                "UPDATE shard SET owner = 'me', fence = 1 WHERE job_id = ? AND seq = ?",
                (job_id, seq),
            )
        return self.ledger.shards(job_id)[seq - 1].evolve(**held)

    def submit(self, job_id: str, seq: int = 1) -> None:
        """A planned batch is at the provider from now on."""
        shard = self.ledger.reserve(self.shard(job_id, seq))
        assert shard is not None
        for state in (ShardState.UPLOADED, ShardState.INTENT):
            shard = self.ledger.move(shard, state)
        now = self.ledger.now()
        self.ledger.submit(shard, f"batch_{job_id}_{seq}", submitted_at=now)

    def observe(self, job_id: str, done: int, failed: int = 0, seq: int = 1) -> None:
        """The provider says how far it has come."""
        self.ledger.update(self.shard(job_id, seq), live_completed=done, live_failed=failed)

    def collect(self, job_id: str, failed: int = 0, seq: int = 1, **changes: Any) -> None:
        """A batch has ended, and its results are here."""
        now = self.ledger.now()
        shard = self.ledger.move(self.shard(job_id, seq), ShardState.ENDED, ended_at=now)
        given: dict[str, Any] = {"ok": shard.count - failed, "failed": failed, "cleaned": True}
        self.ledger.move(shard, ShardState.COLLECTED, **{**given, **changes})

    def finish(self, job_id: str, state: str = "completed") -> None:
        """The job has ended."""
        self.ledger.change_job(job_id, state=state, finished_at=self.ledger.now())

    def series(self, job_id: str) -> tuple[JobRecord, list[Shard], list[dict[str, Any]], float]:
        """What is drawn of a job."""
        ledger = self.ledger
        return ledger.job(job_id), ledger.shards(job_id), ledger.events(job_id), ledger.now()
