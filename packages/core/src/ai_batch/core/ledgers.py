"""Opens the ledger that an option names: a file of SQLite, or what another distribution brings."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.errors import UsageError
from ai_batch.core.ledger import Ledger

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

__all__ = ["open_ledger"]

GROUP = "ai_batch.ledgers"
"""Of entry points: the name is a URL's scheme, the value a function from the URL to a ledger."""

KNOWN = {"postgresql": "ai-batch-postgres", "postgres": "ai-batch-postgres"}
"""Schemes of this family, and what ``pip`` installs them."""

# Longer than a letter: ``C://`` is a drive.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def open_ledger(
    given: Ledger | str | os.PathLike[str] | None,
    home: Path,
    clock: Callable[[], float] = time.time,
) -> Ledger:
    """A ledger by its URL or its path; else ``AI_BATCH_LEDGER``, else the home's own file.

    ``clock`` gives Unix seconds to a ledger that has no clock of its own. Raises ``UsageError``
    for a URL that nothing installed can open; its password is in no message.
    """
    if isinstance(given, Ledger):
        return given
    named = given or os.environ.get("AI_BATCH_LEDGER") or home / "ledger.db"
    url = _URL.match(named) if isinstance(named, str) else None
    if url is None:
        return Ledger(SQLiteDatabase(Path(named).expanduser(), clock=clock))
    return _opener(url[1].lower())(str(named))


def _entries() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _opener(scheme: str) -> Callable[[str], Ledger]:
    for entry in _entries():
        if entry.name == scheme:
            opener: Callable[[str], Ledger] = entry.load()
            return opener
    if scheme in KNOWN:
        raise UsageError(
            f"the ledger is at a {scheme}:// address, which needs another package: "
            f"pip install {KNOWN[scheme]}"
        )
    known = ", ".join(sorted({entry.name for entry in _entries()} | KNOWN.keys()))
    raise UsageError(
        f"no ledger can be opened by {scheme}://: give a path, or an address that begins with one "
        f"of {known}"
    )
