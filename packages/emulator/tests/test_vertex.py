"""Batch prediction jobs of Vertex AI, as the bare SDKs see them."""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from ai_batch.emulator import Emulator, Fault, Timing, VertexLimits, item_key
from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.surface import Surface
from ai_batch.emulator.vertex.filters import parse_filter

# Google's other libraries have no types.
storage: Any = importlib.import_module("google.cloud.storage")
credentials: Any = importlib.import_module("google.auth.credentials")
oauth2: Any = importlib.import_module("google.oauth2.credentials")

MODEL = "gemini-2.5-flash"
PLACE = "/v1/projects/proj/locations/us-central1"
TIMES = Timing(validating=10, in_progress=100, cancelling=10)
LIVE = {
    types.JobState.JOB_STATE_PENDING,
    types.JobState.JOB_STATE_RUNNING,
    types.JobState.JOB_STATE_CANCELLING,
}
Line = dict[str, Any]


class Project:
    """An emulator, clients of its Vertex AI and its storage, and the steps that tests repeat."""

    def __init__(self, emulator: Surface, token: str = "token", project: str = "proj") -> None:
        self.emulator = emulator
        self.client = genai.Client(
            vertexai=True,
            project=project,
            location="us-central1",
            credentials=oauth2.Credentials(token),
            http_options=types.HttpOptions(base_url=emulator.vertex_url),
        )
        self.models: Any = self.client.models
        self.storage = storage.Client(
            project=project,
            credentials=credentials.AnonymousCredentials(),
            client_options={"api_endpoint": emulator.gcs_url},
        )
        self.bucket = self.storage.bucket("bkt")

    def close(self) -> None:
        """Close the clients."""
        self.client.close()
        self.storage.close()

    def line(self, number: int, **request: Any) -> Line:
        """One request line, named by a key and by a label."""
        contents = [{"role": "user", "parts": [{"text": f"say {number}"}]}]
        labels = {"ai_batch_id": f"t-{number}"}
        return {
            "key": f"r{number}",
            "request": {"contents": contents, "labels": labels, **request},
        }

    def lines(self, count: int, **request: Any) -> list[Line]:
        """Several request lines."""
        return [self.line(number, **request) for number in range(count)]

    def put(self, name: str, lines: list[Line] | bytes) -> str:
        """An input object."""
        if not isinstance(lines, bytes):
            lines = "\n".join(map(json.dumps, lines)).encode()
        self.bucket.blob(name).upload_from_string(lines)
        return f"gs://bkt/{name}"

    def create(self, *uris: str, model: str = MODEL, **config: Any) -> types.BatchJob:
        """A job, just created."""
        config = {"dest": "gs://bkt/out", **config}
        source = types.BatchJobSource(format="jsonl", gcs_uri=list(uris))
        full = types.CreateBatchJobConfig(**config)
        return self.client.batches.create(model=model, src=source, config=full)

    def submit(self, lines: list[Line] | bytes, **options: Any) -> types.BatchJob:
        """A job of some lines."""
        return self.create(self.put("in.jsonl", lines), **options)

    def get(self, job: types.BatchJob) -> types.BatchJob:
        """The job as it is now."""
        return self.client.batches.get(name=job.name or "")

    def ended(self, job: types.BatchJob) -> types.BatchJob:
        """The job when it has ended, without moving the clock."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            job = self.get(job)
            if job.state not in LIVE:
                return job
        raise AssertionError(f"still {job.state}")

    def run(self, lines: list[Line] | bytes, **options: Any) -> types.BatchJob:
        """A job that has ended."""
        return self.ended(self.submit(lines, **options))

    def text(self, job: types.BatchJob) -> str:
        """The predictions of a job."""
        assert job.output_info
        directory = job.output_info.gcs_output_directory or ""
        prefix = directory.removeprefix("gs://bkt/")
        blobs = self.storage.list_blobs("bkt", prefix=f"{prefix}/")
        return "".join(blob.download_as_text() for blob in blobs)

    def rows(self, job: types.BatchJob) -> list[Line]:
        """The predictions of a job, read."""
        return [json.loads(row) for row in self.text(job).splitlines()]

    def raw(self, method: str, path: str, token: str = "token", **rest: Any) -> httpx2.Response:
        """A call without the SDK."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = f"{self.emulator.vertex_url}{path}"
        return httpx2.request(method, url, headers=headers, **rest)


