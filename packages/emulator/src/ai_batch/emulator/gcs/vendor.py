"""The emulated Cloud Storage: its routes, and what is common to all its calls."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ai_batch.emulator.downloads import ResultFile, open_results
from ai_batch.emulator.faults import VendorName
from ai_batch.emulator.gcs.buckets_api import BucketsApi
from ai_batch.emulator.gcs.errors import StorageError, error_of_status
from ai_batch.emulator.gcs.objects_api import ObjectsApi
from ai_batch.emulator.gcs.records import ObjectRecord
from ai_batch.emulator.gcs.uploads_api import StorageUploadsApi
from ai_batch.emulator.gcs.warehouse import Warehouse
from ai_batch.emulator.route import Call, NamedHandler, named_routes
from ai_batch.emulator.transfer import Download
from ai_batch.emulator.vertex.shape import PREDICTION_SHAPE
from ai_batch.emulator.world import World

_BUCKETS = "/storage/v1/b"
_OBJECTS = "/storage/v1/b/{bucket}/o"
_OBJECT = "/storage/v1/b/{bucket}/o/{object:path}"


class StorageVendor:
    """Everything under `/storage`, `/upload/storage` and `/download/storage`."""

    name: VendorName = "gcs"
    retries_by_header = True

    def __init__(self, world: World) -> None:
        self._world = world
        self.warehouse = Warehouse(world)

    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        buckets = BucketsApi(self.warehouse)
        objects = ObjectsApi(self._world, self.warehouse, self._open)
        uploads = StorageUploadsApi(self._world, self.warehouse)
        upload = f"/upload{_OBJECTS}"
        to = "b/{to_bucket}/o/{to_object:path}"
        named: list[NamedHandler] = [
            ("POST", upload, "objects.upload", uploads.upload),
            ("PUT", upload, "objects.upload.chunk", uploads.chunk),
            ("DELETE", upload, "objects.upload.cancel", uploads.cancel),
            ("GET", f"/download{_OBJECT}", "objects.download", objects.download),
            ("POST", f"{_OBJECT}/rewriteTo/{to}", "objects.rewrite", objects.rewrite),
            ("POST", f"{_OBJECT}/copyTo/{to}", "objects.copy", objects.copy),
            ("POST", f"{_OBJECT}/compose", "objects.compose", objects.compose),
            ("GET", _OBJECTS, "objects.list", objects.list),
            ("GET", _OBJECT, "objects.get", objects.get),
            ("PATCH", _OBJECT, "objects.patch", objects.change),
            ("PUT", _OBJECT, "objects.patch", objects.change),
            ("DELETE", _OBJECT, "objects.delete", objects.delete),
            ("POST", _BUCKETS, "buckets.create", buckets.create),
            ("GET", _BUCKETS, "buckets.list", buckets.list),
            ("GET", f"{_BUCKETS}/{{bucket}}", "buckets.get", buckets.get),
            ("DELETE", f"{_BUCKETS}/{{bucket}}", "buckets.delete", buckets.delete),
        ]
        named += [
            (None, f"{start}/storage/{{path:path}}", "unknown", self._unknown)
            for start in ("", "/upload", "/download")
        ]
        return named_routes(self._world, self, named)

    async def _unknown(self, call: Call) -> Response:
        raise StorageError("Not Found", status=404)

    def _open(self, found: ObjectRecord, call: Call) -> tuple[ObjectRecord, Download]:
        """Open a content; that of a batch's results may meet a damage."""
        path = self.warehouse.path(found)
        damage = call.damaged_row()
        if damage is None or found.batch_id is None:
            return found, Download.of(path)
        file = ResultFile(id=path.name, path=path, batch_id=found.batch_id, shape=PREDICTION_SHAPE)
        download = open_results(self._world, file, damage)
        return self.warehouse.opened(found, download, keep=damage[1].persistent), download

    def authorise(self, request: Request) -> None:
        """Let everybody in: an emulated storage has no credentials."""

    def failure(self, status: int, retry_after: float | None = None) -> Response:
        """Return the answer that the vendor typically gives with an error status."""
        return error_of_status(status).response()

    def headers(self, route: str, seconds: float) -> Mapping[str, str]:
        """Return the headers that come with each answer."""
        return {"x-guploader-uploadid": self._world.new_base62("gcs-call")}

    def files_live(self) -> int:
        """Return how many objects exist."""
        return self.warehouse.count()

    def batches_by_status(self) -> Mapping[str, int]:
        """Return no batches: a storage has none."""
        return {}

    def reload(self) -> None:
        """Read everything from the store again, after it was cleared."""
        self.warehouse.load()
