"""The buckets and objects that exist: records in the store, contents on disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from ai_batch.emulator.gcs.checksums import digests
from ai_batch.emulator.gcs.errors import StorageError, no_such_bucket, no_such_object
from ai_batch.emulator.gcs.records import SETTABLE, BucketRecord, ObjectRecord
from ai_batch.emulator.transfer import Download
from ai_batch.emulator.world import World

_BUCKET = "gcs.bucket"
_OBJECT = "gcs.object"
_MOST_BYTES_OF_NAME = 1024


class Warehouse:
    """Adds, finds and removes objects. A bucket comes into being when something is put into it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._buckets: dict[str, BucketRecord] = {}
        self._objects: dict[tuple[str, str], ObjectRecord] = {}
        self._last_generation = 0
        self.load()

    def count(self) -> int:
        """Return how many objects exist."""
        return len(self._objects)

    def load(self) -> None:
        """Read all records from the store."""
        store = self._world.store
        buckets = [msgspec.json.decode(data, type=BucketRecord) for data in store.records(_BUCKET)]
        objects = [msgspec.json.decode(data, type=ObjectRecord) for data in store.records(_OBJECT)]
        self._buckets = {bucket.name: bucket for bucket in buckets}
        self._objects = {(each.bucket, each.name): each for each in objects}

    # ---- buckets

    def buckets(self) -> list[BucketRecord]:
        """Return all buckets, by name."""
        return sorted(self._buckets.values(), key=lambda bucket: bucket.name)

    def bucket(self, name: str) -> BucketRecord:
        """Return a bucket, or raise the 404."""
        bucket = self._buckets.get(name)
        if bucket is None:
            raise no_such_bucket(name)
        return bucket

    def make_bucket(self, name: str, location: str = "US") -> BucketRecord:
        """Make a bucket; raises the 409 if there is one of that name."""
        if name in self._buckets:
            message = "Your previous request to create the named bucket succeeded."
            raise StorageError(message, status=409)
        bucket = BucketRecord(name=name, created_at=self._world.clock.now(), location=location)
        self._world.store.put(_BUCKET, name, msgspec.json.encode(bucket))
        self._buckets[name] = bucket
        return bucket

    def remove_bucket(self, name: str) -> None:
        """Remove an empty bucket."""
        self.bucket(name)
        if any(bucket == name for bucket, _ in self._objects):
            raise StorageError("The bucket you tried to delete is not empty.", status=409)
        self._world.store.remove(_BUCKET, name)
        del self._buckets[name]

    # ---- objects

    def path(self, found: ObjectRecord) -> Path:
        """Return where the content of an object lies."""
        return self._world.store.contents / f"gcs-{found.generation}"

    def find(self, bucket: str, name: str) -> ObjectRecord | None:
        """Return an object, or None."""
        return self._objects.get((bucket, name))

    def get(self, bucket: str, name: str) -> ObjectRecord:
        """Return an object, or raise the 404."""
        found = self.find(bucket, name)
        if found is None:
            raise no_such_object(bucket, name)
        return found

    def objects(self, bucket: str) -> list[ObjectRecord]:
        """Return all objects of a bucket in the order of their names' bytes, or raise the 404."""
        self.bucket(bucket)
        found = [each for each in tuple(self._objects.values()) if each.bucket == bucket]
        return sorted(found, key=lambda each: each.name.encode())

    def put(
        self,
        bucket: str,
        content: Path,
        resource: Mapping[str, Any],
        conditions: Mapping[str, int],
        batch_id: str | None = None,
    ) -> ObjectRecord:
        """Take over a content as an object, in place of the one that had its name."""
        name = checked_name(resource)
        with content.open("rb") as source:
            md5, crc32c = digests(source)
        for field, found in (("md5Hash", md5), ("crc32c", crc32c)):
            if resource.get(field) not in (None, found):
                message = f'Provided {field} "{resource[field]}" doesn\'t match "{found}".'
                raise StorageError(message)
        with self._world.lock:
            before = self.find(bucket, name)
            check_conditions(before, conditions)
            if bucket not in self._buckets:
                self.make_bucket(bucket)
            now = self._world.clock.now()
            record = ObjectRecord(
                bucket=bucket,
                name=name,
                generation=self._next_generation(now),
                created_at=now,
                updated_at=now,
                bytes=content.stat().st_size,
                md5=md5,
                crc32c=crc32c,
                settings={key: resource[key] for key in SETTABLE if resource.get(key) is not None},
                batch_id=batch_id,
            )
            content.replace(self.path(record))
            self._save(record)
        if before is not None:
            self.path(before).unlink(missing_ok=True)
        return record

    def _next_generation(self, now: float) -> int:
        self._last_generation = max(self._last_generation + 1, int(now * 1_000_000))
        return self._last_generation

    def copy(
        self,
        bucket: str,
        source: ObjectRecord,
        resource: Mapping[str, Any],
        conditions: Mapping[str, int],
    ) -> ObjectRecord:
        """Copy an object, with its settings unless others are given."""
        copied = self.scratch()
        shutil.copyfile(self.path(source), copied)
        resource = {**source.settings, **resource}
        return self.put(bucket, copied, resource, conditions)

    def compose(
        self,
        bucket: str,
        sources: list[ObjectRecord],
        resource: Mapping[str, Any],
        conditions: Mapping[str, int],
    ) -> ObjectRecord:
        """Make an object of the contents of others."""
        composed = self.scratch()
        with composed.open("wb") as sink:
            for source in sources:
                with self.path(source).open("rb") as content:
                    shutil.copyfileobj(content, sink)
        return self.put(bucket, composed, resource, conditions)

    def scratch(self) -> Path:
        """Return a new path for a content that is being made."""
        return self._world.store.incoming / self._world.new_hex("gcs")

    def change(self, found: ObjectRecord, settings: Mapping[str, Any]) -> ObjectRecord:
        """Change what the owner decides; None takes a setting away."""
        merged = {**found.settings, **{key: settings[key] for key in SETTABLE if key in settings}}
        kept = {key: value for key, value in merged.items() if value is not None}
        changed = replace(
            found,
            settings=kept,
            metageneration=found.metageneration + 1,
            updated_at=self._world.clock.now(),
        )
        self._save(changed)
        return changed

    def opened(self, found: ObjectRecord, download: Download, *, keep: bool) -> ObjectRecord:
        """Return the record of a content that is not what was once put; `keep` remembers it."""
        md5, crc32c = digests(download.source)
        changed = replace(found, md5=md5, crc32c=crc32c, bytes=download.size)
        if keep:
            self._save(changed)
        return changed

    def _save(self, found: ObjectRecord) -> None:
        self._world.store.put(_OBJECT, _key(found), msgspec.json.encode(found))
        self._objects[found.bucket, found.name] = found

    def remove(self, found: ObjectRecord) -> None:
        """Remove an object."""
        self._objects.pop((found.bucket, found.name), None)
        self._world.store.remove(_OBJECT, _key(found))
        self.path(found).unlink(missing_ok=True)


def _key(found: ObjectRecord) -> str:
    return f"{found.bucket}/{found.name}"


def checked_name(resource: Mapping[str, Any]) -> str:
    """Return the name of an object to be made."""
    name = resource.get("name")
    if not isinstance(name, str) or not name:
        raise StorageError("Required", reason="required")
    if len(name.encode()) > _MOST_BYTES_OF_NAME or "\n" in name or "\r" in name:
        raise StorageError("Invalid object name")
    return name


def check_conditions(found: ObjectRecord | None, conditions: Mapping[str, int]) -> None:
    """Raise the 412 (or 304) where a precondition does not hold; generation 0 is "no object"."""
    generation = 0 if found is None else found.generation
    metageneration = 0 if found is None else found.metageneration
    for name, actual in (("Generation", generation), ("Metageneration", metageneration)):
        wanted = conditions.get(f"if{name}Match")
        if wanted is not None and wanted != actual:
            message = "At least one of the pre-conditions you specified did not hold."
            raise StorageError(message, status=412)
        if conditions.get(f"if{name}NotMatch") == actual:
            raise StorageError("Not Modified", status=304)
