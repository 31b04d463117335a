"""What a report draws: series of numbers from the event log and the batches. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ai_batch.core import JobRecord
from ai_batch.core.prices import cost_of_many
from ai_batch.core.provider import Formats
from ai_batch.core.results import Usage
from ai_batch.core.state import TERMINAL, Shard, ShardState

__all__ = ["Batch", "Moment", "Series", "grouped", "series_of", "thinned"]

MAX_POINTS = 300
"""Points of a line; more can't be told apart."""

OVER = frozenset(state.value for state in TERMINAL)
ANEW = frozenset({ShardState.PLANNED.value, ShardState.INTENT.value})


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a job had come ``at`` seconds after its beginning; ``cost`` is in USD.

    ``waiting`` counts requests that were at the provider without an answer.
    """

    at: float
    answered: int = 0
    failed: int = 0
    waiting: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it is drawn. Times are in seconds after the job's beginning."""

    name: str
    start: float
    end: float | None
    collected: float | None
    input_tokens: int
    output_tokens: int
    failed: bool

    def seconds(self, now: float) -> float:
        """From its submission to its end, or to ``now``."""
        return max((now if self.end is None else self.end) - self.start, 0.0)


@dataclass(frozen=True, kw_only=True)
class Series:
    """All that is drawn of a job. ``priced`` tells that what it cost is known."""

    moments: Sequence[Moment]
    batches: Sequence[Batch]
    total: int
    seconds: float
    priced: bool


def series_of(
    record: JobRecord,
    shards: Sequence[Shard],
    events: Iterable[Mapping[str, Any]],
    prices: Formats,
    now: float,
) -> Series:
    """The series of a job as it is ``now`` (Unix seconds)."""
    costs = {shard.seq: _cost(shard, prices) for shard in shards}
    course = _Course(record, shards, costs)
    for event in events:
        course.take(event)
    end = (record.finished_at or now) - record.created_at
    course.end(end)
    return Series(
        moments=course.moments,
        batches=batches_of(record, shards, course.collected),
        total=record.total,
        seconds=max(end, course.moments[-1].at),
        priced=None not in costs.values(),
    )


def _cost(shard: Shard, prices: Formats) -> float | None:
    usage = Usage(**dict(zip(Usage.model_fields, shard.usage, strict=True)))

    def price(share: Usage) -> float | None:
        return prices.cost(shard.route, share, batch=True)

    return cost_of_many(price, usage, shard.count) if any(shard.usage) else 0.0


@dataclass(slots=True)
class _Count:
    answered: int = 0
    failed: int = 0
    there: int = 0
    cost: float = 0.0

    @property
    def waiting(self) -> int:
        return max(self.there - self.answered - self.failed, 0)


@dataclass
class _Course:
    """Adds the events up; one number per batch is all that is kept of them."""

    record: JobRecord
    shards: Sequence[Shard]
    costs: Mapping[int, float | None]
    collected: dict[int, float] = field(default_factory=dict[int, float])
    moments: list[Moment] = field(default_factory=lambda: [Moment(0.0)])

    def __post_init__(self) -> None:
        self._known = {shard.seq: shard for shard in self.shards}
        self._counts = {shard.seq: _Count() for shard in self.shards}

    def take(self, event: Mapping[str, Any]) -> None:
        """Add an event of the log, of whatever kind."""
        count = self._counts.get(event["seq"])
        if count is None:
            return
        at, state = float(event["at"]) - self.record.created_at, event["to_state"]
        changed = _after(count, state, self._known[event["seq"]], json.loads(event["detail"]))
        if changed is None:
            return
        if state in OVER:
            self.collected[event["seq"]] = at
            changed.cost = self.costs[event["seq"]] or 0.0
        if changed != count:
            self._counts[event["seq"]] = changed
            self._add(at, count, changed)

    def _add(self, at: float, before: _Count, after: _Count) -> None:
        last = self.moments[-1]
        self.moments.append(
            Moment(
                max(at, last.at),
                last.answered + after.answered - before.answered,
                last.failed + after.failed - before.failed,
                last.waiting + after.waiting - before.waiting,
                last.cost + after.cost - before.cost,
            )
        )
        if len(self.moments) > 4 * MAX_POINTS:
            self.moments = thinned(self.moments)

    def end(self, at: float) -> None:
        """Add where the job stands now, which the log need not have."""
        for shard in self.shards:
            if shard.state in TERMINAL:
                continue
            count = self._counts[shard.seq]
            now = replace(
                count,
                answered=max(shard.ok, shard.live_completed),
                failed=max(shard.failed, shard.live_failed),
                cost=self.costs[shard.seq] or 0.0,
            )
            self._add(at, count, now)
        self.moments.append(replace(self.moments[-1], at=max(at, self.moments[-1].at)))
        self.moments = thinned(self.moments)


def _after(
    count: _Count, state: str | None, shard: Shard, detail: Mapping[str, Any]
) -> _Count | None:
    """A batch's counts after an event; None where it changes nothing."""
    if state in OVER:
        return _Count(int(detail.get("ok", 0)), int(detail.get("failed", 0)))
    if state == ShardState.SUBMITTED.value:
        return replace(count, there=shard.count)
    if state in ANEW:
        return _Count()
    if state is None and "ok" in detail:
        return replace(count, answered=int(detail["ok"]), failed=int(detail["failed"]))
    return None


def thinned(moments: Sequence[Moment]) -> list[Moment]:
    """At most ``MAX_POINTS`` of the moments, evenly over time; the first and the last stay."""
    if len(moments) <= MAX_POINTS:
        return list(moments)
    width = (moments[-1].at - moments[0].at) / (MAX_POINTS - 1) or 1.0
    kept: dict[int, Moment] = {}
    for moment in moments[1:]:
        kept[int((moment.at - moments[0].at) / width)] = moment
    return [moments[0], *list(kept.values())[-(MAX_POINTS - 1) :]]


def batches_of(
    record: JobRecord, shards: Sequence[Shard], collected: Mapping[int, float]
) -> list[Batch]:
    """The batches that have begun, in the order of their numbers."""
    found: list[Batch] = []
    for shard in shards:
        begin, end = _times(shard, record.created_at)
        at = collected.get(shard.seq)
        if begin is None:
            continue
        found.append(
            Batch(
                name=shard.name,
                start=begin,
                end=at if end is None else end,
                collected=at,
                input_tokens=shard.usage[0],
                output_tokens=shard.usage[1],
                failed=shard.state is ShardState.FAILED,
            )
        )
    return found


def _times(shard: Shard, origin: float) -> tuple[float | None, float | None]:
    if shard.submitted_at is not None:
        end = None if shard.ended_at is None else shard.ended_at - origin
        # An earlier submission's end stays on record while the batch is sent again.
        if end is not None and shard.ended_at is not None and shard.ended_at < shard.submitted_at:
            end = None
        return shard.submitted_at - origin, end
    # Live calls begin with the job: no batch is ever submitted.
    answering = shard.ok + shard.failed > 0 and shard.state is not ShardState.FAILED
    return (0.0, None) if answering else (None, None)


def grouped(batches: Sequence[Batch], most: int) -> list[list[Batch]]:
    """Neighbours together, in at most so many groups."""
    size = max(-(-len(batches) // most), 1)
    return [list(batches[at : at + size]) for at in range(0, len(batches), size)]
