"""Writes a shard's input from the job's requests: for another attempt, or with a new token."""

from __future__ import annotations

import logging
import os
import time
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ai_batch.core.parts import CARRIED, carried_parts, without
from ai_batch.core.places import wire_id
from ai_batch.core.provider import Formats
from ai_batch.core.requestlog import RequestLog
from ai_batch.core.requests import Request
from ai_batch.core.spool import JobFolder, LineWriter, members_of, write_members
from ai_batch.core.state import Shard, ShardState, token_for
from ai_batch.core.tokens import estimate_tokens

__all__ = [
    "halves",
    "input_damage",
    "renewal",
    "sound_input",
    "write_child",
    "write_input",
]

logger = logging.getLogger("ai_batch.engine")

BLOCK = 1 << 20

FRESH = 600.0
"""Seconds for which an input of the right size is taken as it is: the system still holds in its
memory what was written, so that the disk has had no part in it."""


def write_input(folder: JobFolder, shard: Shard, provider: Formats) -> Shard:
    """Encode the shard's requests under its token; the shard with its size as it now is."""
    tokens = 0
    carried = carried_parts(folder, shard.name)
    with (
        RequestLog(folder) as log,
        folder.written(folder.file(shard.name, "input.jsonl")) as file,
    ):
        lines = LineWriter(file)
        for index in members_of(folder, shard):
            request: Request = log.request(index)
            line = provider.encode(request, shard.route, wire_id(shard.token, index))
            if index in carried:
                line = without(line, carried[index])
            lines.write(line)
            tokens += estimate_tokens(request)
        lines.flush()
    return shard.evolve(bytes=lines.size, tokens=tokens, input_check=lines.check)


def sound_input(folder: JobFolder, shard: Shard, provider: Formats) -> Shard:
    """The shard with its input as it was written: made again where the disk has changed it.

    What a vendor would answer to a changed input is paid for, and looks like any other answer.
    """
    path = folder.file(shard.name, "input.jsonl")
    found = input_damage(path, shard, fresh=FRESH)
    if found is None:
        return shard
    logger.warning("%s is damaged: %s; writing it again from the job's requests", path, found)
    written = write_input(folder, shard, provider)
    # The tokens are what is reserved for it in the queue, and stay so.
    return written.evolve(tokens=shard.tokens)


def input_damage(path: Path, shard: Shard, *, fresh: float = 0.0) -> str | None:
    """What is wrong with a shard's input; None where it is as it was written.

    One that is younger than ``fresh`` seconds is only measured.
    """
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if state.st_size != shard.bytes:
                return f"it holds {state.st_size} bytes of {shard.bytes}"
            if shard.input_check is None or 0 <= time.time() - state.st_mtime < fresh:
                return None
            check = 0
            while block := file.read(BLOCK):
                check = zlib.crc32(block, check)
    except FileNotFoundError:
        return "it is missing"
    return None if check == shard.input_check else "its checksum is wrong"


def write_child(
    folder: JobFolder,
    parent: Shard,
    provider: Formats,
    store_id: str,
    indices: Sequence[int],
    *,
    suffix: str,
    carried: Iterable[bytes] = (),
    **changes: float,
) -> Shard:
    """A new shard for some of the parent's requests, its files written; ``seq`` is not yet set.

    Its name and token derive from the parent's, so that doing this twice gives the same files.
    ``carried`` are rows that need not be asked for again.
    """
    name = f"{parent.name}{suffix}"
    child = Shard(
        job_id=parent.job_id,
        seq=0,
        name=name,
        state=ShardState.PLANNED,
        route=parent.route,
        account=parent.account,
        token=token_for(store_id, parent.job_id, name, 1),
        count=len(indices),
        bytes=0,
        tokens=0,
        first_index=indices[0],
        last_index=indices[-1],
        parent=parent.seq,
        attempt=parent.attempt,
    ).evolve(**changes)
    if not child.contiguous:
        write_members(folder, name, array("Q", indices))
    _write_carried(folder, name, carried)
    return write_input(folder, child, provider)


def _write_carried(folder: JobFolder, name: str, lines: Iterable[bytes]) -> None:
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        return
    with folder.written(folder.file(name, CARRIED)) as file:
        file.writelines(line + b"\n" for line in chain((first,), lines))


def halves(indices: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Both halves of a shard's requests."""
    middle = len(indices) // 2
    return indices[:middle], indices[middle:]


def renewal(shard: Shard, renewed: Shard) -> dict[str, Any]:
    """What changes when a shard gets a new token and goes back to the start."""
    return {
        "token": renewed.token,
        "submission": renewed.submission,
        "bytes": renewed.bytes,
        "input_check": renewed.input_check,
        "strays": (*shard.strays, shard.token) if shard.token not in shard.strays else shard.strays,
        "input_id": None,
        "remote_id": None,
        "adopted": False,
        "intent_at": None,
        "cancel_at": None,
        "live_completed": 0,
        "live_failed": 0,
    }
