"""How shards and jobs are written into the ledger's rows, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ai_batch.core.errors import VendorFault
from ai_batch.core.provider import Route
from ai_batch.core.results import Usage
from ai_batch.core.state import Shard, ShardState

if TYPE_CHECKING:
    from ai_batch.core.database import Row

__all__ = [
    "NO_USAGE",
    "SHARD_COLUMNS",
    "JobRecord",
    "Totals",
    "job_row",
    "read_job",
    "read_shard",
    "read_totals",
    "shard_row",
]

MAX_FAULTS = 100
"""How many of a vendor's faults a shard keeps; each request's own is in the spool."""

SHARD_COLUMNS = tuple(column.name for column in fields(Shard))

NO_USAGE = json.dumps((0,) * len(Usage.model_fields))
"""The column of a shard that has paid for nothing."""

_TO_COLUMN: dict[str, Callable[[Any], object]] = {
    "state": lambda state: state.value,
    "route": lambda route: json.dumps(list(route)),
    "adopted": int,
    "cleaned": int,
    "usage": json.dumps,
    "details": json.dumps,
    "strays": json.dumps,
    "faults": lambda faults: json.dumps([asdict(fault) for fault in faults[:MAX_FAULTS]]),
}

_FROM_COLUMN: dict[str, Callable[[Any], object]] = {
    "state": ShardState,
    "route": lambda text: Route(*json.loads(text)),
    "adopted": bool,
    "cleaned": bool,
    "usage": lambda text: tuple(json.loads(text)),
    "details": json.loads,
    "strays": lambda text: tuple(json.loads(text)),
    "faults": lambda text: tuple(VendorFault(**fault) for fault in json.loads(text)),
}


def column(name: str, value: Any) -> object:
    """A field's value as the database takes it."""
    convert = _TO_COLUMN.get(name)
    return value if convert is None else convert(value)


def shard_row(shard: Shard) -> Row:
    """The shard as a row, in the order of ``SHARD_COLUMNS``."""
    return tuple(column(name, getattr(shard, name)) for name in SHARD_COLUMNS)


def read_shard(row: Row) -> Shard:
    """The shard of a row."""
    values: dict[str, Any] = {}
    for name, value in zip(SHARD_COLUMNS, row, strict=True):
        convert = _FROM_COLUMN.get(name)
        values[name] = value if convert is None else convert(value)
    return Shard(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job, as the ledger records it. Times are Unix seconds.

    ``state`` is running, cancelling, completed, cancelled or refused; ``spec`` says with what it
    was planned, for people and for ``attach``; ``delivered_at`` is when its results had been
    read. ``max_batches`` and ``max_tokens`` are what may stand in the account's queue, of
    whatever job, for one more of this job's batches to go there.
    """

    id: str
    fingerprint: str
    provider: str
    folder: str
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    state: str = "running"
    total: int = 0
    created_at: float = 0.0
    max_batches: int | None = None
    max_tokens: int | None = None
    deadline_at: float | None = None
    finished_at: float | None = None
    delivered_at: float | None = None

    @property
    def finished(self) -> bool:
        """Whether every request has its result."""
        return self.finished_at is not None


JOB_COLUMNS = tuple(column.name for column in fields(JobRecord))


def job_row(job: JobRecord) -> Row:
    """The job as a row, in the order of ``JOB_COLUMNS``."""
    return tuple(
        json.dumps(job.spec) if name == "spec" else getattr(job, name) for name in JOB_COLUMNS
    )


def read_job(row: Row) -> JobRecord:
    """The job of a row."""
    values = dict(zip(JOB_COLUMNS, row, strict=True))
    return JobRecord(**{**values, "spec": json.loads(values["spec"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A job's shards, summed: one query, whatever their number.

    ``usage`` is by route, and ``requests`` counts those that it comes from; answers of the routes
    in ``uncounted`` came without their tokens.
    """

    batches: int = 0
    batches_done: int = 0
    batches_refused: int = 0
    open: int = 0
    completed: int = 0
    failed: int = 0
    in_flight: int = 0
    done_remotely: int = 0
    usage: Mapping[Route, Usage] = field(default_factory=dict[Route, Usage])
    requests: Mapping[Route, int] = field(default_factory=dict[Route, int])
    uncounted: frozenset[Route] = frozenset()

    @property
    def all_usage(self) -> Usage:
        """The tokens of all routes."""
        return sum(self.usage.values(), Usage())


COUNTS = tuple(column.name for column in fields(Totals))[:-3]


def read_totals(counts: Row, usages: Sequence[Row]) -> Totals:
    """The totals of a row of counts, in the order of the fields, and of what shards have used."""
    by_route: dict[Route, Usage] = {}
    requests: dict[Route, int] = {}
    uncounted: set[Route] = set()
    for route_text, usage_text, count in usages:
        route = Route(*json.loads(route_text))
        usage = Usage(**dict(zip(Usage.model_fields, json.loads(usage_text), strict=True)))
        if usage == Usage():
            uncounted.add(route)
        by_route[route] = by_route.get(route, Usage()) + usage
        requests[route] = requests.get(route, 0) + int(count)
    values = {name: int(value) for name, value in zip(COUNTS, counts, strict=True)}
    return Totals(**values, usage=by_route, requests=requests, uncounted=frozenset(uncounted))
