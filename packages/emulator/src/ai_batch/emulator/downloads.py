"""Result files as they are downloaded, damaged where a fault says so."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ai_batch.emulator.damage import LOSING, RowShape, damage_rows, damaged_index
from ai_batch.emulator.faults import Fault, RowDamage
from ai_batch.emulator.identity import generator
from ai_batch.emulator.transfer import Download
from ai_batch.emulator.world import World

LOST = "lost:"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """The results of a batch: all of them, or (`billed`) only the good or only the bad ones."""

    id: str
    path: Path
    batch_id: str
    shape: RowShape
    billed: bool | None = None


def open_results(
    world: World, file: ResultFile, damage: tuple[RowDamage, Fault] | None
) -> Download:
    """Open a result file for a download that may meet a damage."""
    if damage is None:
        return Download.of(file.path)
    kind, fault = damage
    mark = f"damaged:{file.id}:{kind}:{fault.row_index}"
    if fault.persistent and world.store.setting(mark) is not None:
        return Download.of(file.path)
    scratch = world.store.incoming / world.new_hex("damaged")
    index = _damage(world, file, scratch, kind, fault.row_index)
    if fault.persistent:
        if kind in LOSING:
            _count_as_lost(world, file, index)
        scratch.replace(file.path)
        world.store.set_setting(mark, "done")
        return Download.of(file.path)
    try:
        return Download.of(scratch)
    finally:
        # Where an open file cannot be removed, the next start clears the folder.
        _unlink_if_possible(scratch)


def escaped(world: World, download: Download) -> Download:
    """Return the same rows in ASCII, with all other characters escaped."""
    scratch = world.store.incoming / world.new_hex("escaped")
    with download.source as rows, scratch.open("wb") as sink:
        sink.writelines(
            _NOT_ASCII.sub(_escape, row.decode(errors="replace")).encode() for row in rows
        )
    try:
        return Download.of(scratch)
    finally:
        _unlink_if_possible(scratch)


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def _damage(
    world: World, file: ResultFile, scratch: Path, kind: RowDamage, wanted: int | None
) -> int:
    with file.path.open("rb") as rows:
        total = sum(1 for _ in rows)
    draw = generator(world.options.seed, f"damage:{file.id}").randrange(1 << 30)
    index = damaged_index(kind, wanted, total, draw)
    with file.path.open("rb") as rows, scratch.open("wb") as sink:
        damage_rows(rows, kind, index, sink, file.shape)
    return index


def _count_as_lost(world: World, file: ResultFile, index: int) -> None:
    """Rows of a result file stand in the order of the item log's entries."""
    keys = world.items.keys_of(file.batch_id, billed=file.billed)
    if 0 <= index < len(keys):
        world.store.add(LOST + keys[index])


def _unlink_if_possible(path: Path) -> None:
    try:
        path.unlink()
    except PermissionError:
        return
