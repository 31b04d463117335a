"""The emulated Anthropic: its routes, and what is common to all its calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ai_batch.emulator.anthropic.batches_api import BatchesApi
from ai_batch.emulator.anthropic.errors import VendorError, error_of_status
from ai_batch.emulator.anthropic.ledger import BatchLedger
from ai_batch.emulator.anthropic.live_api import LiveApi
from ai_batch.emulator.anthropic.places import PREFIX, key_of
from ai_batch.emulator.anthropic.versions import version_of
from ai_batch.emulator.anthropic.work import BatchWork
from ai_batch.emulator.faults import VendorName
from ai_batch.emulator.identity import is_one_of
from ai_batch.emulator.route import Call, Handler, NamedHandler, named_routes
from ai_batch.emulator.world import World

_ORGANIZATION = "00000000-0000-4000-8000-00000000e301"
_REQUESTS = 4000
_LIVE = "messages"


class AnthropicVendor:
    """Everything under `/anthropic/v1`."""

    name: VendorName = "anthropic"
    retries_by_header = True

    def __init__(self, world: World) -> None:
        self._world = world
        self._ledger = BatchLedger(world)
        self._work = BatchWork(world, self._ledger)
        self._work.resume()
        self._live = LiveApi(world)

    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        batches = BatchesApi(self._world, self._ledger, self._work)
        live = self._live
        each, one = "/v1/messages/batches", "/v1/messages/batches/{id}"
        named: list[NamedHandler] = [
            ("POST", each, "batches.create", batches.create),
            ("GET", each, "batches.list", batches.list),
            ("GET", one, "batches.get", batches.get),
            ("DELETE", one, "batches.delete", batches.delete),
            ("POST", f"{one}/cancel", "batches.cancel", batches.cancel),
            ("GET", f"{one}/results", "batches.results", batches.results),
            ("POST", "/v1/messages", _LIVE, live.answer),
            ("POST", "/v1/messages/count_tokens", "messages.count_tokens", live.count_tokens),
            ("GET", "/v1/models", "models.list", live.models),
            ("GET", "/v1/models/{id}", "models.get", live.model),
            (None, "/{path:path}", "unknown", _unknown),
        ]
        placed = [
            (method, PREFIX + path, name, self._identified(handler))
            for method, path, name, handler in named
        ]
        return named_routes(self._world, self, placed, {_LIVE})

    def _identified(self, handler: Handler) -> Handler:
        """Let the errors of a handler name the request, as the vendor's do."""

        async def handle(call: Call) -> Response:
            try:
                return await handler(call)
            except VendorError as error:
                raise self._with_id(error) from error.__cause__

        return handle

    def _with_id(self, error: VendorError) -> VendorError:
        error.request_id = self._request_id()
        return error

    def _request_id(self) -> str:
        return f"req_01{self._world.new_request_base62()}"

    def authorise(self, request: Request) -> None:
        """Raise the 401 for a key that is missing or unknown, or the 400 for a wrong version."""
        key = key_of(request)
        if not key:
            raise self._with_id(VendorError("x-api-key header is required", status=401))
        known = self._world.options.api_keys
        if known is not None and not is_one_of(key, known):
            raise self._with_id(error_of_status(401))
        try:
            version_of(request.headers)
        except VendorError as error:
            raise self._with_id(error) from None

    def failure(self, status: int, retry_after: float | None = None) -> Response:
        """Return the answer that the vendor typically gives with an error status."""
        return self._with_id(error_of_status(status)).response()

    def headers(self, route: str, seconds: float) -> Mapping[str, str]:
        """Return the headers that come with each answer."""
        headers = {
            "request-id": self._request_id(),
            "anthropic-organization-id": _ORGANIZATION,
        }
        if route == _LIVE:
            # Its own limits are told by what answers it, and those of batches are none of its.
            return headers
        now = datetime.fromtimestamp(self._world.clock.now(), UTC)
        return headers | {
            "anthropic-ratelimit-requests-limit": str(_REQUESTS),
            "anthropic-ratelimit-requests-remaining": str(_REQUESTS - 1),
            "anthropic-ratelimit-requests-reset": now.isoformat(timespec="seconds"),
        }

    def files_live(self) -> int:
        """Return how many files exist: batches have none here."""
        return 0

    def batches_by_status(self) -> Mapping[str, int]:
        """Return how many batches are in each state."""
        return self._ledger.counts_by_status()

    def reload(self) -> None:
        """Read everything from the store again, after it was cleared."""
        self._ledger.load()
        self._live.reload()


async def _unknown(call: Call) -> Response:
    raise VendorError(f"Not found: {call.request.method} {call.request.url.path}", status=404)
