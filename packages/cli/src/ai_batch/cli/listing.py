"""The command ``jobs``: what the ledger knows, without asking any provider."""

from __future__ import annotations

import json
import sys
from typing import Any

from ai_batch.cli.arguments import Place
from ai_batch.cli.failures import ExitCode
from ai_batch.cli.home import Home
from ai_batch.cli.texts import age, count
from ai_batch.core import JobRecord
from ai_batch.core.records import Totals

__all__ = ["list_jobs"]

HEADER = ("job", "provider", "model", "state", "done", "failed", "age", "input")


def list_jobs(place: Place, number: int, *, as_json: bool) -> ExitCode:
    """Write the newest jobs, ``number`` of them or all for 0."""
    home = Home(*place)
    shown = home.ledger.overview(number if number > 0 else None)
    rows = [_fields(home, record, totals) for record, totals in shown]
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return ExitCode.OK
    if not rows:
        sys.stdout.write(f"there are no jobs in {home.path}\n")
        return ExitCode.OK
    now = home.ledger.now()
    _table([HEADER, *(_cells(row, now) for row in rows)])
    older = home.ledger.count_jobs() - len(shown)
    if older > 0:
        sys.stdout.write(f"... and {count(older)} older: -n 0 lists all\n")
    return ExitCode.OK


def _fields(home: Home, record: JobRecord, totals: Totals) -> dict[str, Any]:
    notes = home.notes(record)
    spec = record.spec
    return {
        "job": record.id,
        "provider": record.provider,
        "model": spec.get("model") or spec.get("embedding_model") or None,
        "state": record.state,
        "total": record.total,
        "completed": totals.completed,
        "failed": totals.failed,
        "in_flight": totals.in_flight,
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "delivered_at": record.delivered_at,
        "input": notes.input or None,
        "output": notes.output,
    }


def _cells(row: dict[str, Any], now: float) -> tuple[str, ...]:
    done = row["completed"] + row["failed"]
    return (
        row["job"],
        row["provider"],
        row["model"] or "-",
        row["state"],
        f"{count(done)}/{count(row['total'])}",
        count(row["failed"]),
        age(now - row["created_at"]),
        row["input"] or "-",
    )


def _table(rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as their longest cell; plain text, which loads at once and pipes well."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
