"""What is remembered of a bucket, an object and an unfinished upload."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from ai_batch.emulator.json_types import JsonObject

SETTABLE = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "eventBasedHold",
    "metadata",
    "storageClass",
    "temporaryHold",
)
"""Fields of an object that its owner decides."""


def time_text(moment: float) -> str:
    """Return a time as Cloud Storage writes it: milliseconds, and a Z."""
    shown = datetime.fromtimestamp(moment, UTC)
    return f"{shown:%Y-%m-%dT%H:%M:%S}.{shown.microsecond // 1000:03d}Z"


class BucketRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket."""

    name: str
    created_at: float
    location: str = "US"
    storage_class: str = "STANDARD"

    def to_json(self, base: str) -> JsonObject:
        """Return the bucket resource of the wire; `base` is the server's address."""
        return {
            "kind": "storage#bucket",
            "selfLink": f"{base}/storage/v1/b/{self.name}",
            "id": self.name,
            "name": self.name,
            "projectNumber": "123456789012",
            "metageneration": "1",
            "location": self.location,
            "storageClass": self.storage_class,
            "etag": "CAE=",
            "timeCreated": time_text(self.created_at),
            "updated": time_text(self.created_at),
            "locationType": "multi-region",
        }


class ObjectRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An object as it is now; `batch_id` names the batch whose results it holds."""

    bucket: str
    name: str
    generation: int
    created_at: float
    updated_at: float
    bytes: int
    md5: str
    crc32c: str
    metageneration: int = 1
    settings: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    batch_id: str | None = None

    @property
    def content_type(self) -> str:
        """The media type that the content is served with."""
        return str(self.settings.get("contentType") or "application/octet-stream")

    @property
    def etag(self) -> str:
        """A tag that changes with the content and the settings."""
        return f"{self.generation:x}/{self.metageneration}"

    def to_json(self, base: str) -> JsonObject:
        """Return the object resource of the wire; `base` is the server's address."""
        path = f"/storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        generation = str(self.generation)
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{generation}",
            "selfLink": f"{base}{path}",
            "mediaLink": f"{base}/download{path}?generation={generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": generation,
            "metageneration": str(self.metageneration),
            "storageClass": "STANDARD",
            "size": str(self.bytes),
            "md5Hash": self.md5,
            "crc32c": self.crc32c,
            "etag": self.etag,
            "timeCreated": time_text(self.created_at),
            "updated": time_text(self.updated_at),
            "timeStorageClassUpdated": time_text(self.created_at),
            "contentType": self.content_type,
            **self.settings,
        }


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A resumable upload; what has come of it lies in a file named by its id."""

    id: str
    bucket: str
    created_at: float
    resource: dict[str, Any]
    conditions: dict[str, int]
    finished: ObjectRecord | None = None
