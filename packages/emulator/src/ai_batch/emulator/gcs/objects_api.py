"""The routes of objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ai_batch.emulator.gcs.errors import StorageError, no_such_object
from ai_batch.emulator.gcs.listing import page_of
from ai_batch.emulator.gcs.queries import base_of, conditions_of, json_reply, resource_of, whole
from ai_batch.emulator.gcs.records import ObjectRecord
from ai_batch.emulator.gcs.warehouse import Warehouse, check_conditions
from ai_batch.emulator.json_types import JsonObject, JsonValue
from ai_batch.emulator.route import Call
from ai_batch.emulator.transfer import Download, download_response
from ai_batch.emulator.world import World

Opener: TypeAlias = Callable[[ObjectRecord, Call], tuple[ObjectRecord, Download]]
"""Opens a content; the record that comes with it tells size and checksums of what was opened."""


class ObjectsApi:
    """Get, download, list, change, delete, copy, compose."""

    def __init__(self, world: World, warehouse: Warehouse, opener: Opener) -> None:
        self._world = world
        self._warehouse = warehouse
        self._opener = opener

    async def get(self, call: Call) -> Response:
        """GET /storage/v1/b/{bucket}/o/{object}; with `alt=media`, its content."""
        if call.request.query_params.get("alt") == "media":
            return await self.download(call)
        return self._shown(call, self._found(call))

    async def download(self, call: Call) -> Response:
        """GET /download/storage/v1/b/{bucket}/o/{object}?alt=media."""
        found = self._found(call)
        opened, download = await run_in_threadpool(self._opener, found, call)
        headers = {
            "content-type": opened.content_type,
            "etag": opened.etag,
            "last-modified": formatdate(opened.updated_at, usegmt=True),
            "x-goog-hash": f"crc32c={opened.crc32c},md5={opened.md5}",
            "x-goog-generation": str(opened.generation),
            "x-goog-metageneration": str(opened.metageneration),
            "x-goog-stored-content-length": str(opened.bytes),
            "x-goog-stored-content-encoding": "identity",
        }
        return download_response(call.request, replace(download, headers=headers))

    async def list(self, call: Call) -> Response:
        """GET /storage/v1/b/{bucket}/o."""
        found = self._warehouse.objects(call.request.path_params["bucket"])
        page = page_of(found, call.request.query_params)
        base = base_of(call.request)
        reply: JsonObject = {"kind": "storage#objects"}
        if page.objects:
            items: list[JsonValue] = [each.to_json(base) for each in page.objects]
            reply["items"] = items
        if page.prefixes:
            reply["prefixes"] = list[JsonValue](page.prefixes)
        if page.next_token is not None:
            reply["nextPageToken"] = page.next_token
        return json_reply(reply)

    async def change(self, call: Call) -> Response:
        """PATCH or PUT /storage/v1/b/{bucket}/o/{object}."""
        resource = resource_of(await call.request.body())
        with self._world.lock:
            return self._shown(call, self._warehouse.change(self._found(call), resource))

    async def delete(self, call: Call) -> Response:
        """DELETE /storage/v1/b/{bucket}/o/{object}."""
        with self._world.lock:
            self._warehouse.remove(self._found(call))
        self._world.store.add("files_deleted")
        return Response(status_code=204)

    async def rewrite(self, call: Call) -> Response:
        """POST .../o/{object}/rewriteTo/b/{to_bucket}/o/{to_object}, done in one call."""
        copied = await self._copied(call)
        size = str(copied.bytes)
        return json_reply(
            {
                "kind": "storage#rewriteResponse",
                "totalBytesRewritten": size,
                "objectSize": size,
                "done": True,
                "resource": copied.to_json(base_of(call.request)),
            }
        )

    async def copy(self, call: Call) -> Response:
        """POST .../o/{object}/copyTo/b/{to_bucket}/o/{to_object}."""
        return self._shown(call, await self._copied(call))

    async def _copied(self, call: Call) -> ObjectRecord:
        query, path = call.request.query_params, call.request.path_params
        source = self._warehouse.get(path["bucket"], path["object"])
        check_conditions(source, conditions_of(query, "ifSource"))
        resource = {**resource_of(await call.request.body()), "name": path["to_object"]}
        return await run_in_threadpool(
            self._warehouse.copy, path["to_bucket"], source, resource, conditions_of(query)
        )

    async def compose(self, call: Call) -> Response:
        """POST .../o/{object}/compose: several objects of a bucket, one after the other."""
        path = call.request.path_params
        body = resource_of(await call.request.body())
        sources = [
            self._warehouse.get(path["bucket"], str(source.get("name")))
            for source in body.get("sourceObjects", [])
        ]
        if not sources:
            raise StorageError("Required", reason="required")
        resource = {**dict(body.get("destination") or {}), "name": path["object"]}
        conditions = conditions_of(call.request.query_params)
        composed = await run_in_threadpool(
            self._warehouse.compose, path["bucket"], sources, resource, conditions
        )
        return self._shown(call, composed)

    def _found(self, call: Call) -> ObjectRecord:
        query, path = call.request.query_params, call.request.path_params
        found = self._warehouse.get(path["bucket"], path["object"])
        wanted = query.get("generation")
        if wanted is not None and found.generation != whole(wanted, "generation"):
            raise no_such_object(path["bucket"], f"{path['object']}#{wanted}")
        check_conditions(found, conditions_of(query))
        return found

    @staticmethod
    def _shown(call: Call, found: ObjectRecord) -> Response:
        response = json_reply(found.to_json(base_of(call.request)))
        response.headers["etag"] = found.etag
        return response
