"""The routes of files: get, list, delete, download."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ai_batch.emulator.damage import RowShape
from ai_batch.emulator.downloads import ResultFile, open_results
from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.gemini.json_body import api_base, page_of
from ai_batch.emulator.gemini.records import GeminiFile
from ai_batch.emulator.gemini.shelf import GeminiShelf
from ai_batch.emulator.gemini.uploads_api import MOST_OF_ID
from ai_batch.emulator.gemini.wire import ROW_SHAPE
from ai_batch.emulator.json_types import JsonObject, JsonValue
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.transfer import download_response
from ai_batch.emulator.world import World

_PAGE = 10
_MOST_OF_PAGE = 100


class GeminiFilesApi:
    """Get, list, delete, content."""

    def __init__(self, world: World, shelf: GeminiShelf, prefix: str) -> None:
        self._world = world
        self._shelf = shelf
        self._prefix = prefix

    async def get(self, call: Call) -> Response:
        """GET /{version}/files/{id}."""
        file = self._shelf.get(_short_id(call))
        return json_reply(file.to_json(api_base(call.request, self._prefix)))

    async def list(self, call: Call) -> Response:
        """GET /{version}/files: what was uploaded; outputs of batches are not shown."""
        uploaded = [file for file in reversed(self._shelf.live()) if not file.generated]
        page, token = page_of(uploaded, call.request.query_params, _PAGE, _MOST_OF_PAGE)
        base = api_base(call.request, self._prefix)
        files: list[JsonValue] = [file.to_json(base) for file in page]
        reply: JsonObject = {"files": files} if files else {}
        return json_reply({**reply, "nextPageToken": token} if token else reply)

    async def delete(self, call: Call) -> Response:
        """DELETE /{version}/files/{id}."""
        self._shelf.delete(_short_id(call))
        return json_reply({})

    async def content(self, call: Call) -> Response:
        """GET /{version}/files/{id}:download?alt=media, for the outputs of batches."""
        file = self._shelf.get(call.request.path_params["id"])
        if not file.generated:
            raise GoogleError("Only generated files can be downloaded.")
        if call.request.query_params.get("alt") != "media":
            return json_reply({})
        results = result_file(self._shelf, file, ROW_SHAPE)
        download = await run_in_threadpool(open_results, self._world, results, call.damaged_row())
        return download_response(call.request, download)


def result_file(shelf: GeminiShelf, file: GeminiFile, shape: RowShape) -> ResultFile:
    """Return the output of a batch as a file whose rows may be damaged."""
    path = shelf.path(file.id)
    return ResultFile(id=path.name, path=path, batch_id=file.batch_id or "", shape=shape)


def _short_id(call: Call) -> str:
    """Return a file's id; all calls but the download refuse those of batches' outputs.

    See https://github.com/googleapis/python-genai/issues/1759.
    """
    file_id: str = call.request.path_params["id"]
    if len(file_id) > MOST_OF_ID:
        message = f"File ID (name excluding 'files/') cannot be more than {MOST_OF_ID} characters."
        raise GoogleError(message)
    return file_id
