"""The emulated Vertex AI with the storage that it reads and writes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ai_batch.emulator.faults import VendorName
from ai_batch.emulator.gcs.vendor import StorageVendor
from ai_batch.emulator.gemini.errors import GoogleError, error_of_status
from ai_batch.emulator.gemini.live_api import LIVE, GeminiLiveApi
from ai_batch.emulator.identity import is_one_of
from ai_batch.emulator.route import Call, NamedHandler, named_routes
from ai_batch.emulator.vertex.dialect import answerer_of
from ai_batch.emulator.vertex.jobs_api import VertexJobsApi
from ai_batch.emulator.vertex.ledger import VertexLedger
from ai_batch.emulator.vertex.predict_api import PredictApi
from ai_batch.emulator.vertex.tokens import token_of
from ai_batch.emulator.vertex.work import VertexWork
from ai_batch.emulator.world import World

PREFIX = "/vertex"
_VERSIONS = frozenset({"v1", "v1beta1"})


class VertexVendor:
    """Everything under `/vertex`, and Cloud Storage."""

    name: VendorName = "vertex"
    retries_by_header = False

    def __init__(self, world: World) -> None:
        self._world = world
        self._storage = StorageVendor(world)
        self._ledger = VertexLedger(world)
        self._work = VertexWork(world, self._storage.warehouse, self._ledger)
        self._work.resume()
        options = world.options
        self._live = GeminiLiveApi(world, answerer_of(options), options.vertex_limits, token_of)

    def routes(self) -> list[BaseRoute]:
        """Return all routes; those of the storage are a vendor's of their own to faults."""
        place = f"{PREFIX}/{{version}}/projects/{{project}}/locations/{{location}}"
        jobs = VertexJobsApi(self._world, self._ledger, self._work)
        job = f"{place}/batchPredictionJobs/{{id}}"
        named: list[NamedHandler] = [
            ("POST", f"{place}/batchPredictionJobs", "batches.create", jobs.create),
            ("GET", f"{place}/batchPredictionJobs", "batches.list", jobs.list),
            ("POST", f"{job}:cancel", "batches.cancel", jobs.cancel),
            ("GET", job, "batches.get", jobs.get),
            ("DELETE", job, "batches.delete", jobs.delete),
            *self._live_routes(place),
            (None, f"{PREFIX}/{{path:path}}", "unknown", self._unknown),
        ]
        return [*named_routes(self._world, self, named, LIVE), *self._storage.routes()]

    def _live_routes(self, place: str) -> list[NamedHandler]:
        live = self._live
        model = f"{place}/publishers/{{publisher}}/models/{{model}}"
        return [
            ("POST", f"{model}:generateContent", "generateContent", live.generate),
            ("POST", f"{model}:embedContent", "embedContent", live.embed),
            ("POST", f"{model}:countTokens", "countTokens", live.count_tokens),
            ("POST", f"{model}:predict", "predict", PredictApi(live).predict),
        ]

    async def _unknown(self, call: Call) -> Response:
        raise GoogleError(f"Not Found: {call.request.url.path}", status=404)

    def authorise(self, request: Request) -> None:
        """Raise the 401 for a token that is missing or unknown."""
        if request.path_params.get("version", "v1") not in _VERSIONS:
            raise GoogleError(f"Not Found: {request.url.path}", status=404)
        token = token_of(request)
        known = self._world.options.api_keys
        if not token or (known is not None and not is_one_of(token, known)):
            message = (
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential. See "
                "https://developers.google.com/identity/sign-in/web/devconsole-project."
            )
            raise GoogleError(message, status=401)

    def failure(self, status: int, retry_after: float | None = None) -> Response:
        """Return the answer that the vendor typically gives with an error status."""
        return error_of_status(status, retry_after).response()

    def headers(self, route: str, seconds: float) -> Mapping[str, str]:
        """Return the headers that come with each answer."""
        return {"server-timing": f"gfet4t7; dur={int(seconds * 1000)}"}

    def files_live(self) -> int:
        """Return how many objects the storage has."""
        return self._storage.files_live()

    def batches_by_status(self) -> Mapping[str, int]:
        """Return how many jobs are in each state."""
        return self._ledger.counts_by_status()

    def reload(self) -> None:
        """Read everything from the store again, after it was cleared."""
        self._storage.reload()
        self._ledger.book.load()
        self._live.reload()
