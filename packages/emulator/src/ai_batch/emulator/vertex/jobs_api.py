"""The routes of batch prediction jobs."""

from __future__ import annotations

from msgspec.structs import replace
from starlette.responses import Response

from ai_batch.emulator.durations import drawn_durations
from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.gemini.fields import message_of
from ai_batch.emulator.gemini.json_body import json_request, page_of
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.vertex.filters import parse_filter
from ai_batch.emulator.vertex.ledger import VertexLedger, not_found
from ai_batch.emulator.vertex.lifecycle import LIVE, state_at
from ai_batch.emulator.vertex.records import VertexJob
from ai_batch.emulator.vertex.tokens import token_of
from ai_batch.emulator.vertex.views import job_resource
from ai_batch.emulator.vertex.work import VertexWork
from ai_batch.emulator.world import World

_PAGE = 100
_MOST_OF_PAGE = 1000
_JOB = message_of(
    "name displayName model modelVersionId labels modelParameters instanceConfig "
    "dedicatedResources serviceAccount manualBatchTuningParameters generateExplanation "
    "explanationSpec encryptionSpec disableContainerLogging unmanagedContainerModel",
    inputConfig=message_of(
        "instancesFormat bigquerySource vertexMultimodalDatasetSource", gcsSource=message_of("uris")
    ),
    outputConfig=message_of(
        "predictionsFormat bigqueryDestination vertexMultimodalDatasetDestination",
        gcsDestination=message_of("outputUriPrefix"),
    ),
)


