"""The command ``show``: a job's batches, and its errors grouped by cause."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ai_batch.cli.arguments import Place
from ai_batch.cli.desk import Desk, desk_of
from ai_batch.cli.failures import ExitCode
from ai_batch.cli.home import Home
from ai_batch.cli.snapshot import Snapshot, batch_fields, progress_fields, take
from ai_batch.cli.texts import age, count, moment, money
from ai_batch.core import JobRecord, Result
from ai_batch.core.reader import ResultReader
from ai_batch.core.state import TERMINAL, Shard

__all__ = ["Cause", "causes", "show"]


@dataclass
class Cause:
    """Requests that failed for the same reason: how many, and the first of them."""

    code: str
    number: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def show(place: Place, wanted: str, examples: int, *, as_json: bool) -> ExitCode:
    """Write what there is to know about a job."""
    home = Home(*place)
    record = home.find(wanted)
    desk = desk_of(home, record, offline=True)
    try:
        snapshot = take(home.ledger, record, desk.provider)
        found = causes(desk, record, snapshot.batches, examples)
        faults = list(dict.fromkeys(str(f) for shard in snapshot.batches for f in shard.faults))
    finally:
        desk.close()
    if as_json:
        _write_json(home, record, snapshot, found, faults)
    else:
        _write(home, record, snapshot, found, faults)
    return ExitCode.OK


def causes(desk: Desk, record: JobRecord, shards: list[Shard], examples: int) -> list[Cause]:
    """The errors of what has been collected, by their codes, the most frequent first."""
    found: dict[str, Cause] = {}
    for result in _failed(desk, record, shards):
        if result.error is not None:
            cause = found.setdefault(result.error.code, Cause(result.error.code))
            cause.number += 1
            if len(cause.examples) < examples:
                cause.examples.append((result.id, result.error.message))
    return sorted(found.values(), key=lambda cause: -cause.number)


def _failed(desk: Desk, record: JobRecord, shards: list[Shard]) -> Iterator[Result]:
    """The results of the batches in which something failed; the others need not be read."""
    types: dict[str, object] | None = {} if record.spec.get("structured") else None
    reader = ResultReader(
        desk.spool.open(record.folder), lambda: shards, desk.provider, record.total, types
    )
    for shard in shards:
        # What does not fit a schema is found only when it is read.
        if shard.state in TERMINAL and (shard.failed or types is not None):
            yield from reader.read_shard(shard)


def _write_json(
    home: Home, record: JobRecord, snapshot: Snapshot, found: list[Cause], faults: list[str]
) -> None:
    notes = home.notes(record)
    made: dict[str, Any] = {
        **progress_fields(snapshot.progress),
        "provider": record.provider,
        "options": record.spec,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "delivered_at": record.delivered_at,
        "input": notes.input or None,
        "output": notes.output,
        "list": [batch_fields(shard, snapshot.now) for shard in snapshot.batches],
        "causes": [
            {
                "code": cause.code,
                "number": cause.number,
                "examples": [{"id": id, "message": text} for id, text in cause.examples],
            }
            for cause in found
        ],
        "faults": faults,
    }
    sys.stdout.write(json.dumps(made) + "\n")


def _write(
    home: Home, record: JobRecord, snapshot: Snapshot, found: list[Cause], faults: list[str]
) -> None:
    lines = [*_head(home, record, snapshot), ""]
    lines.append(
        f"{'batch':<8}{'state':<14}{'requests':>10}{'done':>10}{'failed':>8}{'age':>9}  id"
    )
    for shard in snapshot.batches:
        row = batch_fields(shard, snapshot.now)
        lines.append(
            f"{row['name']:<8}{row['state']:<14}{count(row['requests']):>10}"
            f"{count(row['completed']):>10}{count(row['failed']):>8}{age(row['age']):>9}  "
            f"{row['batch_id'] or '-'}"
        )
    for cause in found:
        lines += ["", f"{count(cause.number)} failed with {cause.code}, such as"]
        lines += [f"  {id}: {text}" for id, text in cause.examples]
    if faults:
        lines += ["", "the provider said", *(f"  {fault}" for fault in faults)]
    sys.stdout.write("\n".join(lines) + "\n")


def _head(home: Home, record: JobRecord, snapshot: Snapshot) -> list[str]:
    progress, notes, usage = snapshot.progress, home.notes(record), snapshot.progress.usage
    asked = ", ".join(f"{name}={value}" for name, value in record.spec.items() if value)
    counts = [
        f"{count(progress.completed)} answered",
        f"{count(progress.failed)} failed",
        f"{count(progress.in_flight)} at the provider",
    ]
    tokens = f"{count(usage.input_tokens)} in, {count(usage.output_tokens)} out"
    return [
        f"{record.id}  {record.state}",
        f"provider   {record.provider}: {asked}",
        f"requests   {count(progress.total)}: {', '.join(counts)}",
        f"tokens     {tokens}, {money(progress.cost)}",
        f"time       {moment(record.created_at)}, for {age(progress.elapsed)}",
        f"files      {notes.input or '-'} -> {notes.output or '-'}",
        f"folder     {home.path / record.folder}",
    ]