@pytest.fixture
def make_project() -> Iterator[Callable[..., Project]]:
    """Make a project whose emulator has these options."""
    with ExitStack() as stack:

        def make(
            emulator: Surface | None = None,
            token: str = "token",
            project: str = "proj",
            **rest: Any,
        ) -> Project:
            if emulator is None:
                emulator = stack.enter_context(Emulator(**rest))
            made = Project(emulator, token, project)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """A project with an emulator as it comes."""
    return make_project()


def test_a_job_answers_every_line(project: Project) -> None:
    """Each line comes back with its request, its key and its answer, in an order of its own."""
    job = project.run(project.lines(30), display_name="dn")
    rows = project.rows(job)
    assert (job.state, job.display_name) == (types.JobState.JOB_STATE_SUCCEEDED, "dn")
    assert job.completion_stats
    assert (job.completion_stats.successful_count, job.completion_stats.failed_count) == (30, None)
    assert job.start_time
    assert job.end_time
    assert [row["key"] for row in rows] != [f"r{number}" for number in range(30)]
    by_key = {row["key"]: row for row in rows}
    for number in range(30):
        row = by_key[f"r{number}"]
        assert row["status"] == ""
        assert row["processed_time"].endswith("+00:00")
        assert row["request"] == project.line(number)["request"]
        response = types.GenerateContentResponse.model_validate(row["response"])
        assert response.text == f"say {number}"
        assert response.usage_metadata
        assert response.usage_metadata.traffic_type == types.TrafficType.ON_DEMAND


def test_items_are_known_without_their_labels(project: Project) -> None:
    """A label that holds a wire id is not part of what was asked; other labels are."""
    line = project.line(1)
    other = project.line(1, labels={"ai_batch_id": "t-9"})
    project.run([line, other, project.line(2, labels={"team": "a", "ai_batch_id": "x"})])
    endpoint = f"/models/{MODEL}:generateContent"
    body = line["request"]
    del body["labels"]
    labelled: JsonObject = {**project.line(2)["request"], "labels": {"team": "a"}}
    stats = project.emulator.stats
    assert stats.executions == {item_key(endpoint, body): 2, item_key(endpoint, labelled): 1}
    assert stats.billed_twice() == [item_key(endpoint, body)]


def test_a_job_is_written_as_the_service_does(make_project: Callable[..., Project]) -> None:
    """The project's number, sources, destinations, labels, and times as they come."""
    project = make_project(timing=TIMES)
    labels = {"http_options": {"extra_body": {"labels": {"k": "v"}}}}
    job = project.submit(project.lines(10), display_name="dn", **labels)
    path = f"{PLACE}/batchPredictionJobs/{(job.name or '').rsplit('/', 1)[-1]}"
    wire = project.raw("GET", path).json()
    number = wire["name"].split("/")[1]
    assert number.isdecimal()
    assert wire["name"] == job.name
    assert wire["state"] == "JOB_STATE_PENDING"
    assert wire["labels"] == {"k": "v"}
    assert wire["inputConfig"]["gcsSource"]["uris"] == ["gs://bkt/in.jsonl"]
    assert wire["outputConfig"]["gcsDestination"]["outputUriPrefix"] == "gs://bkt/out"
    assert "startTime" not in wire
    assert "completionStats" not in wire
    assert project.raw("GET", path.replace("/proj/", f"/{number}/")).json()["name"] == job.name
    elsewhere = path.replace("us-central1", "europe-west1")
    assert project.raw("GET", elsewhere).status_code == 404
    project.emulator.advance(seconds=60)
    assert project.raw("GET", path).json()["state"] == "JOB_STATE_RUNNING"
    project.emulator.advance(seconds=60)
    done = project.raw("GET", path).json()
    directory = f"gs://bkt/out/prediction-model-{wire['createTime']}"
    assert done["outputInfo"] == {"gcsOutputDirectory": directory}
    assert done["completionStats"] == {"successfulCount": "10"}
    names = [blob.name for blob in project.storage.list_blobs("bkt", prefix="out/")]
    assert [f"gs://bkt/{name}" for name in names] == [f"{directory}/predictions.jsonl"]


def test_several_inputs_make_one_output(project: Project) -> None:
    """Each object may lack its last line feed."""
    first = project.put("a.jsonl", project.lines(2))
    second = project.put("b.jsonl", [project.line(7)])
    rows = project.rows(project.ended(project.create(first, second)))
    assert {row["key"] for row in rows} == {"r0", "r1", "r7"}


