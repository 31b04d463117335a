"""A shard of the ledger as its provider sees it."""

from __future__ import annotations

from ai_batch.core.provider import Submission
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard

__all__ = ["submission_of"]


def submission_of(
    folder: JobFolder, shard: Shard, rejected: frozenset[str] = frozenset()
) -> Submission:
    """What a provider may know of the shard."""
    return Submission(
        job_id=shard.job_id,
        seq=shard.seq,
        token=shard.token,
        route=shard.route,
        count=shard.count,
        input_path=folder.file(shard.name, "input.jsonl"),
        input_id=shard.input_id,
        remote_id=shard.remote_id,
        high_water=shard.high_water,
        intent_at=shard.intent_at,
        rejected=rejected,
        strays=shard.strays,
        details=shard.details,
    )
