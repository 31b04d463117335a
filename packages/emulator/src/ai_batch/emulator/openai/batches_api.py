"""The routes under `/v1/batches`."""

from __future__ import annotations

from msgspec.structs import replace
from starlette.responses import Response

from ai_batch.emulator.durations import drawn_durations
from ai_batch.emulator.json_types import JsonObject, as_object
from ai_batch.emulator.openai.errors import VendorError, invalid_value
from ai_batch.emulator.openai.files_api import page
from ai_batch.emulator.openai.json_body import json_request
from ai_batch.emulator.openai.ledger import BatchLedger
from ai_batch.emulator.openai.lifecycle import TERMINAL, status_at
from ai_batch.emulator.openai.lines import REQUIRED
from ai_batch.emulator.openai.records import BatchRecord
from ai_batch.emulator.openai.requirements import expiry_of, limit_of, metadata_of, required_text
from ai_batch.emulator.openai.work import BatchWork
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.world import World

ENDPOINTS = tuple(REQUIRED)
_HOUR = 3600


class BatchesApi:
    """Create, get, list, cancel."""

    def __init__(self, world: World, ledger: BatchLedger, work: BatchWork) -> None:
        self._world = world
        self._ledger = ledger
        self._work = work

    async def create(self, call: Call) -> Response:
        """POST /batches."""
        batch = self._checked(await json_request(call), call)
        self._limit_rate()
        with self._world.lock, self._world.store.transaction():
            self._ledger.save(batch)
            self._world.store.add("batches_created")
        reply = json_reply(self._ledger.view(batch))
        self._work.remember_key(batch.id, bearer(call))
        self._work.steps.plan(batch.id)
        return reply

    def _checked(self, body: JsonObject, call: Call) -> BatchRecord:
        input_file_id = required_text(body, "input_file_id")
        endpoint = required_text(body, "endpoint")
        if endpoint not in ENDPOINTS:
            allowed = ", ".join(f"'{name}'" for name in ENDPOINTS)
            raise invalid_value("endpoint", endpoint, allowed)
        window = required_text(body, "completion_window")
        if window != "24h":
            raise invalid_value("completion_window", window, "'24h'")
        batch_id = f"batch_{self._world.new_hex('batch')}"
        return BatchRecord(
            id=batch_id,
            serial=self._world.store.serial(),
            created_at=self._world.clock.now(),
            endpoint=endpoint,
            input_file_id=input_file_id,
            metadata=metadata_of(body.get("metadata")),
            output_expires_after=expiry_of(
                "output_expires_after", body.get("output_expires_after")
            ),
            durations=drawn_durations(self._world.options, batch_id),
            file_never_found=call.has_quirk("cannot_find_file"),
        )

    def _limit_rate(self) -> None:
        most = self._world.options.limits.creates_per_hour
        if self._ledger.created_last_hour() < most:
            return
        message = f"Rate limit reached for batch creation. Limit: {most} per hour."
        headers = {"retry-after": str(_HOUR), "retry-after-ms": str(_HOUR * 1000)}
        raise VendorError(
            message, status=429, type="requests", code="rate_limit_exceeded", headers=headers
        )

    async def get(self, call: Call) -> Response:
        """GET /batches/{id}."""
        batch = self._ledger.get(call.request.path_params["id"])
        age = self._world.clock.now() - batch.created_at
        if age < call.not_found_seconds():
            raise VendorError(f"No batch found with id '{batch.id}'.", status=404)
        await self._work.steps.settle(batch.id)
        view = self._ledger.view(self._ledger.get(batch.id))
        return json_reply(_odd(view, call))

    async def list(self, call: Call) -> Response:
        """GET /batches."""
        query = call.request.query_params
        limit = limit_of(query, 20, 100)
        newest = self._world.clock.now() - call.hidden_seconds()
        batches = [batch for batch in self._ledger.newest_first() if batch.created_at <= newest]
        views = _page_of_batches(batches, limit, query.get("after"))
        await self._work.steps.settle(*(batch.id for batch in views))
        shown = [_odd(self._ledger.view(self._ledger.get(batch.id)), call) for batch in views]
        reply = page(shown, limit, None)
        return json_reply({**reply, "has_more": len(shown) > limit})

    async def cancel(self, call: Call) -> Response:
        """POST /batches/{id}/cancel."""
        batch_id: str = call.request.path_params["id"]
        self._ledger.get(batch_id)
        await self._work.steps.settle(batch_id)
        with self._world.lock:
            batch = self._ledger.get(batch_id)
            now = self._world.clock.now()
            status = status_at(batch, now)
            if status in TERMINAL and status != "cancelled":
                message = f"Cannot cancel a batch with status '{status}'."
                raise VendorError(message, status=409)
            if batch.cancel_at is None:
                batch = self._ledger.save(replace(batch, cancel_at=now))
        view = self._ledger.view(batch)
        self._work.steps.plan(batch_id)
        return json_reply(view)


def _page_of_batches(
    batches: list[BatchRecord], limit: int, after: str | None
) -> list[BatchRecord]:
    """Return a page and one more, which tells that there are more."""
    if after is not None:
        ids = [batch.id for batch in batches]
        batches = batches[ids.index(after) + 1 :] if after in ids else []
    return batches[: limit + 1]


def bearer(call: Call) -> str:
    """Return the caller's key."""
    return call.request.headers.get("authorization", "").removeprefix("Bearer ").strip()


def _odd(view: JsonObject, call: Call) -> JsonObject:
    """Return the batch with the oddities that were seen in the wild."""
    if call.has_quirk("empty_string_ids"):
        for name in ("output_file_id", "error_file_id"):
            view[name] = view[name] or ""
    if call.has_quirk("null_output"):
        view["output_file_id"] = None
    if call.has_quirk("unknown_status"):
        view["status"] = "under_review"
    if call.has_quirk("reset_counts"):
        total = as_object(view["request_counts"]).get("total")
        view["request_counts"] = {"total": total, "completed": 0, "failed": 0}
    return view
