"""What a report says of a job: read from the ledger and the job's folder, and nowhere else."""

from __future__ import annotations

import importlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from ai_batch.cli.desk import desk_of
from ai_batch.cli.home import Home
from ai_batch.cli.snapshot import Snapshot, batch_state, take
from ai_batch.core import AIBatchError, JobRecord, blocking
from ai_batch.core.errors import mask
from ai_batch.core.provider import Formats, Route
from ai_batch.core.results import Usage
from ai_batch.core.state import Shard, ShardState

__all__ = ["Facts", "Reading", "model_of", "options_of", "reading", "safe", "word_of"]

LIVE = "concurrent"
"""The provider whose jobs are answered by live calls: what they cost only its client knows."""

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


class _Unpriced:
    """Stands in for formats where nothing can be priced."""

    def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
        """No price is known, unless nothing was used."""
        return None if usage.total_tokens else 0.0


@dataclass(frozen=True)
class Reading:
    """How a job's rows are read and priced.

    ``rows`` is None where that can't be, and ``why`` then says so.
    """

    rows: Formats | None
    why: str = ""
    live: bool = False

    @property
    def prices(self) -> Formats:
        """What prices the job's tokens."""
        if self.rows is None or self.live:
            return cast("Formats", _Unpriced())
        return self.rows


@contextmanager
def reading(home: Home, record: JobRecord) -> Generator[Reading]:
    """What is needed to read a job; neither its provider nor a key has to be there."""
    try:
        formats = _formats(home, record)
    except (AIBatchError, ImportError) as error:
        yield Reading(None, safe(str(error)), live=record.provider == LIVE)
        return
    try:
        yield Reading(formats, live=record.provider == LIVE)
    finally:
        blocking.call(formats.aclose())


def _formats(home: Home, record: JobRecord) -> Formats:
    if record.provider == LIVE:
        # Not through a processor: that would need the program's client.
        made: Any = importlib.import_module("ai_batch.concurrent.formats")
        return cast("Formats", made.LiveFormats({}))
    return desk_of(home, record, offline=True).provider


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A job at one moment."""

    record: JobRecord
    snapshot: Snapshot
    input: str | None
    output: str | None

    @classmethod
    def of(cls, home: Home, job_id: str, read: Reading) -> Facts:
        """Read them now. Raises ``LedgerError`` where there is no such job."""
        record = home.ledger.job(job_id)
        notes = home.notes(record)
        snapshot = take(home.ledger, record, read.prices)
        return cls(record=record, snapshot=snapshot, input=notes.input or None, output=notes.output)

    @property
    def faults(self) -> list[str]:
        """What the vendor said of whole batches, once each."""
        return list(
            dict.fromkeys(
                safe(str(fault)) for shard in self.snapshot.batches for fault in shard.faults
            )
        )

    @property
    def models(self) -> list[str]:
        """The models that answer, as the batches name them."""
        routes = dict.fromkeys(shard.route.model for shard in self.snapshot.batches)
        return [safe(model) for model in routes if model] or [model_of(self.record) or "-"]


def model_of(record: JobRecord) -> str | None:
    """The model that a job was planned with; its requests may name others."""
    for name in ("model", "embedding_model", "chat.model", "embedding.model"):
        if found := record.spec.get(name):
            return safe(str(found))
    return None


def options_of(record: JobRecord) -> list[tuple[str, str]]:
    """The options that a job was planned with, the model apart."""
    return [
        (name, safe(str(value)))
        for name, value in record.spec.items()
        if value and not name.endswith("model")
    ]


def word_of(shard: Shard) -> str:
    """A batch's state in a word; live calls never pass through the states of a batch."""
    if shard.state is ShardState.PLANNED and shard.ok + shard.failed:
        return "answering"
    return batch_state(shard)


def safe(text: str) -> str:
    """The text without anything that looks like a key, or a password in an address."""
    return mask(_USERINFO.sub("***@", text))
