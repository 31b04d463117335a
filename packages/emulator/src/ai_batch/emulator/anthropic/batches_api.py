"""The routes under `/v1/messages/batches`."""

from __future__ import annotations

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ai_batch.emulator.anthropic.errors import VendorError, not_found
from ai_batch.emulator.anthropic.intake import receive, split
from ai_batch.emulator.anthropic.ledger import BatchLedger
from ai_batch.emulator.anthropic.lifecycle import archived_at, ended_at, status_at
from ai_batch.emulator.anthropic.paging import page_of
from ai_batch.emulator.anthropic.places import base_url, key_of
from ai_batch.emulator.anthropic.records import BatchRecord
from ai_batch.emulator.anthropic.versions import betas_of, version_of
from ai_batch.emulator.anthropic.wire import ROW_SHAPE
from ai_batch.emulator.anthropic.work import BatchWork
from ai_batch.emulator.downloads import ResultFile, escaped, open_results
from ai_batch.emulator.durations import drawn_durations
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.transfer import whole_response
from ai_batch.emulator.world import World

_POLL_SECONDS = 10


class BatchesApi:
    """Create, get, list, cancel, delete, results."""

    def __init__(self, world: World, ledger: BatchLedger, work: BatchWork) -> None:
        self._world = world
        self._ledger = ledger
        self._work = work

    async def create(self, call: Call) -> Response:
        """POST /messages/batches."""
        incoming = self._world.store.incoming
        body = incoming / self._world.new_hex("body")
        lines = incoming / self._world.new_hex("lines")
        limits = self._world.options.anthropic_limits
        try:
            await receive(call.request.stream(), body, limits.max_body_bytes)
            total = await run_in_threadpool(split, body, lines, limits.max_requests)
            self._limit_queue(total)
            batch = self._new(call, total)
            lines.replace(self._work.input(batch.id))
        finally:
            body.unlink(missing_ok=True)
            lines.unlink(missing_ok=True)
        with self._world.lock, self._world.store.transaction():
            self._ledger.save(batch)
            self._world.store.add("batches_created")
        reply = json_reply(self._ledger.view(batch, base_url(call.request)))
        self._work.remember_key(batch.id, key_of(call.request))
        self._work.steps.plan(batch.id)
        return reply

    def _new(self, call: Call, total: int) -> BatchRecord:
        batch_id = f"msgbatch_01{self._world.new_base62('msgbatch')}"
        headers = call.request.headers
        return BatchRecord(
            id=batch_id,
            serial=self._world.store.serial(),
            created_at=self._world.clock.now(),
            version=version_of(headers),
            betas=betas_of(headers),
            total=total,
            durations=drawn_durations(self._world.options, batch_id),
        )

    def _limit_queue(self, total: int) -> None:
        most = self._world.options.anthropic_limits.queued_requests
        if most is None or self._ledger.queued_requests() + total <= most:
            return
        message = (
            f"This request would exceed your organization's limit of {most} requests "
            "in the batch processing queue."
        )
        raise VendorError(message, status=429)

    async def get(self, call: Call) -> Response:
        """GET /messages/batches/{id}."""
        batch = self._ledger.get(call.request.path_params["id"])
        if self._world.clock.now() - batch.created_at < call.not_found_seconds():
            raise not_found(batch.id)
        await self._work.steps.settle(batch.id)
        view = self._view(self._ledger.get(batch.id), call)
        reply = json_reply(view)
        # Seen on answers of the API, though nowhere documented: how long to wait before the next.
        if view["processing_status"] != "ended" and not call.has_quirk("no_retry_after"):
            reply.headers["retry-after"] = str(_POLL_SECONDS)
        return reply

    def _view(self, batch: BatchRecord, call: Call) -> JsonObject:
        gradual = call.has_quirk("gradual_counts")
        view = self._ledger.view(batch, base_url(call.request), gradual=gradual)
        if call.has_quirk("null_output"):
            view["results_url"] = None
        if call.has_quirk("unknown_status"):
            view["processing_status"] = "under_review"
        if call.has_quirk("reset_counts"):
            names = ("processing", "succeeded", "errored", "canceled", "expired")
            view["request_counts"] = dict.fromkeys(names, 0)
        return view

    async def list(self, call: Call) -> Response:
        """GET /messages/batches."""
        newest = self._world.clock.now() - call.hidden_seconds()
        batches = [batch for batch in self._ledger.newest_first() if batch.created_at <= newest]
        page, has_more = page_of(batches, call.request.query_params)
        await self._work.steps.settle(*(batch.id for batch in page))
        shown = [self._ledger.find(batch.id) or batch for batch in page]
        return json_reply(
            {
                "data": [self._view(batch, call) for batch in shown],
                "has_more": has_more,
                "first_id": shown[0].id if shown else None,
                "last_id": shown[-1].id if shown else None,
            }
        )

    async def cancel(self, call: Call) -> Response:
        """POST /messages/batches/{id}/cancel."""
        batch_id: str = call.request.path_params["id"]
        self._ledger.get(batch_id)
        await self._work.steps.settle(batch_id)
        with self._world.lock:
            batch = self._ledger.get(batch_id)
            now = self._world.clock.now()
            if status_at(batch, now) == "ended":
                message = f"Message Batch {batch_id} has already ended and cannot be canceled."
                raise VendorError(message)
            if batch.cancel_at is None:
                batch = self._ledger.save(replace(batch, cancel_at=now))
        view = self._view(batch, call)
        self._work.steps.plan(batch_id)
        return json_reply(view)

    async def delete(self, call: Call) -> Response:
        """DELETE /messages/batches/{id}."""
        batch_id: str = call.request.path_params["id"]
        await self._work.steps.settle(batch_id)
        with self._world.lock:
            batch = self._ledger.get(batch_id)
            if status_at(batch, self._world.clock.now()) != "ended":
                message = (
                    "In progress batches cannot be deleted. Consider canceling the batch instead."
                )
                raise VendorError(message)
            self._ledger.remove(batch_id)
        self._work.results(batch_id).unlink(missing_ok=True)
        return json_reply({"id": batch_id, "type": "message_batch_deleted"})

    async def results(self, call: Call) -> Response:
        """GET /messages/batches/{id}/results."""
        batch_id: str = call.request.path_params["id"]
        self._ledger.get(batch_id)
        await self._work.steps.settle(batch_id)
        batch = self._ledger.get(batch_id)
        now = self._world.clock.now()
        end = ended_at(batch)
        if end is None or now < end or now >= archived_at(batch):
            raise VendorError(
                f"Message Batch {batch_id} has no available results.",
                status=404,
                headers={"x-should-retry": "false"},
            )
        if now - end < call.not_found_seconds():
            raise not_found(batch_id)
        file = ResultFile(
            id=batch_id, path=self._work.results(batch_id), batch_id=batch_id, shape=ROW_SHAPE
        )
        download = open_results(self._world, file, call.damaged_row())
        if call.has_quirk("escaped_results"):
            download = escaped(self._world, download)
        return whole_response(download, "application/x-jsonl")
