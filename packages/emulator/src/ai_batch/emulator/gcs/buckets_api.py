"""The routes of buckets."""

from __future__ import annotations

from starlette.responses import Response

from ai_batch.emulator.gcs.errors import StorageError
from ai_batch.emulator.gcs.queries import base_of, json_reply, resource_of
from ai_batch.emulator.gcs.warehouse import Warehouse
from ai_batch.emulator.json_types import JsonValue
from ai_batch.emulator.route import Call


class BucketsApi:
    """Create, get, list, delete."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def create(self, call: Call) -> Response:
        """POST /storage/v1/b."""
        resource = resource_of(await call.request.body())
        name = resource.get("name")
        if not isinstance(name, str) or not name:
            raise StorageError("Required", reason="required")
        bucket = self._warehouse.make_bucket(name, str(resource.get("location") or "US"))
        return json_reply(bucket.to_json(base_of(call.request)))

    async def list(self, call: Call) -> Response:
        """GET /storage/v1/b."""
        base = base_of(call.request)
        prefix = call.request.query_params.get("prefix", "")
        items: list[JsonValue] = [
            bucket.to_json(base)
            for bucket in self._warehouse.buckets()
            if bucket.name.startswith(prefix)
        ]
        return json_reply({"kind": "storage#buckets", "items": items})

    async def get(self, call: Call) -> Response:
        """GET /storage/v1/b/{bucket}."""
        bucket = self._warehouse.bucket(call.request.path_params["bucket"])
        return json_reply(bucket.to_json(base_of(call.request)))

    async def delete(self, call: Call) -> Response:
        """DELETE /storage/v1/b/{bucket}."""
        self._warehouse.remove_bucket(call.request.path_params["bucket"])
        return Response(status_code=204)
