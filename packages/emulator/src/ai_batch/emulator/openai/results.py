"""Result files as they are downloaded, damaged where a fault says so."""

from __future__ import annotations

from pathlib import Path

from ai_batch.emulator.faults import Fault, RowDamage
from ai_batch.emulator.identity import generator
from ai_batch.emulator.openai.damage import LOSING, damage_rows, damaged_index
from ai_batch.emulator.openai.records import FileRecord
from ai_batch.emulator.openai.shelf import FileShelf
from ai_batch.emulator.transfer import Download
from ai_batch.emulator.world import World

LOST = "lost:"


class ResultFiles:
    """Opens contents for download."""

    def __init__(self, world: World, shelf: FileShelf) -> None:
        self._world = world
        self._shelf = shelf

    def open(self, file: FileRecord, damage: tuple[RowDamage, Fault] | None) -> Download:
        """Open a content; only result files are ever damaged."""
        path = self._shelf.path(file.id)
        if damage is None or file.batch_id is None:
            return Download.of(path)
        kind, fault = damage
        mark = f"damaged:{file.id}:{kind}:{fault.row_index}"
        if fault.persistent and self._world.store.setting(mark) is not None:
            return Download.of(path)
        scratch = self._world.store.incoming / self._world.new_hex("damaged")
        self._damage(file, path, scratch, kind, fault.row_index, persistent=fault.persistent)
        if fault.persistent:
            scratch.replace(path)
            self._world.store.set_setting(mark, "done")
            return Download.of(path)
        try:
            return Download.of(scratch)
        finally:
            # Where an open file cannot be removed, the next start clears the folder.
            _unlink_if_possible(scratch)

    def _damage(
        self,
        file: FileRecord,
        path: Path,
        scratch: Path,
        kind: RowDamage,
        wanted: int | None,
        *,
        persistent: bool,
    ) -> None:
        with path.open("rb") as rows:
            total = sum(1 for _ in rows)
        draw = generator(self._world.options.seed, f"damage:{file.id}").randrange(1 << 30)
        index = damaged_index(kind, wanted, total, draw)
        with path.open("rb") as rows, scratch.open("wb") as sink:
            damage_rows(rows, kind, index, sink)
        if persistent and kind in LOSING:
            self._count_as_lost(file, index)

    def _count_as_lost(self, file: FileRecord, index: int) -> None:
        """Rows of a result file stand in the order of the item log's good (or bad) entries."""
        billed = file.filename.endswith("_output.jsonl")
        keys = self._world.items.keys_of(file.batch_id or "", billed=billed)
        if 0 <= index < len(keys):
            self._world.store.add(LOST + keys[index])


def _unlink_if_possible(path: Path) -> None:
    try:
        path.unlink()
    except PermissionError:
        return
