"""The commands that send nothing: ``estimate``, ``validate``, ``providers``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ai_batch.cli.consent import describe, estimate_fields
from ai_batch.cli.failures import ExitCode
from ai_batch.cli.home import Home
from ai_batch.cli.ids import Ids
from ai_batch.cli.running import Wanted
from ai_batch.cli.texts import plural
from ai_batch.core import Estimate, Problem, UsageError
from ai_batch.core import providers as installed
from ai_batch.core.checks import check_request
from ai_batch.core.intake import read_request
from ai_batch.core.registry import KNOWN

__all__ = ["estimate", "list_providers", "validate"]

KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "openai": ("OPENAI_API_KEY",),
    "vertex": ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"),
}
"""Where each provider looks for who asks."""

MOST_PROBLEMS = 100


def _estimated(wanted: Wanted) -> Estimate:
    # In a folder that goes: whoever only asks for a price may have no home, nor room in it.
    with tempfile.TemporaryDirectory(prefix="ai-batch-") as folder:
        # Its own ledger, whatever the environment says: nothing is kept.
        desk = wanted.offline_desk(Home(Path(folder), f"{folder}/ledger.db"))
        try:
            return desk.estimate(wanted.requests())
        finally:
            desk.close()
            desk.ledger.close()


def estimate(wanted: Wanted, *, as_json: bool) -> ExitCode:
    """Tell what a run would be."""
    found = _estimated(wanted)
    text = json.dumps(estimate_fields(found)) if as_json else describe(found)
    sys.stdout.write(f"{text}\n")
    return ExitCode.OK


def validate(wanted: Wanted, *, as_json: bool) -> ExitCode:
    """Check each row; the provider's rules as well where one is named.

    Raises ``UsageError`` with the first hundred faults.
    """
    if wanted.provider:
        found = _estimated(wanted)
        number, more = found.requests, f", as {plural(found.batches, 'batch')} of {wanted.provider}"
    else:
        number, more = _checked(wanted), ""
    if as_json:
        sys.stdout.write(json.dumps({"valid": True, "requests": number}) + "\n")
    else:
        sys.stdout.write(f"{wanted.source}: {plural(number, 'request')}, all in order{more}\n")
    return ExitCode.OK


def _checked(wanted: Wanted) -> int:
    """The number of requests, checked by the rules that hold for every provider."""
    with tempfile.TemporaryDirectory(prefix="ai-batch-") as folder:
        problems = _Problems()
        with Ids(Path(folder)) as ids:
            for index, fields in enumerate(replace(wanted, provider="openai").requests()):
                read = read_request(fields, index)
                known = str(fields.get("id") or f"req_{index}")
                ids.add(known)
                problems.add(known, index, read if isinstance(read, list) else check_request(read))
            for known, index, first in ids.repeated():
                text = f"duplicate id, first used by the request at index {first}"
                problems.add(known, index, [Problem(text, field="id")])
    problems.tell(wanted.source)
    return ids.number


class _Problems:
    """Counts faults, and keeps the first of them."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self._number = 0

    def add(self, known: str, index: int, found: Sequence[Problem]) -> None:
        self._number += len(found)
        told = [replace(problem, id=known, index=index) for problem in found]
        self._kept += told[: MOST_PROBLEMS - len(self._kept)]

    def tell(self, source: str) -> None:
        """Raises ``UsageError`` where there are any."""
        if self._number:
            text = f"{source}: {plural(self._number, 'problem')}"
            ordered = sorted(self._kept, key=lambda problem: problem.index or 0)
            raise UsageError(text, ordered, total=self._number)


def list_providers(*, as_json: bool) -> ExitCode:
    """Tell which providers are installed, how to install others, and where keys come from."""
    here = installed()
    rows = [
        {
            "name": name,
            "installed": name in here,
            "keys": {key: bool(os.environ.get(key)) for key in KEYS.get(name, ())},
            "install": None if name in here or name not in KNOWN else f"pip install {KNOWN[name]}",
        }
        for name in sorted({*here, *KNOWN})
        if name != "concurrent"
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return ExitCode.OK
    for row in rows:
        keys = ", ".join(
            f"{key} {'is set' if os.environ.get(key) else 'is not set'}"
            for key in KEYS.get(str(row["name"]), ())
        )
        state = "installed" if row["installed"] else str(row["install"])
        sys.stdout.write(f"{row['name']:<12}{state:<42}{keys}".rstrip() + "\n")
    return ExitCode.OK
