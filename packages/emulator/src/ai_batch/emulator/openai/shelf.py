"""The files that the vendor holds: records in the store, contents on disk."""

from __future__ import annotations

from pathlib import Path

from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.openai.records import MONTH, FileRecord
from ai_batch.emulator.record_book import RecordBook
from ai_batch.emulator.world import World

_KIND = "openai.file"


class FileShelf:
    """Adds, finds and removes files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._book = RecordBook(world.store, _KIND, FileRecord)

    def load(self) -> None:
        """Read all records from the store."""
        self._book.load()

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
        return self._book.save(file)

    def find(self, file_id: str) -> FileRecord | None:
        """Return a file that exists now."""
        file = self._book.find(file_id)
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
        found = (self.find(file.id) for file in self._book.oldest_first())
        return [file for file in found if file is not None]

    def _forget(self, file: FileRecord) -> None:
        self._book.remove(file.id)
        self.path(file.id).unlink(missing_ok=True)
