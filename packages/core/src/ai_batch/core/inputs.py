"""Where a plan's requests on one route go: into the input file of the shard that is open."""

from __future__ import annotations

import contextlib
import io
from array import array
from dataclasses import dataclass
from typing import IO

from ai_batch.core.errors import Problem
from ai_batch.core.plan import Draft
from ai_batch.core.provider import Limits
from ai_batch.core.spool import JobFolder, LineWriter, open_private, sync, write_members
from ai_batch.core.state import token_for

__all__ = ["RouteInputs", "RouteTotals"]

NO_TOKEN = "0" * 16
"""Stands for one where only its length counts."""


@dataclass(slots=True)
class RouteTotals:
    """What a plan holds on one route; tokens are estimated, output tokens where asked for."""

    requests: int = 0
    batches: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class RouteInputs:
    """Writes the input files of one route's shards, one after the other.

    ``token`` is what the wire ids of the open shard begin with.
    """

    __slots__ = ("_file", "_folder", "_lines", "_names", "limits", "token", "totals")

    def __init__(self, folder: JobFolder, names: tuple[str, str], limits: Limits) -> None:
        """``names`` are the store's id and the job's."""
        self._folder = folder
        self._names = names
        # Until the first shard is open: nothing is written to it.
        self._file: IO[bytes] = io.BytesIO()
        self._lines = LineWriter(self._file)
        self.limits = limits
        self.token = NO_TOKEN
        self.totals = RouteTotals()

    def refusal(self, size: int, inputs: int) -> Problem | None:
        """Why a request fits into no batch at all, if so; ``size`` is in bytes with the end."""
        limits = self.limits
        if size > limits.max_bytes:
            return Problem(
                f"the request takes {size:,} bytes, a batch may hold {limits.max_bytes:,}"
            )
        if limits.max_inputs is not None and inputs > limits.max_inputs:
            return Problem(
                f"{inputs:,} texts, a batch may hold {limits.max_inputs:,}", field="texts"
            )
        return None

    def open(self, draft: Draft) -> None:
        """Begin the next shard. Raises ``OSError``."""
        self.token = token_for(*self._names, draft.name, 1)
        self._file = open_private(self._folder.file(draft.name, "input.jsonl"))
        self._lines = LineWriter(self._file)
        self.totals.batches += 1

    def write(self, line: bytes, tokens: int, output_tokens: int) -> None:
        """Add a request to the open shard. Raises ``OSError``."""
        self._lines.write(line)
        totals = self.totals
        totals.requests += 1
        totals.input_tokens += tokens
        totals.output_tokens += output_tokens

    def close(self, draft: Draft) -> None:
        """Have the open shard on disk. Raises ``OSError``."""
        self._lines.flush()
        sync(self._file)
        self._file.close()
        draft.input_check = self._lines.check
        if draft.members:
            write_members(self._folder, draft.name, draft.members)
            draft.members = array("Q")

    def abandon(self) -> None:
        """Close the file, whatever has happened; what a full disk has not taken is of no use."""
        with contextlib.suppress(OSError):
            self._file.close()