def test_everything_beside_the_request_comes_back(project: Project) -> None:
    """Whatever a line has of its own, as it was written."""
    line = {**project.line(1), "note": {"a": [1, 2.50, None]}}
    (row,) = project.rows(project.run([line]))
    assert row["note"] == {"a": [1, 2.5, None]}
    assert list(row) == ["status", "processed_time", "request", "response", "key", "note"]


def test_a_failed_line_says_why(make_project: Callable[..., Project]) -> None:
    """In its status; its response is empty, and nobody pays for it."""

    def answer(endpoint: str, body: Any) -> Any:  # noqa: ARG001
        if body["contents"][0]["parts"][0]["text"] == "say 1":
            return 429, {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}
        return None

    project = make_project(answer=answer)
    lines = [*project.lines(2), project.line(2, thinking_config={})]
    job = project.run(lines)
    rows = {row["key"]: row for row in project.rows(job)}
    assert rows["r0"]["status"] == ""
    assert rows["r1"]["status"].startswith('Too Many Requests: {"error":{"code":429')
    assert rows["r2"]["status"].startswith("Bad Request: ")
    assert "no such field: 'thinking_config'" in rows["r2"]["status"]
    assert rows["r1"]["response"] == rows["r2"]["response"] == {}
    assert job.state == types.JobState.JOB_STATE_SUCCEEDED
    assert job.completion_stats
    assert job.completion_stats.failed_count == 2
    assert project.emulator.stats.items_billed == 1


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 5, "does not exist"),
        (b"nonsense\n", 3, "line 1"),
        (b"", 3, "0 requests"),
        (b"{}\n" * 5, 3, "5 requests"),
        (b'{"request":{}}' + b" " * 200, 3, "bytes"),
    ],
)
def test_a_bad_input_fails_the_job(
    make_project: Callable[..., Project], content: bytes | None, code: int, message: str
) -> None:
    """An object that is missing, too large, empty or no JSONL; nothing is executed."""
    project = make_project(vertex_limits=VertexLimits(max_requests=4, max_input_bytes=100))
    uri = "gs://bkt/none.jsonl" if content is None else project.put("in.jsonl", content)
    job = project.ended(project.create(uri))
    assert job.state == types.JobState.JOB_STATE_FAILED
    assert job.error
    assert job.error.code == code
    assert message in (job.error.message or "")
    assert job.output_info is None
    assert project.emulator.stats.items_executed == 0


# ---- embeddings


def test_embeddings_of_gemini_models(project: Project) -> None:
    """A request for each line, in either spelling, and a response with the vector."""
    config = {"output_dimensionality": 8, "task_type": "RETRIEVAL_DOCUMENT"}
    request = {"content": {"parts": [{"text": "Hello"}]}, "embed_content_config": config}
    job = project.run([{"key": "id_1", "request": request}], model="gemini-embedding-001")
    (row,) = project.rows(job)
    assert (row["key"], row["status"]) == ("id_1", "")
    assert len(row["response"]["embedding"]["values"]) == 8


def test_embeddings_of_older_models(project: Project) -> None:
    """Instances come back with their predictions."""
    lines: list[Line] = [{"content": "a" * 32}, {"content": "b", "title": "t"}, {"text": "no"}]
    rows = project.rows(project.run(lines, model="text-embedding-005"))
    found = {json.dumps(row["instance"]): row for row in rows}
    good = found['{"content": "%s"}' % ("a" * 32)]
    (prediction,) = good["predictions"]
    assert prediction["embeddings"]["statistics"] == {"token_count": 8, "truncated": False}
    assert len(prediction["embeddings"]["values"]) == 768
    assert good["status"] == ""
    bad = found['{"text": "no"}']
    assert bad["predictions"] == []
    assert bad["status"].startswith("Bad Request: ")


# ---- live


def test_live_calls_are_answered(project: Project) -> None:
    """Texts, tokens and vectors, by the same client."""
    answer = project.models.generate_content(model=MODEL, contents="hello")
    assert answer.text == "hello"
    assert project.models.count_tokens(model=MODEL, contents="x" * 400).total_tokens == 100
    config = {"output_dimensionality": 4, "task_type": "RETRIEVAL_QUERY"}
    for model in ("gemini-embedding-001", "text-embedding-005", "gemini-embedding-2"):
        found = project.models.embed_content(model=model, contents=["x"], config=config)
        assert [len(each.values) for each in found.embeddings] == [4]
    with pytest.raises(errors.ClientError) as caught:
        project.models.generate_content(model="no-such-model", contents="x")
    assert caught.value.code == 404
    assert project.emulator.stats.live_calls == 4


