"""The files that the Developer API holds: records in the store, contents on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.gemini.records import SIX_WEEKS, TWO_DAYS, GeminiFile, UploadSession
from ai_batch.emulator.record_book import RecordBook
from ai_batch.emulator.world import World


class GeminiShelf:
    """Adds, finds and removes files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files = RecordBook(world.store, "gemini.file", GeminiFile)
        self.sessions = RecordBook(world.store, "gemini.upload", UploadSession)

    def load(self) -> None:
        """Read all records from the store."""
        self._files.load()
        self.sessions.load()

    def path(self, file_id: str) -> Path:
        """Return where the content of a file lies."""
        return self._world.store.contents / f"gemini-{file_id}"

    def part(self, session: UploadSession) -> Path:
        """Return where the beginning of an upload lies."""
        return self._world.store.contents / f"gemini-part-{session.id}"

    def add_upload(self, session: UploadSession) -> GeminiFile:
        """Take over what was uploaded as a new file."""
        content = self.part(session)
        now = self._world.clock.now()
        file = GeminiFile(
            id=session.file_id,
            serial=self._world.store.serial(),
            bytes=content.stat().st_size,
            created_at=now,
            expires_at=now + TWO_DAYS,
            mime_type=session.mime_type,
            sha256=_sha256(content),
            display_name=session.display_name,
        )
        content.replace(self.path(file.id))
        return self._files.save(file)

    def add_output(self, file_id: str, content: Path, batch_id: str, since: float) -> GeminiFile:
        """Take over the results of a batch."""
        file = GeminiFile(
            id=file_id,
            serial=self._world.store.serial(),
            bytes=content.stat().st_size,
            created_at=since,
            expires_at=since + SIX_WEEKS,
            mime_type="application/jsonl",
            sha256=_sha256(content),
            visible_from=since,
            batch_id=batch_id,
        )
        content.replace(self.path(file.id))
        return self._files.save(file)

    def find(self, file_id: str) -> GeminiFile | None:
        """Return a file that exists now."""
        file = self._files.find(file_id)
        if file is None:
            return None
        now = self._world.clock.now()
        if file.expires_at <= now:
            self._forget(file)
            return None
        return file if file.exists(now) else None

    def get(self, file_id: str) -> GeminiFile:
        """Return a file, or raise the error that the vendor has for all that are not there.

        That is a 403, not a 404 (https://github.com/googleapis/python-genai/issues/1218).
        """
        file = self.find(file_id)
        if file is None:
            message = (
                f"You do not have permission to access the File {file_id} or it may not exist."
            )
            raise GoogleError(message, status=403)
        return file

    def delete(self, file_id: str) -> None:
        """Remove a file, or raise the vendor's error."""
        self._forget(self.get(file_id))
        self._world.store.add("files_deleted")

    def live(self) -> list[GeminiFile]:
        """Return all files that exist now, oldest first."""
        found = (self.find(file.id) for file in self._files.oldest_first())
        return [file for file in found if file is not None]

    def stored_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(file.bytes for file in self.live())

    def _forget(self, file: GeminiFile) -> None:
        self._files.remove(file.id)
        self.path(file.id).unlink(missing_ok=True)


def _sha256(content: Path) -> str:
    with content.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
