"""The ways of an object into a bucket: in one call, with its settings, or in chunks.

See https://docs.cloud.google.com/storage/docs/performing-resumable-uploads for the last of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ai_batch.emulator.gcs.errors import StorageError
from ai_batch.emulator.gcs.queries import base_of, conditions_of, json_reply, resource_of
from ai_batch.emulator.gcs.records import SessionRecord
from ai_batch.emulator.gcs.related import read_related
from ai_batch.emulator.gcs.warehouse import Warehouse, check_conditions, checked_name
from ai_batch.emulator.route import Call
from ai_batch.emulator.streams import counted_stream
from ai_batch.emulator.world import World

_SESSION = "gcs.session"
_WEEK = 7 * 86_400
_QUANTUM = 256 * 1024
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_CLOSED_BY_CLIENT = 499


class StorageUploadsApi:
    """Simple, multipart and resumable uploads."""

    def __init__(self, world: World, warehouse: Warehouse) -> None:
        self._world = world
        self._warehouse = warehouse

    async def upload(self, call: Call) -> Response:
        """POST /upload/storage/v1/b/{bucket}/o."""
        match call.request.query_params.get("uploadType"):
            case "multipart":
                return await self._multipart(call)
            case "resumable":
                return await self._begin(call)
            case "media":
                return await self._media(call)
            case other:
                raise StorageError(f"Invalid upload type: {other}", reason="invalidParameter")

    async def _multipart(self, call: Call) -> Response:
        target = self._warehouse.scratch()
        try:
            content_type = call.request.headers.get("content-type", "")
            data, media_type = await read_related(counted_stream(call), content_type, target)
            given = _with_query(call, resource_of(data))
            return await self._put(call, target, {"contentType": media_type, **given})
        finally:
            target.unlink(missing_ok=True)

    async def _media(self, call: Call) -> Response:
        target = self._warehouse.scratch()
        try:
            with target.open("wb") as sink:
                async for piece in counted_stream(call):
                    sink.write(piece)
            media_type = call.request.headers.get("content-type")
            return await self._put(call, target, _with_query(call, {"contentType": media_type}))
        finally:
            target.unlink(missing_ok=True)

    async def _put(self, call: Call, target: Path, resource: dict[str, Any]) -> Response:
        bucket: str = call.request.path_params["bucket"]
        conditions = conditions_of(call.request.query_params)
        found = await run_in_threadpool(self._warehouse.put, bucket, target, resource, conditions)
        self._world.store.add("files_uploaded")
        return json_reply(found.to_json(base_of(call.request)))

    # ---- resumable

    async def _begin(self, call: Call) -> Response:
        bucket: str = call.request.path_params["bucket"]
        resource = _with_query(call, resource_of(await call.request.body()))
        media_type = call.request.headers.get("x-upload-content-type")
        if media_type and not resource.get("contentType"):
            resource["contentType"] = media_type
        conditions = conditions_of(call.request.query_params)
        check_conditions(self._warehouse.find(bucket, checked_name(resource)), conditions)
        session = SessionRecord(
            id=self._world.new_base62("gcs-upload"),
            bucket=bucket,
            created_at=self._world.clock.now(),
            resource=resource,
            conditions=conditions,
        )
        self._part(session).touch()
        self._save(session)
        base = base_of(call.request)
        query = f"uploadType=resumable&upload_id={session.id}"
        location = f"{base}/upload/storage/v1/b/{bucket}/o?{query}"
        return Response(headers={"location": location, "x-guploader-uploadid": session.id})

    async def chunk(self, call: Call) -> Response:
        """PUT /upload/storage/v1/b/{bucket}/o?upload_id=..: a chunk, or the question how far."""
        session = self._session(call)
        if session.finished is not None:
            return json_reply(session.finished.to_json(base_of(call.request)))
        first, total = self._announced(call, session)
        if first is None:
            if total is not None and total == self._received(session):
                return await self._finish(call, session)
            return self._resume_incomplete(session)
        await self._receive(call, session, first)
        if total is None or self._received(session) < total:
            return self._resume_incomplete(session)
        return await self._finish(call, session)

    def _announced(self, call: Call, session: SessionRecord) -> tuple[int | None, int | None]:
        """Return where the chunk starts, and the size of the whole as far as it is known."""
        header = call.request.headers.get("content-range")
        if header is None:
            length = call.request.headers.get("content-length", "0")
            return 0, int(length)
        match = _RANGE.fullmatch(header.strip())
        if match is None:
            raise StorageError("Failed to parse Content-Range header.", reason="badRequest")
        first, _, total = match.groups()
        if first is not None and int(first) > self._received(session):
            # The vendor asks a client who has left a gap to begin again where it stopped.
            raise StorageError("Invalid request: the chunk leaves a gap.", status=503)
        return None if first is None else int(first), None if total == "*" else int(total)

    async def _receive(self, call: Call, session: SessionRecord, first: int) -> None:
        """Add what is new of a chunk. Of one that is cut, whole quanta are kept."""
        skip = self._received(session) - first
        complete = False
        try:
            with self._part(session).open("ab") as sink:
                async for piece in counted_stream(call):
                    sink.write(piece[skip:] if skip < len(piece) else b"")
                    skip = max(0, skip - len(piece))
            complete = True
        finally:
            if not complete:
                kept = self._received(session) // _QUANTUM * _QUANTUM
                with self._part(session).open("ab") as sink:
                    sink.truncate(kept)

    def _resume_incomplete(self, session: SessionRecord) -> Response:
        received = self._received(session)
        headers = {"range": f"bytes=0-{received - 1}"} if received else {}
        return Response(status_code=308, headers=headers)

    async def _finish(self, call: Call, session: SessionRecord) -> Response:
        part = self._part(session)
        found = await run_in_threadpool(
            self._warehouse.put, session.bucket, part, session.resource, session.conditions
        )
        self._save(replace(session, finished=found))
        self._world.store.add("files_uploaded")
        return json_reply(found.to_json(base_of(call.request)))

    async def cancel(self, call: Call) -> Response:
        """DELETE /upload/storage/v1/b/{bucket}/o?upload_id=..."""
        session = self._session(call)
        self._part(session).unlink(missing_ok=True)
        self._world.store.remove(_SESSION, session.id)
        return Response(status_code=_CLOSED_BY_CLIENT)

    def _part(self, session: SessionRecord) -> Path:
        return self._world.store.contents / f"gcs-part-{session.id}"

    def _received(self, session: SessionRecord) -> int:
        return self._part(session).stat().st_size

    def _save(self, session: SessionRecord) -> None:
        self._world.store.put(_SESSION, session.id, msgspec.json.encode(session))

    def _session(self, call: Call) -> SessionRecord:
        wanted = call.request.query_params.get("upload_id")
        for data in self._world.store.records(_SESSION):
            session = msgspec.json.decode(data, type=SessionRecord)
            if session.id == wanted:
                if self._world.clock.now() - session.created_at > _WEEK:
                    raise StorageError("Upload session has expired.", status=410)
                return session
        raise StorageError("Not Found", status=404)


def _with_query(call: Call, resource: dict[str, Any]) -> dict[str, Any]:
    name = call.request.query_params.get("name")
    return resource if name is None else {**resource, "name": name}
