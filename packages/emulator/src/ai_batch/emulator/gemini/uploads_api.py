"""The resumable upload of files, as the official SDK does it.

The first call names the file and is answered with an address; each chunk is posted there, without
a key. A client may also ask how much has come, or give up.
"""

from __future__ import annotations

import re

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ai_batch.emulator.gemini.errors import GoogleError, exhausted
from ai_batch.emulator.gemini.fields import CREATE_FILE
from ai_batch.emulator.gemini.json_body import api_base, json_request
from ai_batch.emulator.gemini.records import UploadSession
from ai_batch.emulator.gemini.shelf import GeminiShelf
from ai_batch.emulator.json_types import JsonObject, as_object, as_text
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.streams import counted_stream
from ai_batch.emulator.world import World

GRANULARITY = 256 * 1024
PATH_OF_CHUNKS = "files:resume"
MOST_OF_ID = 40
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_ID_LENGTH = 12


class GeminiUploadsApi:
    """Start, and chunks."""

    def __init__(self, world: World, shelf: GeminiShelf, prefix: str) -> None:
        self._world = world
        self._shelf = shelf
        self._prefix = prefix

    async def start(self, call: Call) -> Response:
        """POST /upload/{version}/files."""
        headers = call.request.headers
        if headers.get("x-goog-upload-protocol", "resumable") != "resumable":
            raise GoogleError("The emulator takes resumable uploads only.")
        if headers.get("x-goog-upload-command") != "start":
            raise GoogleError("Invalid upload: the first command must be 'start'.")
        body = as_object((await json_request(call, CREATE_FILE)).get("file"))
        session = self._session_of(call, body)
        self._shelf.part(session).touch()
        self._shelf.sessions.save(session)
        base = f"{call.request.url.scheme}://{call.request.url.netloc}{self._prefix}"
        version = call.request.path_params["version"]
        query = f"upload_id={session.id}&upload_protocol=resumable"
        url = f"{base}/upload/{version}/{PATH_OF_CHUNKS}?{query}"
        answer = Response()
        # aiohttp looks for this spelling of the name, and for the one in small letters only.
        for name in ("X-Goog-Upload-URL", "X-Goog-Upload-Control-URL"):
            answer.raw_headers.append((name.encode(), url.encode()))
        answer.headers["x-goog-upload-status"] = "active"
        answer.headers["x-goog-upload-chunk-granularity"] = str(GRANULARITY)
        answer.headers["x-guploader-uploadid"] = session.id
        return answer

    def _session_of(self, call: Call, body: JsonObject) -> UploadSession:
        size = call.request.headers.get("x-goog-upload-header-content-length", "")
        declared = int(size) if size.isdecimal() else None
        limits = self._world.options.gemini_limits
        if declared is not None and declared > limits.max_file_bytes:
            raise GoogleError(f"The file is too large: at most {limits.max_file_bytes} bytes.")
        if self._shelf.stored_bytes() + (declared or 0) > limits.max_storage_bytes:
            raise exhausted("You have exceeded your file storage quota.")
        mime_type = as_text(body.get("mimeType"))
        header = call.request.headers.get("x-goog-upload-header-content-type")
        return UploadSession(
            id=self._world.new_base62("gemini-upload"),
            serial=self._world.store.serial(),
            created_at=self._world.clock.now(),
            file_id=self._file_id(as_text(body.get("name"))),
            mime_type=mime_type or header or "application/octet-stream",
            declared=declared,
            display_name=as_text(body.get("displayName")) or None,
        )

    def _file_id(self, name: str) -> str:
        if not name:
            return self._world.new_base62("gemini-file").lower()[:_ID_LENGTH]
        file_id = name.removeprefix("files/")
        if len(file_id) > MOST_OF_ID or _NAME.fullmatch(file_id) is None:
            message = (
                f"File ID (name excluding 'files/') cannot be more than {MOST_OF_ID} characters, "
                "and has small letters, digits and dashes only."
            )
            raise GoogleError(message)
        if self._shelf.find(file_id) is not None:
            raise GoogleError("Requested entity already exists", status=409)
        return file_id

    async def chunk(self, call: Call) -> Response:
        """POST to the upload's own address."""
        session = self._session(call)
        header = call.request.headers.get("x-goog-upload-command", "")
        commands = {command.strip() for command in header.split(",")}
        if "cancel" in commands:
            self._shelf.part(session).unlink(missing_ok=True)
            self._shelf.sessions.remove(session.id)
            return Response(headers={"x-goog-upload-status": "cancelled"})
        if session.finished is not None:
            return self._final(call, session)
        if "upload" in commands:
            await self._receive(call, session)
        if "finalize" in commands:
            return await self._finish(call, session)
        if not commands & {"upload", "query"}:
            raise GoogleError(f"Invalid upload command: '{header}'.")
        received = str(self._received(session))
        headers = {"x-goog-upload-status": "active", "x-goog-upload-size-received": received}
        return Response(headers=headers)

    async def _receive(self, call: Call, session: UploadSession) -> None:
        """Add what is new of a chunk. Of one that is cut, whole granules are kept."""
        offset = call.request.headers.get("x-goog-upload-offset", "0")
        skip = self._received(session) - (int(offset) if offset.isdecimal() else 0)
        if skip < 0:
            raise GoogleError(f"Invalid upload: the offset {offset} leaves a gap.")
        complete = False
        try:
            with self._shelf.part(session).open("ab") as sink:
                async for piece in counted_stream(call):
                    sink.write(piece[skip:])
                    skip = max(0, skip - len(piece))
            complete = True
        finally:
            if not complete:
                kept = self._received(session) // GRANULARITY * GRANULARITY
                with self._shelf.part(session).open("ab") as sink:
                    sink.truncate(kept)

    async def _finish(self, call: Call, session: UploadSession) -> Response:
        received = self._received(session)
        if session.declared not in {None, received}:
            message = f"Upload is {received} bytes long, but {session.declared} were announced."
            raise GoogleError(message)
        if received > self._world.options.gemini_limits.max_file_bytes:
            raise GoogleError("The file is too large.")
        file = await run_in_threadpool(self._shelf.add_upload, session)
        session = self._shelf.sessions.save(replace(session, finished=file))
        self._world.store.add("files_uploaded")
        return self._final(call, session)

    def _final(self, call: Call, session: UploadSession) -> Response:
        if session.finished is None:
            raise GoogleError("The upload is not finished.")
        reply = json_reply({"file": session.finished.to_json(api_base(call.request, self._prefix))})
        reply.headers["x-goog-upload-status"] = "final"
        return reply

    def _received(self, session: UploadSession) -> int:
        return self._shelf.part(session).stat().st_size

    def _session(self, call: Call) -> UploadSession:
        session = self._shelf.sessions.find(call.request.query_params.get("upload_id", ""))
        if session is None:
            raise GoogleError("Upload session not found.", status=404)
        return session
