"""The files that the vendor holds: records in the store, contents on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.openai.records import MONTH, FileRecord
from ai_batch.emulator.world import World

_KIND = "openai.file"


class FileShelf:
    """Adds, finds and removes files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files: dict[str, FileRecord] = {}
        self.load()

    def load(self) -> None:
        """Read all records from the store."""
        records = [
            msgspec.json.decode(data, type=FileRecord) for data in self._world.store.records(_KIND)
        ]
        self._files = {file.id: file for file in sorted(records, key=lambda file: file.serial)}

    def path(self, file_id: str) -> Path:
        """Return where the content lies."""
        return self._world.store.contents / file_id

    def add(
        self,
        content: Path,
        filename: str,
        purpose: str,
        *,
        expires_after: int | None = None,
        visible_from: float | None = None,
        batch_id: str | None = None,
    ) -> FileRecord:
        """Take over a content as a new file."""
        created = self._world.clock.now() if visible_from is None else visible_from
        if expires_after is None and purpose in {"batch", "batch_output"}:
            expires_after = MONTH
        file = FileRecord(
            id=f"file-{self._world.new_base62('file')}",
            serial=self._world.store.serial(),
            bytes=content.stat().st_size,
            created_at=created,
            filename=filename,
            purpose=purpose,
            expires_at=None if expires_after is None else created + expires_after,
            visible_from=visible_from or 0.0,
            batch_id=batch_id,
        )
        content.replace(self.path(file.id))
        self._world.store.put(_KIND, file.id, msgspec.json.encode(file))
        self._files[file.id] = file
        return file

    def find(self, file_id: str) -> FileRecord | None:
        """Return a file that exists now."""
        file = self._files.get(file_id)
        if file is None:
            return None
        now = self._world.clock.now()
        if file.expires_at is not None and file.expires_at <= now:
            self._forget(file)
            return None
        return file if file.exists(now) else None

    def get(self, file_id: str) -> FileRecord:
        """Return a file, or raise the vendor's 404."""
        file = self.find(file_id)
        if file is None:
            raise VendorError(f"No such File object: {file_id}", status=404, param="id")
        return file

    def delete(self, file_id: str) -> None:
        """Remove a file, or raise the vendor's 404."""
        self._forget(self.get(file_id))
        self._world.store.add("files_deleted")

    def live(self) -> list[FileRecord]:
        """Return all files that exist now, oldest first."""
        found = (self.find(file_id) for file_id in tuple(self._files))
        return [file for file in found if file is not None]

    def _forget(self, file: FileRecord) -> None:
        self._files.pop(file.id, None)
        self._world.store.remove(_KIND, file.id)
        self.path(file.id).unlink(missing_ok=True)
