"""The routes of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ai_batch.emulator.downloads import open_results
from ai_batch.emulator.durations import drawn_durations
from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.gemini.fields import EMBED_BATCH, GENERATE_BATCH
from ai_batch.emulator.gemini.files_api import result_file
from ai_batch.emulator.gemini.json_body import json_request, page_of
from ai_batch.emulator.gemini.ledger import GeminiLedger
from ai_batch.emulator.gemini.lifecycle import LIVE, state_at
from ai_batch.emulator.gemini.live_api import unknown_model
from ai_batch.emulator.gemini.operations import operation
from ai_batch.emulator.gemini.records import GeminiBatch, Oddities
from ai_batch.emulator.gemini.shelf import GeminiShelf
from ai_batch.emulator.gemini.wire import INLINE_SHAPE
from ai_batch.emulator.gemini.work import GeminiWork
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_list,
    as_object,
    as_text,
    encode,
)
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.world import World

_ID_LENGTH = 36
_PAGE = 50
_MOST_OF_PAGE = 1000
_BYTES_PER_TOKEN = 4


class GeminiBatchesApi:
    """Create, get, list, cancel, delete, update."""

    def __init__(
        self, world: World, shelf: GeminiShelf, ledger: GeminiLedger, work: GeminiWork
    ) -> None:
        self._world = world
        self._shelf = shelf
        self._ledger = ledger
        self._work = work

    async def create_generation(self, call: Call) -> Response:
        """POST /{version}/models/{model}:batchGenerateContent."""
        limit = self._world.options.gemini_limits.max_inline_bytes
        body = await json_request(call, GENERATE_BATCH, limit)
        return await self._create(call, as_object(body.get("batch")), embeds=False)

    async def create_embedding(self, call: Call) -> Response:
        """POST /{version}/models/{model}:asyncBatchEmbedContent."""
        limit = self._world.options.gemini_limits.max_inline_bytes
        body = await json_request(call, EMBED_BATCH, limit)
        return await self._create(call, as_object(body.get("batch")), embeds=True)

    async def _create(self, call: Call, body: JsonObject, *, embeds: bool) -> Response:
        model: str = call.request.path_params["model"]
        if not self._world.options.known_model(model):
            raise unknown_model(model)
        source = as_object(body.get("inputConfig"))
        batch = self._record(call, model, body, embeds=embeds)
        held = self._ledger.held(batch.id)
        try:
            if batch.input_file is None:
                total = _write_inline(held, source, drop_metadata=batch.oddities.no_metadata)
            else:
                total = await run_in_threadpool(self._hold, held, batch.input_file)
            tokens = held.stat().st_size // _BYTES_PER_TOKEN
            with self._world.lock, self._world.store.transaction():
                self._ledger.limit(model, tokens)
                batch = self._ledger.book.save(replace(batch, total=total, tokens=tokens))
                self._world.store.add("batches_created")
        except GoogleError:
            held.unlink(missing_ok=True)
            raise
        reply = json_reply(operation(batch, batch.created_at, None, None))
        self._work.remember_key(batch.id, api_key(call.request))
        self._work.steps.plan(batch.id)
        return reply

    def _record(self, call: Call, model: str, body: JsonObject, *, embeds: bool) -> GeminiBatch:
        file_name = as_text(as_object(body.get("inputConfig")).get("fileName"))
        drawn = self._world.new_base62("gemini-batch") + self._world.new_base62("gemini-batch")
        batch_id = drawn.lower()[:_ID_LENGTH]
        priority = body.get("priority")
        return GeminiBatch(
            id=batch_id,
            serial=self._world.store.serial(),
            created_at=self._world.clock.now(),
            model=model,
            embeds=embeds,
            durations=drawn_durations(self._world.options, batch_id),
            display_name=as_text(body.get("displayName")) or None,
            priority=None if priority is None else str(priority),
            input_file=file_name.removeprefix("files/") or None,
            oddities=Oddities(
                fails=call.has_quirk("failed_job"),
                partial=call.has_quirk("partially_succeeded"),
                no_metadata=call.has_quirk("no_item_metadata"),
                shuffled=call.has_quirk("shuffled_inline"),
            ),
        )

    def _hold(self, held: Path, file_id: str) -> int:
        """Keep the input for the run, even if the client deletes the file; count its lines."""
        self._shelf.get(file_id)
        held.hardlink_to(self._shelf.path(file_id))
        with held.open("rb") as lines:
            return sum(1 for _ in lines)

    async def get(self, call: Call) -> Response:
        """GET /{version}/batches/{id}."""
        batch = self._ledger.get(call.request.path_params["id"])
        age = self._world.clock.now() - batch.created_at
        if age < call.not_found_seconds():
            raise GoogleError("Requested entity was not found.", status=404)
        await self._work.steps.settle(batch.id)
        return json_reply(await run_in_threadpool(self._view, batch.id, call))

    def _view(self, batch_id: str, call: Call) -> JsonObject:
        batch = self._ledger.get(batch_id)
        progress = self._ledger.progress.get(batch_id)
        now = self._world.clock.now()
        view = operation(batch, now, self._output(batch, call), progress)
        if call.has_quirk("null_output"):
            as_object(view["metadata"]).pop("output", None)
            view.pop("response", None)
        if call.has_quirk("unknown_status"):
            as_object(view["metadata"])["state"] = "BATCH_STATE_UNDER_REVIEW"
        if call.has_quirk("reset_counts"):
            total = str(batch.total)
            counts: JsonObject = {"requestCount": total, "pendingRequestCount": total}
            as_object(view["metadata"])["batchStats"] = counts
        return view

    def _output(self, batch: GeminiBatch, call: Call) -> JsonObject | None:
        """Return what a batch gave; results that are older than six weeks are gone."""
        file = self._shelf.find(batch.output_id)
        if file is None:
            return None
        if batch.input_file is not None:
            return {"responsesFile": f"files/{file.id}"}
        results = result_file(self._shelf, file, INLINE_SHAPE)
        download = open_results(self._world, results, call.damaged_row())
        rows = [msgspec.Raw(row) for row in download.source.read().splitlines()]
        download.source.close()
        # Raw rows are spliced into the answer as they are.
        return {"inlinedResponses": {"inlinedResponses": cast("list[JsonValue]", rows)}}

    async def list(self, call: Call) -> Response:
        """GET /{version}/batches, newest first; inline results are in it, too."""
        query = call.request.query_params
        asks_for_size = "pageSize" in query or "page_size" in query
        if call.has_quirk("empty_without_page_size") and not asks_for_size:
            # See https://github.com/googleapis/python-genai/issues/1250.
            return json_reply({})
        newest = self._world.clock.now() - call.hidden_seconds()
        batches = [each for each in self._ledger.book.newest_first() if each.created_at <= newest]
        page, token = page_of(batches, query, _PAGE, _MOST_OF_PAGE)
        await self._work.steps.settle(*(batch.id for batch in page))
        operations: list[JsonValue] = [self._view(batch.id, call) for batch in page]
        reply: JsonObject = {"operations": operations} if operations else {}
        return json_reply({**reply, "nextPageToken": token} if token else reply)

    async def cancel(self, call: Call) -> Response:
        """POST /{version}/batches/{id}:cancel: at once, and without an intermediate state."""
        batch_id: str = call.request.path_params["id"]
        self._ledger.get(batch_id)
        await self._work.steps.settle(batch_id)
        with self._world.lock:
            batch = self._ledger.get(batch_id)
            now = self._world.clock.now()
            if state_at(batch, now) in LIVE:
                partial = call.has_quirk("cancelled_output")
                oddities = replace(batch.oddities, cancelled_output=partial)
                self._ledger.book.save(replace(batch, cancel_at=now, oddities=oddities))
                if not partial:
                    self._ledger.held(batch_id).unlink(missing_ok=True)
        self._work.steps.plan(batch_id)
        return json_reply({})

    async def delete(self, call: Call) -> Response:
        """DELETE /{version}/batches/{id}; one that runs is ended by it."""
        with self._world.lock:
            self._ledger.get(call.request.path_params["id"])
            self._ledger.remove(call.request.path_params["id"])
        return json_reply({})

    async def update(self, call: Call) -> Response:
        """PATCH /{version}/batches/{id}:updateGenerateContentBatch: its name or priority."""
        message = GENERATE_BATCH["batch"][1] or {}
        body = await json_request(call, message)
        with self._world.lock:
            batch = self._ledger.get(call.request.path_params["id"])
            changes: dict[str, Any] = {}
            if body.get("displayName") is not None:
                changes["display_name"] = as_text(body["displayName"])
            if body.get("priority") is not None:
                changes["priority"] = str(body["priority"])
            self._ledger.book.save(replace(batch, **changes))
        return json_reply(await run_in_threadpool(self._view, batch.id, call))


def _write_inline(held: Path, source: JsonObject, *, drop_metadata: bool) -> int:
    """Write inline requests as lines, and return how many there are."""
    items = [as_object(item) for item in as_list(as_object(source.get("requests")).get("requests"))]
    if not items:
        message = "* BatchGenerateContentRequest.batch.input_config: input_config is not specified"
        raise GoogleError(message)
    for number, item in enumerate(items):
        if not isinstance(item.get("request"), dict):
            message = f"* batch.input_config.requests.requests[{number}]: request is not specified"
            raise GoogleError(message)
        if drop_metadata:
            item.pop("metadata", None)
    held.write_bytes(b"".join(encode(item) + b"\n" for item in items))
    return len(items)


def api_key(request: Request) -> str:
    """Return the caller's key."""
    return request.headers.get("x-goog-api-key") or request.query_params.get("key", "")