# ---- calls


def test_jobs_are_listed_filtered_and_paged(project: Project) -> None:
    """Newest first; by display name, state and label; an empty object when there are none."""
    path = f"{PLACE}/batchPredictionJobs"
    assert project.raw("GET", path).json() == {}
    for name in ("job_a1", "job_a2", "other"):
        labels = {"http_options": {"extra_body": {"labels": {"team": name[:3]}}}}
        project.run(project.lines(1), display_name=name, **labels)

    def listed(text: str) -> list[str]:
        config = types.ListBatchJobsConfig(page_size=2, filter=text)
        return [job.display_name or "" for job in project.client.batches.list(config=config)]

    assert listed("") == ["other", "job_a2", "job_a1"]
    assert listed('display_name="job_a1"') == ["job_a1"]
    assert listed('display_name:"job_a*"') == ["job_a2", "job_a1"]
    both = 'state="JOB_STATE_SUCCEEDED" AND NOT (labels.team=job AND display_name:"*1")'
    assert listed(both) == ["other", "job_a2"]
    assert listed('state="JOB_STATE_FAILED" OR display_name="other"') == ["other"]
    assert listed('create_time>"2020-01-01T00:00:00Z"') == ["other", "job_a2", "job_a1"]
    assert listed('create_time>"2220-01-01T00:00:00Z"') == []
    with pytest.raises(errors.ClientError, match="Invalid filter"):
        listed("nonsense")


@pytest.mark.parametrize(
    "text",
    [
        "(",
        "state=",
        "state",
        "color=red",
        'create_time>"then"',
        "state<1",
        "a=b c",
        "!",
        'state="x',
    ],
)
def test_a_bad_filter_is_refused(text: str) -> None:
    """What cannot be read is a 400, not a filter that lets all pass."""
    with pytest.raises(GoogleError, match="Invalid filter"):
        parse_filter(text)


def test_filters_read_quotes_and_labels() -> None:
    """Escaped quotes, words without quotes, and whether a label is there."""
    job: JsonObject = {"displayName": 'a"b', "labels": {"k": "v"}}
    assert parse_filter(r'display_name="a\"b"')(job)
    assert parse_filter("labels:k AND labels.k!=w")(job)
    assert not parse_filter("labels:other")(job)
    assert not parse_filter('state:"*"')(job)


def test_a_cancelled_job_keeps_what_was_finished(make_project: Callable[..., Project]) -> None:
    """It is cancelling for a while; half of its lines are done and paid for."""
    project = make_project(timing=TIMES)
    job = project.submit(project.lines(10))
    project.emulator.advance(seconds=60)
    project.client.batches.cancel(name=job.name or "")
    assert project.get(job).state == types.JobState.JOB_STATE_CANCELLING
    project.emulator.advance(seconds=11)
    job = project.get(job)
    assert job.state == types.JobState.JOB_STATE_CANCELLED
    assert job.error
    assert job.error.message == "CANCELLED"
    assert len(project.rows(job)) == 5
    assert job.completion_stats
    assert job.completion_stats.incomplete_count == 5
    assert project.emulator.stats.items_billed == 5
    project.client.batches.cancel(name=job.name or "")
    assert project.get(job).state == types.JobState.JOB_STATE_CANCELLED


def test_a_waiting_job_is_cancelled_without_output(make_project: Callable[..., Project]) -> None:
    """Nothing was done, and nothing is written."""
    project = make_project(timing=TIMES)
    job = project.submit(project.lines(2))
    project.client.batches.cancel(name=job.name or "")
    project.emulator.advance(hours=1)
    job = project.get(job)
    assert job.state == types.JobState.JOB_STATE_CANCELLED
    assert job.output_info is None
    assert project.emulator.stats.items_executed == 0


def test_a_day_after_its_start_a_job_is_cancelled(make_project: Callable[..., Project]) -> None:
    """What was done by then is there and paid for."""
    project = make_project(timing=Timing(in_progress=48 * 3600))
    job = project.submit(project.lines(10))
    project.emulator.advance(hours=23.9)
    assert project.get(job).state == types.JobState.JOB_STATE_RUNNING
    project.emulator.advance(hours=0.2)
    job = project.get(job)
    assert job.state == types.JobState.JOB_STATE_CANCELLED
    assert len(project.rows(job)) == project.emulator.stats.items_billed == 5


