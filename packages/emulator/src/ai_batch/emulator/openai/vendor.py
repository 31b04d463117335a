"""The emulated OpenAI: its routes, and what is common to all its calls."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ai_batch.emulator.faults import VendorName
from ai_batch.emulator.identity import is_one_of
from ai_batch.emulator.openai.batches_api import BatchesApi
from ai_batch.emulator.openai.errors import VendorError, error_of_status
from ai_batch.emulator.openai.files_api import FilesApi
from ai_batch.emulator.openai.ledger import BatchLedger
from ai_batch.emulator.openai.lines import REQUIRED
from ai_batch.emulator.openai.live_api import LiveApi
from ai_batch.emulator.openai.shelf import FileShelf
from ai_batch.emulator.openai.uploads_api import UploadsApi
from ai_batch.emulator.openai.work import ORGANIZATION, BatchWork
from ai_batch.emulator.route import Call, NamedHandler, named_routes
from ai_batch.emulator.world import World

_VERSION = "2020-10-01"


class OpenAIVendor:
    """Everything under `/v1`."""

    name: VendorName = "openai"
    retries_by_header = True

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = FileShelf(world)
        self._ledger = BatchLedger(world)
        self._work = BatchWork(world, self._shelf, self._ledger)
        self._work.resume()
        self._live = LiveApi(world)

    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        files = FilesApi(self._world, self._shelf, self._work.until_validated)
        uploads = UploadsApi(self._world, self._shelf, files)
        batches = BatchesApi(self._world, self._ledger, self._work)
        live = self._live
        named: list[NamedHandler] = [
            ("POST", "/v1/files", "files.upload", files.upload),
            ("GET", "/v1/files", "files.list", files.list),
            ("GET", "/v1/files/{id}", "files.get", files.get),
            ("DELETE", "/v1/files/{id}", "files.delete", files.delete),
            ("GET", "/v1/files/{id}/content", "files.content", files.content),
            ("POST", "/v1/uploads", "uploads.create", uploads.create),
            ("POST", "/v1/uploads/{id}/parts", "uploads.part", uploads.part),
            ("POST", "/v1/uploads/{id}/complete", "uploads.complete", uploads.complete),
            ("POST", "/v1/uploads/{id}/cancel", "uploads.cancel", uploads.cancel),
            ("POST", "/v1/batches", "batches.create", batches.create),
            ("GET", "/v1/batches", "batches.list", batches.list),
            ("GET", "/v1/batches/{id}", "batches.get", batches.get),
            ("POST", "/v1/batches/{id}/cancel", "batches.cancel", batches.cancel),
            ("GET", "/v1/models", "models.list", live.models),
            ("GET", "/v1/models/{id:path}", "models.get", live.model),
            *((("POST", path, _live_name(path), live.answer)) for path in REQUIRED),
            (None, "/v1/{path:path}", "unknown", self._unknown),
        ]
        return named_routes(self._world, self, named, set(map(_live_name, REQUIRED)))

    async def _unknown(self, call: Call) -> Response:
        url = call.request.url.path
        message = f"Invalid URL ({call.request.method} {url})"
        raise VendorError(message, status=404)

    def authorise(self, request: Request) -> None:
        """Raise the 401 for a key that is missing or unknown."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            message = (
                "You didn't provide an API key. You need to provide your API key "
                "in an Authorization header using Bearer auth."
            )
            raise VendorError(message, status=401, code="invalid_api_key")
        known = self._world.options.api_keys
        if known is not None and not is_one_of(key, known):
            message = f"Incorrect API key provided: {key[:3]}***."
            raise VendorError(message, status=401, code="invalid_api_key")

    def failure(self, status: int, retry_after: float | None = None) -> Response:
        """Return the answer that the vendor typically gives with an error status."""
        return error_of_status(status).response()

    def headers(self, route: str, seconds: float) -> Mapping[str, str]:
        """Return the headers that come with each answer."""
        return {
            "x-request-id": f"req_{self._world.new_request_hex()}",
            "openai-organization": ORGANIZATION,
            "openai-processing-ms": str(int(seconds * 1000)),
            "openai-version": _VERSION,
        }

    def files_live(self) -> int:
        """Return how many files exist."""
        return len(self._shelf.live())

    def batches_by_status(self) -> dict[str, int]:
        """Return how many batches are in each state."""
        return self._ledger.counts_by_status()

    def reload(self) -> None:
        """Read everything from the store again, after it was cleared."""
        self._shelf.load()
        self._ledger.load()
        self._live.reload()


def _live_name(path: str) -> str:
    return path.removeprefix("/v1/").replace("/", ".")
