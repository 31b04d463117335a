"""The routes under `/v1/uploads`: big files in parts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from ai_batch.emulator.json_types import JsonObject, as_count, as_list, as_text
from ai_batch.emulator.multipart import NotMultipart, read_form
from ai_batch.emulator.openai.errors import VendorError, invalid_type, invalid_value, missing
from ai_batch.emulator.openai.files_api import PURPOSES, FilesApi
from ai_batch.emulator.openai.json_body import json_request
from ai_batch.emulator.openai.records import UploadRecord
from ai_batch.emulator.openai.requirements import expiry_of, required_text
from ai_batch.emulator.openai.shelf import FileShelf
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.streams import counted_stream
from ai_batch.emulator.world import World

_KIND = "openai.upload"
_HOUR = 3600
_MAX_BYTES = 8 * 1024**3
_MAX_PART = 64 * 1024**2
_BLOCK = 1 << 20


class UploadsApi:
    """Create, add part, complete, cancel."""

    def __init__(self, world: World, shelf: FileShelf, files: FilesApi) -> None:
        self._world = world
        self._shelf = shelf
        self._files = files

    async def create(self, call: Call) -> Response:
        """POST /uploads."""
        body = await json_request(call)
        size = as_count(body.get("bytes"))
        if size is None:
            raise missing("bytes") if body.get("bytes") is None else _bad_bytes(body)
        if not 0 < size <= _MAX_BYTES:
            raise VendorError(
                "File is too large." if size > 0 else "Invalid 'bytes'.", param="bytes"
            )
        required_text(body, "mime_type")
        purpose = required_text(body, "purpose")
        if purpose not in PURPOSES:
            allowed = ", ".join(f"'{name}'" for name in PURPOSES)
            raise invalid_value("purpose", purpose, allowed)
        now = self._world.clock.now()
        upload = UploadRecord(
            id=f"upload_{self._world.new_hex('upload')}",
            bytes=size,
            created_at=now,
            filename=required_text(body, "filename"),
            purpose=purpose,
            expires_at=now + _HOUR,
            file_expires_after=expiry_of("expires_after", body.get("expires_after")),
        )
        return self._saved(upload)

    async def part(self, call: Call) -> Response:
        """POST /uploads/{id}/parts."""
        upload = self._pending(call)
        part_id = f"part_{self._world.new_hex('part')}"
        target = self._world.store.incoming / part_id
        content_type = call.request.headers.get("content-type", "")
        try:
            form = await read_form(counted_stream(call), content_type, target, _MAX_PART)
            if form.too_large:
                raise VendorError("The part is too large: at most 64 MB are allowed.", param="data")
            if form.filename is None:
                raise missing("data")
            target.replace(self._part(part_id))
        except NotMultipart as error:
            raise VendorError(f"Could not parse multipart form: {error}") from error
        finally:
            target.unlink(missing_ok=True)
        self._saved(replace(self._pending(call), parts={**upload.parts, part_id: form.size}))
        return json_reply(
            {
                "id": part_id,
                "object": "upload.part",
                "created_at": int(self._world.clock.now()),
                "upload_id": upload.id,
            }
        )

    async def complete(self, call: Call) -> Response:
        """POST /uploads/{id}/complete."""
        body = await json_request(call)
        upload = self._pending(call)
        parts = [as_text(part) for part in as_list(body.get("part_ids"))]
        if not parts:
            raise missing("part_ids")
        for part in parts:
            if part not in upload.parts:
                raise VendorError(f"No such part: {part}", param="part_ids")
        total = sum(upload.parts[part] for part in parts)
        if total != upload.bytes:
            message = f"The parts have {total} bytes, but the upload was to have {upload.bytes}."
            raise VendorError(message, param="part_ids")
        target = self._joined(upload, parts, as_text(body.get("md5")))
        try:
            if upload.purpose == "batch":
                self._files.check_batch_input(upload.filename, total, target)
            file = self._shelf.add(
                target, upload.filename, upload.purpose, expires_after=upload.file_expires_after
            )
        finally:
            target.unlink(missing_ok=True)
        self._world.store.add("files_uploaded")
        self._drop_parts(upload)
        return self._saved(replace(upload, status="completed", file=file))

    async def cancel(self, call: Call) -> Response:
        """POST /uploads/{id}/cancel."""
        upload = self._pending(call)
        self._drop_parts(upload)
        return self._saved(replace(upload, status="cancelled"))

    def _part(self, part_id: str) -> Path:
        return self._world.store.contents / part_id

    def _drop_parts(self, upload: UploadRecord) -> None:
        for part in upload.parts:
            self._part(part).unlink(missing_ok=True)

    def _joined(self, upload: UploadRecord, parts: list[str], md5: str) -> Path:
        target = self._world.store.incoming / upload.id
        digest = hashlib.md5(usedforsecurity=False)
        with target.open("wb") as sink:
            for part in parts:
                with self._part(part).open("rb") as source:
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        sink.write(block)
        if md5 and md5 != digest.hexdigest():
            target.unlink()
            raise VendorError("The checksum of the file does not match 'md5'.", param="md5")
        return target

    def _pending(self, call: Call) -> UploadRecord:
        upload_id: str = call.request.path_params["id"]
        upload = self._find(upload_id)
        if upload is None:
            raise VendorError(f"No such Upload object: {upload_id}", status=404, param="id")
        status = upload.status_at(self._world.clock.now())
        if status != "pending":
            raise VendorError(f"The upload {upload_id} is {status}, not pending.")
        return upload

    def _find(self, upload_id: str) -> UploadRecord | None:
        for data in self._world.store.records(_KIND):
            upload = msgspec.json.decode(data, type=UploadRecord)
            if upload.id == upload_id:
                return upload
        return None

    def _saved(self, upload: UploadRecord) -> Response:
        self._world.store.put(_KIND, upload.id, msgspec.json.encode(upload))
        return json_reply(upload.to_json(self._world.clock.now()))


def _bad_bytes(body: JsonObject) -> VendorError:
    return invalid_type("bytes", "an integer", body["bytes"])
