"""What a shell is offered for what is being typed: jobs, providers, models.

Nothing is made, locked or sent for it, and whatever goes wrong is no word to the shell.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import typer

__all__ = ["suggest_jobs", "suggest_models", "suggest_providers"]

MOST = 200
"""The newest jobs that are offered."""

NEWEST = (
    "SELECT id, provider, state, spec FROM job "  # noqa: S608 - a number of our own
    f"ORDER BY created_at DESC, id DESC LIMIT {MOST}"
)


def suggest_jobs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest jobs that begin so, and ``last``."""
    found = [("last", "the newest job")]
    found += [(id, f"{provider}, {state}") for id, provider, state, _ in _jobs(ctx)]
    return [each for each in found if each[0].startswith(incomplete)]


def suggest_models(ctx: typer.Context, incomplete: str) -> list[str]:
    """The models of earlier jobs, of the provider that was named if one was."""
    wanted = ctx.params.get("provider")
    rows = [row for row in _jobs(ctx) if wanted is None or row[1] == wanted]
    return _beginning(incomplete, (name for *_, spec in rows for name in _models(spec)))


def suggest_providers(incomplete: str) -> list[str]:
    """Those that are installed, the concurrent runner apart, which needs a program."""
    from importlib.metadata import entry_points

    names = {entry.name for entry in entry_points(group="ai_batch.providers")}
    return _beginning(incomplete, sorted(names - {"concurrent"}))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _models(spec: str) -> list[str]:
    import json

    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(spec)
        return [str(found[key]) for key in ("model", "embedding_model") if found.get(key)]
    return []


def _jobs(ctx: typer.Context) -> list[tuple[str, str, str, str]]:
    # Only now: most commands complete nothing.
    import sqlite3

    path = _ledger(ctx)
    if path is None:
        return []
    try:
        # To be read only: a shell that asks must not make a ledger.
        ledger = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        with contextlib.closing(ledger):
            return ledger.execute(NEWEST).fetchall()
    except sqlite3.Error:
        return []


def _ledger(ctx: typer.Context) -> Path | None:
    """The file of the ledger; None for one at an address, which may take long to answer."""
    named = ctx.params.get("ledger") or os.environ.get("AI_BATCH_LEDGER")
    if named:
        return None if "://" in named else Path(named).expanduser().absolute()
    given = ctx.params.get("home") or os.environ.get("AI_BATCH_HOME")
    if not given:
        import platformdirs

        given = platformdirs.user_state_path("ai-batch", appauthor=False)
    return Path(given).expanduser().absolute() / "ledger.db"