def test_a_job_waits_for_three_days_at_most(make_project: Callable[..., Project]) -> None:
    """Then it expires."""
    project = make_project(timing=Timing(validating=100 * 3600))
    job = project.submit(project.lines(1))
    project.emulator.advance(hours=71)
    assert project.get(job).state == types.JobState.JOB_STATE_PENDING
    project.emulator.advance(hours=2)
    job = project.get(job)
    assert job.state == types.JobState.JOB_STATE_EXPIRED
    assert job.error
    assert project.emulator.stats.items_executed == 0


def test_only_ended_jobs_are_deleted(make_project: Callable[..., Project]) -> None:
    """With an operation as the answer; the predictions stay."""
    project = make_project(timing=TIMES)
    job = project.submit(project.lines(1))
    with pytest.raises(errors.ClientError) as caught:
        project.client.batches.delete(name=job.name or "")
    assert caught.value.status == "FAILED_PRECONDITION"
    project.emulator.advance(hours=1)
    done = project.get(job)
    assert project.client.batches.delete(name=job.name or "").done
    with pytest.raises(errors.ClientError) as gone:
        project.get(job)
    assert gone.value.code == 404
    assert len(project.rows(done)) == 1


def test_bad_jobs_are_refused(project: Project) -> None:
    """Unknown models, no destination, no display name, and BigQuery, which is not there."""
    uri = project.put("in.jsonl", project.lines(1))
    with pytest.raises(errors.ClientError, match="Do not support publisher model"):
        project.create(uri, model="no-such-model")
    with pytest.raises(errors.ClientError, match="output_config"):
        project.client.batches.create(model=MODEL, src="gs://bkt/folder/*")
    with pytest.raises(errors.ServerError) as caught:
        project.client.batches.create(model=MODEL, src="bq://p.d.t")
    assert caught.value.code == 501
    unnamed = project.raw("POST", f"{PLACE}/batchPredictionJobs", json={"model": "m"})
    assert (unnamed.status_code, "display_name" in unnamed.text) == (400, True)
    odd = project.raw("POST", f"{PLACE}/batchPredictionJobs", json={"mdl": "m"})
    assert 'Unknown name \\"mdl\\"' in odd.text
    assert project.emulator.stats.batches_created == 0


def test_a_token_is_wanted(make_project: Callable[..., Project]) -> None:
    """Without one, or with one that is unknown, there is a 401."""
    project = make_project(api_keys=["good"], token="good")
    assert list(project.client.batches.list(config={"page_size": 1})) == []
    for token in ("", "bad"):
        answer = project.raw("GET", f"{PLACE}/batchPredictionJobs", token=token)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert project.raw("GET", "/v3/projects/p/locations/l/batchPredictionJobs").status_code == 404


# Where aiohttp is installed the SDK uses it, in a way that aiohttp itself warns of.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")
def test_the_async_client_sees_the_same(project: Project) -> None:
    """A job made, listed and waited for by the asynchronous half of the SDK."""
    uri = project.put("in.jsonl", project.lines(3))

    async def run() -> types.BatchJob:
        aio = project.client.aio
        job = await aio.batches.create(model=MODEL, src=uri, config={"dest": "gs://bkt/out"})
        while job.state in LIVE:
            job = await aio.batches.get(name=job.name or "")
        pager = await aio.batches.list(config={"page_size": 1})
        assert [each.name async for each in pager] == [job.name]
        await aio.aclose()
        return job

    assert len(project.rows(asyncio.run(run()))) == 3


# ---- restart and faults


def test_everything_outlives_a_kill(make_project: Callable[..., Project], tmp_path: Path) -> None:
    """Objects and jobs are there again, and a job ends as planned, once."""
    with Emulator.spawn(home=tmp_path, timing=TIMES) as emulator:
        project = make_project(emulator)
        job = project.submit(project.lines(5), display_name="kept")
        emulator.advance(seconds=50)
        emulator.kill()
        emulator.restart()
        assert project.get(job).state == types.JobState.JOB_STATE_RUNNING
        emulator.advance(seconds=100)
        assert len(project.rows(project.get(job))) == 5
        emulator.kill()
        emulator.restart()
        assert len(project.rows(project.get(job))) == 5
        assert emulator.stats.items_executed == 5
        assert emulator.stats.executed_twice() == []
        assert emulator.stats.batches_by_status == {"succeeded": 1}


