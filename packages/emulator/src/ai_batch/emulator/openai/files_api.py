"""The routes under `/v1/files`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from starlette.responses import Response

from ai_batch.emulator.downloads import ResultFile, open_results
from ai_batch.emulator.json_types import JsonObject, JsonValue
from ai_batch.emulator.multipart import Form, NotMultipart, read_form
from ai_batch.emulator.openai.errors import VendorError, invalid_value, missing
from ai_batch.emulator.openai.records import FileRecord
from ai_batch.emulator.openai.requirements import form_expiry, limit_of
from ai_batch.emulator.openai.shelf import FileShelf
from ai_batch.emulator.openai.wire import ROW_SHAPE
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.streams import counted_stream
from ai_batch.emulator.transfer import Download, download_response
from ai_batch.emulator.world import World

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
_MAX_FILE = 512 * 1024 * 1024
_MAX_PAGE = 10_000


class FilesApi:
    """Upload, get, list, delete, content."""

    def __init__(
        self, world: World, shelf: FileShelf, before_delete: Callable[[str], Awaitable[None]]
    ) -> None:
        self._world = world
        self._shelf = shelf
        self._before_delete = before_delete

    async def upload(self, call: Call) -> Response:
        """POST /files."""
        target = self._world.store.incoming / self._world.new_hex("incoming")
        try:
            form = await self._read(call, target)
            self._check(form, target)
            file = self._shelf.add(
                target,
                form.filename or "",
                form.fields["purpose"],
                expires_after=form_expiry(form.fields),
            )
        finally:
            target.unlink(missing_ok=True)
        self._world.store.add("files_uploaded")
        return json_reply(file.to_json())

    async def _read(self, call: Call, target: Path) -> Form:
        most = max(_MAX_FILE, self._world.options.limits.max_file_bytes)
        content_type = call.request.headers.get("content-type", "")
        try:
            return await read_form(counted_stream(call), content_type, target, most)
        except NotMultipart as error:
            raise VendorError(f"Could not parse multipart form: {error}") from error

    def _check(self, form: Form, target: Path) -> None:
        purpose = form.fields.get("purpose")
        if not purpose:
            raise missing("purpose")
        if form.filename is None:
            raise missing("file")
        if purpose not in PURPOSES:
            allowed = ", ".join(f"'{name}'" for name in PURPOSES)
            raise invalid_value("purpose", purpose, allowed)
        form_expiry(form.fields)
        if purpose == "batch":
            self.check_batch_input(form.filename, form.size, target)
        elif form.too_large:
            raise VendorError("File is too large.")

    def check_batch_input(self, filename: str, size: int, content: Path) -> None:
        """Look at what the vendor looks at when a batch input comes: name, size, first line."""
        if not filename.endswith(".jsonl"):
            message = "Invalid file format for Batch API. Must be .jsonl"
            raise VendorError(message, detail=True)
        if size > self._world.options.limits.max_file_bytes:
            raise VendorError("File is too large.")
        if not first_line_is_json(content):
            message = "Invalid file format. The file must be valid jsonl, one request on each line."
            raise VendorError(message, param="file")

    async def list(self, call: Call) -> Response:
        """GET /files."""
        query = call.request.query_params
        limit = limit_of(query, _MAX_PAGE, _MAX_PAGE)
        order = query.get("order", "desc")
        if order not in {"asc", "desc"}:
            raise invalid_value("order", order, "'asc' and 'desc'")
        files = self._shelf.live()
        if (purpose := query.get("purpose")) is not None:
            files = [file for file in files if file.purpose == purpose]
        if order == "desc":
            files.reverse()
        return json_reply(page([file.to_json() for file in files], limit, query.get("after")))

    async def get(self, call: Call) -> Response:
        """GET /files/{id}."""
        return json_reply(self._shelf.get(call.request.path_params["id"]).to_json())

    async def delete(self, call: Call) -> Response:
        """DELETE /files/{id}."""
        file_id: str = call.request.path_params["id"]
        await self._before_delete(file_id)
        self._shelf.delete(file_id)
        return json_reply({"id": file_id, "object": "file", "deleted": True})

    async def content(self, call: Call) -> Response:
        """GET /files/{id}/content."""
        file = self._shelf.get(call.request.path_params["id"])
        return download_response(call.request, self._open(file, call))

    def _open(self, file: FileRecord, call: Call) -> Download:
        """Open a content; only result files are ever damaged."""
        path = self._shelf.path(file.id)
        if file.batch_id is None:
            return Download.of(path)
        results = ResultFile(
            id=file.id,
            path=path,
            batch_id=file.batch_id,
            shape=ROW_SHAPE,
            billed=file.filename.endswith("_output.jsonl"),
        )
        return open_results(self._world, results, call.damaged_row())


def first_line_is_json(content: Path) -> bool:
    """Tell whether a file begins with a line of JSON; an empty file does not."""
    with content.open("rb") as source:
        return is_json_line(source.readline())


def is_json_line(line: bytes) -> bool:
    """Tell whether a line is JSON."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def page(items: list[JsonObject], limit: int, after: str | None) -> JsonObject:
    """Return one page of a list; after an unknown id there is nothing."""
    if after is not None:
        ids = [item["id"] for item in items]
        items = items[ids.index(after) + 1 :] if after in ids else []
    shown: list[JsonValue] = [*items[:limit]]
    return {
        "object": "list",
        "data": shown,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[len(shown) - 1]["id"] if items else None,
        "has_more": len(items) > limit,
    }