class VertexJobsApi:
    """Create, get, list, cancel, delete."""

    def __init__(self, world: World, ledger: VertexLedger, work: VertexWork) -> None:
        self._world = world
        self._ledger = ledger
        self._work = work

    async def create(self, call: Call) -> Response:
        """POST .../batchPredictionJobs."""
        job = self._checked(await json_request(call, _JOB), call)
        with self._world.lock, self._world.store.transaction():
            self._ledger.book.save(job)
            self._world.store.add("batches_created")
        reply = json_reply(job_resource(job, job.created_at))
        self._work.remember_key(job.id, token_of(call.request))
        self._work.steps.plan(job.id)
        return reply

    def _checked(self, body: JsonObject, call: Call) -> VertexJob:
        display_name = as_text(body.get("displayName"))
        if not display_name:
            raise GoogleError("Required field is missing: display_name.")
        job_id = str(int(self._world.new_hex("vertex"), 16) % 10**18 + 10**18)
        labels = as_object(body.get("labels"))
        return VertexJob(
            id=job_id,
            serial=self._world.store.serial(),
            created_at=self._world.clock.now(),
            project=call.request.path_params["project"],
            location=call.request.path_params["location"],
            display_name=display_name,
            model=self._model(as_text(body.get("model"))),
            input_uris=_input_uris(as_object(body.get("inputConfig"))),
            output_prefix=_output_prefix(as_object(body.get("outputConfig"))),
            labels={name: as_text(value) for name, value in labels.items()},
            durations=drawn_durations(self._world.options, job_id),
            fails=call.has_quirk("failed_job"),
            partial=call.has_quirk("partially_succeeded"),
            several_files=call.has_quirk("several_files"),
        )

    def _model(self, model: str) -> str:
        short = model.rsplit("/", 1)[-1]
        if not short or not self._world.options.known_model(short):
            raise GoogleError(f"Do not support publisher model {model}")
        return model

    async def get(self, call: Call) -> Response:
        """GET .../batchPredictionJobs/{id}."""
        job = self._found(call)
        if self._world.clock.now() - job.created_at < call.not_found_seconds():
            raise not_found(job.name)
        await self._work.steps.settle(job.id)
        return json_reply(self._view(job.id, call))

    def _found(self, call: Call) -> VertexJob:
        path = call.request.path_params
        return self._ledger.get(path["project"], path["location"], path["id"])

    def _view(self, job_id: str, call: Call) -> JsonObject:
        job = self._ledger.book.find(job_id)
        if job is None:
            raise not_found(job_id)
        view = job_resource(job, self._world.clock.now())
        if call.has_quirk("unknown_status"):
            view["state"] = "JOB_STATE_UNDER_REVIEW"
        if call.has_quirk("null_output"):
            view.pop("outputInfo", None)
        if call.has_quirk("reset_counts"):
            view["completionStats"] = {"incompleteCount": "-1"}
        return view

    async def list(self, call: Call) -> Response:
        """GET .../batchPredictionJobs, newest first."""
        query, path = call.request.query_params, call.request.path_params
        passes = parse_filter(query.get("filter", ""))
        newest = self._world.clock.now() - call.hidden_seconds()
        jobs = [
            job
            for job in self._ledger.of(path["project"], path["location"])
            if job.created_at <= newest
        ]
        await self._work.steps.settle(*(job.id for job in jobs))
        shown = {job.id: self._view(job.id, call) for job in jobs}
        passing = [job for job in jobs if passes(shown[job.id])]
        page, token = page_of(passing, query, _PAGE, _MOST_OF_PAGE)
        views: list[JsonValue] = [shown[job.id] for job in page]
        reply: JsonObject = {"batchPredictionJobs": views} if views else {}
        return json_reply({**reply, "nextPageToken": token} if token else reply)

    async def cancel(self, call: Call) -> Response:
        """POST .../batchPredictionJobs/{id}:cancel; a job that has ended stays as it is."""
        job_id = self._found(call).id
        await self._work.steps.settle(job_id)
        with self._world.lock:
            job = self._found(call)
            now = self._world.clock.now()
            if state_at(job, now) in LIVE and job.cancel_at is None:
                self._ledger.book.save(replace(job, cancel_at=now))
        self._work.steps.plan(job_id)
        return json_reply({})

    async def delete(self, call: Call) -> Response:
        """DELETE .../batchPredictionJobs/{id}, of jobs that have ended; predictions stay."""
        await self._work.steps.settle(self._found(call).id)
        with self._world.lock:
            job = self._found(call)
            if state_at(job, self._world.clock.now()) in LIVE:
                message = "The BatchPredictionJob is not finished, and cannot be deleted."
                raise GoogleError(message, name="FAILED_PRECONDITION")
            self._ledger.book.remove(job.id)
        number = str(self._world.store.serial())
        kind = "type.googleapis.com/google.cloud.aiplatform.v1.DeleteOperationMetadata"
        empty = "type.googleapis.com/google.protobuf.Empty"
        return json_reply(
            {
                "name": f"{job.parent}/operations/{number}",
                "metadata": {"@type": kind},
                "done": True,
                "response": {"@type": empty},
            }
        )


def _input_uris(config: JsonObject) -> list[str]:
    if "bigquerySource" in config:
        raise GoogleError("The emulator has no BigQuery: give a gcsSource.", status=501)
    uris = [as_text(uri) for uri in as_list(as_object(config.get("gcsSource")).get("uris"))]
    if not uris or config.get("instancesFormat") != "jsonl":
        raise GoogleError("input_config must have a gcs_source, and the instances_format jsonl.")
    for uri in uris:
        if not uri.startswith("gs://") or "/" not in uri.removeprefix("gs://"):
            raise GoogleError(f"Invalid Cloud Storage URI: {uri}")
    return uris


def _output_prefix(config: JsonObject) -> str:
    if "bigqueryDestination" in config:
        raise GoogleError("The emulator has no BigQuery: give a gcsDestination.", status=501)
    prefix = as_text(as_object(config.get("gcsDestination")).get("outputUriPrefix"))
    if not prefix.startswith("gs://") or config.get("predictionsFormat") != "jsonl":
        raise GoogleError(
            "output_config must have a gcs_destination, and the predictions_format jsonl."
        )
    return prefix