def test_a_cut_after_the_create_leaves_a_job(project: Project) -> None:
    """The client sees no answer, and yet there is a job, found by its name."""
    project.emulator.inject(Fault(route="batches.create", vendor="vertex", nth=1, cut="after"))
    with pytest.raises(httpx2.RemoteProtocolError):
        project.submit(project.lines(1), display_name="token")
    found = project.client.batches.list(config={"filter": 'display_name="token"'})
    assert [job.display_name for job in found] == ["token"]


def test_young_jobs_can_be_missing(project: Project) -> None:
    """From lists, and from gets, for some seconds; a status comes in Google's words."""
    project.emulator.inject(Fault(route="batches.list", hide_seconds=60))
    project.emulator.inject(Fault(route="batches.get", not_found_seconds=60))
    job = project.submit(project.lines(1))
    assert list(project.client.batches.list(config={"page_size": 10})) == []
    with pytest.raises(errors.ClientError) as caught:
        project.get(job)
    assert caught.value.code == 404
    project.emulator.advance(seconds=61)
    assert [each.name for each in project.client.batches.list()] == [job.name]
    project.emulator.inject(Fault(route="batches.get", vendor="vertex", status=503))
    with pytest.raises(errors.ServerError) as unavailable:
        project.get(job)
    assert unavailable.value.status == "UNAVAILABLE"


def test_predictions_can_be_damaged(project: Project) -> None:
    """For one download, or for good; the client's checksums fit what it is given."""
    job = project.run(project.lines(10))
    whole = project.text(job)
    project.emulator.inject(Fault(route="objects.download", vendor="gcs", nth=1, row="missing"))
    assert len(project.rows(job)) == 9
    project.emulator.inject(Fault(route="objects.download", nth=1, row="missing_id", row_index=0))
    assert "key" not in project.rows(job)[0]
    project.emulator.inject(Fault(route="objects.download", nth=1, row="status_zero", row_index=1))
    assert project.rows(job)[1]["response"] is None
    project.emulator.inject(Fault(route="objects.download", nth=1, row="garbage", row_index=1))
    assert project.text(job).splitlines()[1].startswith("<html>")
    assert project.text(job) == whole
    project.emulator.inject(
        Fault(route="objects.download", nth=1, row="missing", row_index=3, persistent=True)
    )
    lost = json.loads(whole.splitlines()[3])
    assert lost not in project.rows(job)
    assert lost not in project.rows(job)
    body = {"contents": lost["request"]["contents"]}
    key = item_key(f"/models/{MODEL}:generateContent", body)
    assert project.emulator.stats.lost == {key: 1}
    assert project.emulator.stats.items_lost == 1


@pytest.mark.filterwarnings("ignore:.*is not a valid JobState")
def test_odd_ends_can_be_had(project: Project) -> None:
    """Failed for an inner cause, succeeded in part, in several files, in an unknown state."""
    project.emulator.inject(Fault(route="batches.create", nth=1, quirk="failed_job"))
    failed = project.run(project.lines(2))
    assert failed.error
    assert failed.error.code == 13
    project.emulator.inject(Fault(route="batches.create", nth=1, quirk="partially_succeeded"))
    partial = project.run(project.lines(20))
    assert partial.state == types.JobState.JOB_STATE_PARTIALLY_SUCCEEDED
    assert len(project.rows(partial)) == 18
    project.emulator.inject(Fault(route="batches.create", nth=1, quirk="several_files"))
    several = project.run(project.lines(20), dest="gs://bkt/several")
    blobs = list(project.storage.list_blobs("bkt", prefix="several/"))
    assert len(blobs) == 3
    assert {row["key"] for row in project.rows(several)} == {f"r{n}" for n in range(20)}
    project.emulator.inject(Fault(route="batches.get", nth=1, quirk="unknown_status"))
    assert str(project.get(partial).state).endswith("UNDER_REVIEW")
    project.emulator.inject(Fault(route="batches.get", nth=1, quirk="null_output"))
    assert project.get(partial).output_info is None
    project.emulator.inject(Fault(route="batches.get", nth=1, quirk="reset_counts"))
    stats = project.get(partial).completion_stats
    assert stats
    assert stats.incomplete_count == -1
