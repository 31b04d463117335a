"""Reads all that a job has on disk, and names what is not as it was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ai_batch.core.reader import ShardRows
from ai_batch.core.requestlog import AGAIN, RequestLog
from ai_batch.core.rows import MEND, Place, Source
from ai_batch.core.seals import SpoolDamaged
from ai_batch.core.shardfiles import input_damage
from ai_batch.core.spool import JobFolder, members_of
from ai_batch.core.state import TERMINAL, Shard, ShardState

__all__ = ["Damage", "damage_of_job", "damage_of_shard", "is_sound"]


UNSENT = frozenset({ShardState.PLANNED, ShardState.RESERVED, ShardState.UPLOADED})


@dataclass(frozen=True, slots=True)
class Damage:
    """One file of a job that is not as it was written, and what helps.

    ``shard`` is the name of the batch that it belongs to; None for the job's own files.
    """

    path: Path
    found: str
    remedy: str
    shard: str | None = None

    def __str__(self) -> str:
        """All of it in one line."""
        return f"{self.path} is damaged: {self.found}; {self.remedy}"


def damage_of_job(folder: JobFolder, shards: Sequence[Shard], total: int) -> Iterator[Damage]:
    """What is damaged of a job of so many requests; reads every file of it once."""
    yield from _damage_of_requests(folder, total)
    for shard in shards:
        yield from damage_of_shard(folder, shard)


def _damage_of_requests(folder: JobFolder, total: int) -> Iterator[Damage]:
    try:
        with RequestLog(folder) as log:
            count = sum(1 for _ in log.lines(0))
    except SpoolDamaged as damaged:
        yield _damage(damaged, None)
        return
    if count != total:
        found = f"it holds {count} requests of {total}"
        yield Damage(folder.requests, found, AGAIN)


def damage_of_shard(folder: JobFolder, shard: Shard) -> Iterator[Damage]:
    """What is damaged of one batch's files, each file once."""
    try:
        members_of(folder, shard)
        if shard.state in TERMINAL:
            yield from _damage_of_rows(folder, shard)
    except SpoolDamaged as damaged:
        yield _damage(damaged, shard)
    if shard.state in UNSENT and shard.input_id is None:
        path = folder.file(shard.name, "input.jsonl")
        found = input_damage(path, shard)
        if found is not None:
            remedy = "it is written again from the job's requests before it is sent"
            yield Damage(path, found, remedy, shard.name)


def _damage_of_rows(folder: JobFolder, shard: Shard) -> Iterator[Damage]:
    bad: dict[int, int] = {}
    with closing(ShardRows(folder, shard)) as rows:
        for place in rows.places():
            if not is_sound(rows, place):
                bad[place.source] = bad.get(place.source, 0) + 1
    for source, count in bad.items():
        path = folder.file(shard.name, Source(source).kind)
        found = (
            f"{count} of its rows are not what was written" if path.exists() else "it is missing"
        )
        yield Damage(path, found, MEND, shard.name)


def is_sound(rows: ShardRows, place: Place) -> bool:
    """Whether a row is what was written; of one that a child shard gives, nothing is needed."""
    if place.retried:
        return True
    try:
        rows.row(place)
    except SpoolDamaged:
        return False
    return True


def _damage(damaged: SpoolDamaged, shard: Shard | None) -> Damage:
    name = None if shard is None else shard.name
    return Damage(damaged.path, damaged.found, damaged.remedy, name)
