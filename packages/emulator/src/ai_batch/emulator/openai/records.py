"""What is remembered of a file, an upload and a batch."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ai_batch.emulator.durations import Durations
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.usage import TokenUsage

DAY = 86_400
MONTH = 30 * DAY

Validation: TypeAlias = Literal["pending", "passed", "failed"]


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file; result files exist from `visible_from` on."""

    id: str
    serial: int
    bytes: int
    created_at: float
    filename: str
    purpose: str
    expires_at: float | None = None
    visible_from: float = 0.0
    batch_id: str | None = None

    def exists(self, now: float) -> bool:
        """Tell whether the file can be seen at this time."""
        return self.visible_from <= now and (self.expires_at is None or now < self.expires_at)

    def to_json(self) -> JsonObject:
        """Return the File object of the wire."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": int(self.created_at),
            "expires_at": None if self.expires_at is None else int(self.expires_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class UploadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An upload in parts; the parts lie in files named by their ids."""

    id: str
    bytes: int
    created_at: float
    filename: str
    purpose: str
    expires_at: float
    file_expires_after: int | None = None
    parts: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    status: Literal["pending", "completed", "cancelled"] = "pending"
    file: FileRecord | None = None

    def status_at(self, now: float) -> str:
        """Return the status, which ends by itself when the upload expires."""
        return "expired" if self.status == "pending" and now >= self.expires_at else self.status

    def to_json(self, now: float) -> JsonObject:
        """Return the Upload object of the wire."""
        return {
            "id": self.id,
            "object": "upload",
            "bytes": self.bytes,
            "created_at": int(self.created_at),
            "expires_at": int(self.expires_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": self.status_at(now),
            "file": None if self.file is None else self.file.to_json(),
        }


class LineError(msgspec.Struct, frozen=True):
    """Why a batch failed its validation."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a batch's work. `lag` is the real time that the work itself took."""

    rows: int
    completed: int
    failed: int
    lag: float
    usage: TokenUsage
    output_file_id: str | None
    error_file_id: str | None


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A batch: what was asked for, and what has been done about it so far."""

    id: str
    serial: int
    created_at: float
    endpoint: str
    input_file_id: str
    metadata: dict[str, str] | None
    output_expires_after: int | None
    durations: Durations
    validation: Validation = "pending"
    errors: tuple[LineError, ...] = ()
    model: str | None = None
    total: int = 0
    tokens: int = 0
    cancel_at: float | None = None
    executed: Executed | None = None
    announced: bool = False
    file_never_found: bool = False
