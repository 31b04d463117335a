"""The emulated Gemini Developer API: its routes, and what is common to all its calls."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ai_batch.emulator.faults import VendorName
from ai_batch.emulator.gemini.batches_api import GeminiBatchesApi, api_key
from ai_batch.emulator.gemini.dialect import answerer_of
from ai_batch.emulator.gemini.errors import GoogleError, error_of_status
from ai_batch.emulator.gemini.files_api import GeminiFilesApi
from ai_batch.emulator.gemini.ledger import GeminiLedger
from ai_batch.emulator.gemini.live_api import LIVE, GeminiLiveApi
from ai_batch.emulator.gemini.shelf import GeminiShelf
from ai_batch.emulator.gemini.uploads_api import PATH_OF_CHUNKS, GeminiUploadsApi
from ai_batch.emulator.gemini.work import GeminiWork
from ai_batch.emulator.identity import is_one_of
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.route import Call, NamedHandler, named_routes
from ai_batch.emulator.world import World

PREFIX = "/gemini"
_VERSIONS = frozenset({"v1", "v1beta", "v1alpha"})


class GeminiVendor:
    """Everything under `/gemini`."""

    name: VendorName = "gemini"
    retries_by_header = False

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = GeminiShelf(world)
        self._ledger = GeminiLedger(world)
        self._work = GeminiWork(world, self._shelf, self._ledger)
        self._work.resume()
        options = world.options
        self._live = GeminiLiveApi(world, answerer_of(options), options.gemini_limits, api_key)

    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        api, upload, download = (
            f"{PREFIX}{start}/{{version}}" for start in ("", "/upload", "/download")
        )
        uploads = GeminiUploadsApi(self._world, self._shelf, PREFIX)
        files = GeminiFilesApi(self._world, self._shelf, PREFIX)
        named: list[NamedHandler] = [
            ("POST", f"{upload}/files", "files.upload", uploads.start),
            ("POST", f"{upload}/{PATH_OF_CHUNKS}", "files.upload.chunk", uploads.chunk),
            ("GET", f"{download}/files/{{id}}:download", "files.content", files.content),
            ("GET", f"{api}/files/{{id}}:download", "files.content", files.content),
            ("GET", f"{api}/files", "files.list", files.list),
            ("GET", f"{api}/files/{{id}}", "files.get", files.get),
            ("DELETE", f"{api}/files/{{id}}", "files.delete", files.delete),
            *self._batch_routes(api),
            *self._live_routes(api),
            (None, f"{PREFIX}/{{path:path}}", "unknown", self._unknown),
        ]
        return named_routes(self._world, self, named, LIVE)

    def _batch_routes(self, api: str) -> list[NamedHandler]:
        batches = GeminiBatchesApi(self._world, self._shelf, self._ledger, self._work)
        model, batch = f"{api}/models/{{model}}", f"{api}/batches/{{id}}"
        create = "batches.create"
        return [
            ("POST", f"{model}:batchGenerateContent", create, batches.create_generation),
            ("POST", f"{model}:asyncBatchEmbedContent", create, batches.create_embedding),
            ("GET", f"{api}/batches", "batches.list", batches.list),
            ("POST", f"{batch}:cancel", "batches.cancel", batches.cancel),
            ("PATCH", f"{batch}:updateGenerateContentBatch", "batches.update", batches.update),
            ("PATCH", f"{batch}:updateEmbedContentBatch", "batches.update", batches.update),
            ("GET", batch, "batches.get", batches.get),
            ("DELETE", batch, "batches.delete", batches.delete),
        ]

    def _live_routes(self, api: str) -> list[NamedHandler]:
        live = self._live
        model = f"{api}/models/{{model}}"
        return [
            ("POST", f"{model}:generateContent", "generateContent", live.generate),
            ("POST", f"{model}:embedContent", "embedContent", live.embed),
            ("POST", f"{model}:batchEmbedContents", "batchEmbedContents", live.embed_many),
            ("POST", f"{model}:countTokens", "countTokens", live.count_tokens),
            ("GET", f"{api}/models", "models.list", live.models),
            ("GET", model, "models.get", live.model),
        ]

    async def _unknown(self, call: Call) -> Response:
        raise GoogleError(f"Not Found: {call.request.url.path}", status=404)

    def authorise(self, request: Request) -> None:
        """Raise the error for a key that is missing or unknown; an upload's address is enough."""
        if request.path_params.get("version", "v1") not in _VERSIONS:
            raise GoogleError(f"Not Found: {request.url.path}", status=404)
        if request.url.path.endswith(f"/{PATH_OF_CHUNKS}"):
            return
        key = api_key(request)
        if not key:
            message = (
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API."
            )
            raise GoogleError(message, status=403)
        known = self._world.options.api_keys
        if known is not None and not is_one_of(key, known):
            details: JsonObject = {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }
            message = "API key not valid. Please pass a valid API key."
            raise GoogleError(message, status=400, details=[details])

    def failure(self, status: int, retry_after: float | None = None) -> Response:
        """Return the answer that the vendor typically gives with an error status."""
        return error_of_status(status, retry_after).response()

    def headers(self, route: str, seconds: float) -> Mapping[str, str]:
        """Return the headers that come with each answer."""
        return {"server-timing": f"gfet4t7; dur={int(seconds * 1000)}"}

    def files_live(self) -> int:
        """Return how many files there are to delete; those of results stay for six weeks."""
        return sum(file.batch_id is None for file in self._shelf.live())

    def batches_by_status(self) -> Mapping[str, int]:
        """Return how many batches are in each state."""
        return self._ledger.counts_by_status()

    def reload(self) -> None:
        """Read everything from the store again, after it was cleared."""
        self._shelf.load()
        self._ledger.load()
        self._live.reload()
