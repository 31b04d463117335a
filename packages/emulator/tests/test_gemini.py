"""Batches and files of the Gemini Developer API, as the bare SDK sees them."""

from __future__ import annotations

import asyncio
import io
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

from ai_batch.emulator import Emulator, Fault, GeminiLimits, Timing, item_key
from ai_batch.emulator.surface import Surface

MODEL = "gemini-2.5-flash"
EMBEDDER = "gemini-embedding-001"
TIMES = Timing(validating=10, in_progress=100)
Line = dict[str, Any]


class Studio:
    """An emulator, a client of it, and the few steps that all tests repeat."""

    def __init__(self, emulator: Surface, api_key: str = "test") -> None:
        self.emulator = emulator
        options = types.HttpOptions(base_url=emulator.gemini_url)
        self.client = genai.Client(api_key=api_key, http_options=options)

    def line(self, number: int, **request: Any) -> Line:
        """One request line."""
        contents = [{"role": "user", "parts": [{"text": f"say {number}"}]}]
        return {"key": f"r{number}", "request": {"contents": contents, **request}}

    def lines(self, count: int, **request: Any) -> list[Line]:
        """Several request lines."""
        return [self.line(number, **request) for number in range(count)]

    def upload(self, lines: list[Line] | bytes, **config: Any) -> types.File:
        """An input file."""
        if not isinstance(lines, bytes):
            lines = "".join(json.dumps(line) + "\n" for line in lines).encode()
        full = types.UploadFileConfig(mime_type="jsonl", **config)
        return self.client.files.upload(file=io.BytesIO(lines), config=full)

    def submit(self, lines: list[Line] | bytes, **config: Any) -> types.BatchJob:
        """A batch of a file, just created."""
        name = self.upload(lines).name
        assert name
        full = types.CreateBatchJobConfig(**config)
        return self.client.batches.create(model=MODEL, src=name, config=full)

    def inline(self, requests: list[types.InlinedRequest]) -> types.BatchJob:
        """A batch of inlined requests, just created."""
        return self.client.batches.create(model=MODEL, src=requests)

    def get(self, job: types.BatchJob) -> types.BatchJob:
        """The batch as it is now."""
        return self.client.batches.get(name=job.name or "")

    def state(self, job: types.BatchJob) -> str:
        """The name of the batch's state."""
        state = self.get(job).state
        assert state
        return state.value

    def ended(self, job: types.BatchJob) -> types.BatchJob:
        """The batch when it has ended, without moving the clock."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            job = self.get(job)
            if job.state not in {
                types.JobState.JOB_STATE_PENDING,
                types.JobState.JOB_STATE_RUNNING,
            }:
                return job
        raise AssertionError(f"still {job.state}")

    def run(self, lines: list[Line] | bytes, **config: Any) -> types.BatchJob:
        """A batch of a file that has ended."""
        return self.ended(self.submit(lines, **config))

    def download(self, job: types.BatchJob) -> bytes:
        """The output file of a batch."""
        assert job.dest
        assert job.dest.file_name
        return self.client.files.download(file=job.dest.file_name)

    def rows(self, job: types.BatchJob) -> dict[str, Line]:
        """The output rows of a batch, by key."""
        rows = [json.loads(row) for row in self.download(job).splitlines()]
        return {row["key"]: row for row in rows}

    def raw(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        """A call without the SDK."""
        headers = {"x-goog-api-key": "test"} | arguments.pop("headers", {})
        url = f"{self.emulator.gemini_url}{path}"
        return httpx2.request(method, url, headers=headers, **arguments)

    def operation(self, job: types.BatchJob) -> Line:
        """The batch as it is on the wire."""
        found: Line = self.raw("GET", f"/v1beta/{job.name}").json()
        return found


@pytest.fixture
def make_studio() -> Iterator[Callable[..., Studio]]:
    """Make a studio whose emulator has these options."""
    with ExitStack() as stack:

        def make(emulator: Surface | None = None, api_key: str = "test", **options: Any) -> Studio:
            if emulator is None:
                emulator = stack.enter_context(Emulator(**options))
            studio = Studio(emulator, api_key)
            stack.callback(studio.client.close)
            return studio

        yield make


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    """A studio with an emulator as it comes."""
    return make_studio()


def request(number: int, **config: Any) -> types.InlinedRequest:
    """An inlined request."""
    return types.InlinedRequest(
        contents=f"say {number}",
        metadata={"key": f"r{number}"},
        config=types.GenerateContentConfig(**config) if config else None,
    )


def responses(job: types.BatchJob) -> list[types.InlinedResponse]:
    """The inlined responses of a batch."""
    assert job.dest
    return job.dest.inlined_responses or []


def details(error: errors.APIError) -> list[Line]:
    """The details of an error, which the SDK leaves in the body."""
    found: list[Line] = vars(error)["details"]["error"]["details"]
    return found


# ---- files


def test_a_file_is_uploaded_found_and_deleted(studio: Studio) -> None:
    """What is known of a file, and that it is gone after its deletion."""
    file = studio.upload(b'{"a":1}\n', display_name="my in", name="files/my-name")
    assert (file.name, file.display_name, file.size_bytes) == ("files/my-name", "my in", 8)
    assert (file.mime_type, file.state) == ("jsonl", types.FileState.ACTIVE)
    assert file.source == types.FileSource.UPLOADED
    assert file.expiration_time
    assert file.create_time
    assert (file.expiration_time - file.create_time).total_seconds() == 48 * 3600
    assert studio.client.files.get(name="files/my-name") == file
    assert [each.name for each in studio.client.files.list()] == ["files/my-name"]
    studio.client.files.delete(name="files/my-name")
    assert studio.raw("GET", "/v1/files").json() == {}
    with pytest.raises(errors.ClientError) as caught:
        studio.client.files.get(name="files/my-name")
    # The service does not tell what is missing from what is not yours.
    assert (caught.value.code, caught.value.status) == (403, "PERMISSION_DENIED")


def test_a_name_is_taken_once(studio: Studio) -> None:
    """A second file of the same name is refused, and so is a long name."""
    studio.upload(b"x", name="files/one")
    with pytest.raises(errors.ClientError) as conflict:
        studio.upload(b"x", name="files/one")
    assert conflict.value.code == 409
    with pytest.raises(errors.ClientError) as long:
        studio.upload(b"x", name="files/" + "a" * 41)
    assert long.value.code == 400
    assert studio.emulator.stats.files_uploaded == 1


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, 17 * 1024 * 1024 + 5])
def test_an_upload_comes_in_chunks(studio: Studio, size: int) -> None:
    """Chunks of 8 MiB make up the file; an empty one is one chunk."""
    file = studio.upload(b"x" * size)
    chunks = studio.emulator.stats.requests["files.upload.chunk"]
    assert (file.size_bytes, chunks) == (size, max(1, -(-size // (8 << 20))))


def test_an_upload_can_be_asked_for_and_resumed(studio: Studio) -> None:
    """The commands query and cancel, which the SDK never sends; no key after the start."""
    start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    begun = studio.raw("POST", "/upload/v1beta/files", headers=start, json={"file": {}})
    url = begun.headers["x-goog-upload-url"]
    assert url.startswith(studio.emulator.gemini_url)
    assert b"X-Goog-Upload-URL" in [name for name, _ in begun.headers.raw]

    def send(command: str, offset: int = 0, data: bytes = b"") -> httpx2.Response:
        headers = {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(offset)}
        return httpx2.post(url, headers=headers, content=data)

    assert send("upload", 0, b"one").headers["x-goog-upload-status"] == "active"
    assert send("query").headers["x-goog-upload-size-received"] == "3"
    assert send("upload", 7, b"gap").status_code == 400
    final = send("upload, finalize", 3, b"two")
    assert (final.headers["x-goog-upload-status"], final.json()["file"]["sizeBytes"]) == (
        "final",
        "6",
    )
    assert send("upload, finalize", 3, b"two").json() == final.json()


def test_files_end_after_two_days(studio: Studio) -> None:
    """An upload is deleted after 48 hours."""
    file = studio.upload(b"x")
    studio.emulator.advance(hours=47.9)
    assert studio.client.files.get(name=file.name or "").name == file.name
    studio.emulator.advance(hours=0.2)
    with pytest.raises(errors.ClientError):
        studio.client.files.get(name=file.name or "")
    assert studio.emulator.stats.files_live == 0


def test_files_are_listed_by_page(studio: Studio) -> None:
    """The pager follows tokens, newest first; what comes meanwhile shifts nothing."""
    made = [studio.upload(b"x").name for _ in range(5)]
    pager = studio.client.files.list(config={"page_size": 2})
    studio.upload(b"y")
    assert [file.name for file in pager] == made[::-1]


def test_storage_and_sizes_are_limited(make_studio: Callable[..., Studio]) -> None:
    """A file that is too large, and one for which there is no room."""
    studio = make_studio(gemini_limits=GeminiLimits(max_file_bytes=10, max_storage_bytes=15))
    with pytest.raises(errors.ClientError) as large:
        studio.upload(b"x" * 11)
    assert large.value.code == 400
    studio.upload(b"x" * 10)
    with pytest.raises(errors.ClientError) as full:
        studio.upload(b"x" * 10)
    assert (full.value.code, full.value.status) == (429, "RESOURCE_EXHAUSTED")


# ---- batches of files


def test_a_batch_of_a_file_answers_every_line(studio: Studio) -> None:
    """Each line has one row, with its key, in an order of its own."""
    job = studio.run(studio.lines(30), display_name="my job")
    rows = studio.rows(job)
    assert (job.state, job.display_name) == (types.JobState.JOB_STATE_SUCCEEDED, "my job")
    assert job.model == f"models/{MODEL}"
    assert job.end_time
    assert set(rows) == {f"r{number}" for number in range(30)}
    assert list(rows) != [f"r{number}" for number in range(30)]
    for key, row in rows.items():
        assert list(row) == ["response", "key"]
        response = types.GenerateContentResponse.model_validate(row["response"])
        assert response.text == key.replace("r", "say ")
        assert response.model_version == MODEL
        usage = response.usage_metadata
        assert usage
        assert usage.prompt_token_count
        assert usage.candidates_token_count
        assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    stats = studio.emulator.stats
    assert (stats.items_executed, stats.items_billed) == (30, 30)
    body = studio.line(3)["request"]
    assert stats.executions[item_key(f"/models/{MODEL}:generateContent", body)] == 1


def test_an_operation_is_written_as_the_service_does(make_studio: Callable[..., Studio]) -> None:
    """Strings for counts, no zeros, `done` only when true, output twice, nanoseconds."""
    studio = make_studio(timing=TIMES)
    job = studio.submit(studio.lines(10))
    pending = studio.operation(job)
    assert set(pending) == {"name", "metadata"}
    metadata = pending["metadata"]
    assert metadata["state"] == "BATCH_STATE_PENDING"
    assert metadata["batchStats"] == {"requestCount": "10", "pendingRequestCount": "10"}
    assert metadata["inputConfig"]["fileName"].startswith("files/")
    assert metadata["@type"].endswith(".GenerateContentBatch")
    assert len(metadata["createTime"]) == len("2026-01-06T11:10:19.736868930Z")
    batch_id = pending["name"].removeprefix("batches/")
    assert (len(batch_id), batch_id.lower()) == (36, batch_id)
    studio.emulator.advance(seconds=60)
    running = studio.operation(job)["metadata"]
    assert running["state"] == "BATCH_STATE_RUNNING"
    assert running["batchStats"]["successfulRequestCount"] == "5"
    assert "output" not in running
    studio.emulator.advance(seconds=60)
    done = studio.operation(job)
    assert done["done"] is True
    assert done["metadata"]["batchStats"] == {"requestCount": "10", "successfulRequestCount": "10"}
    output = {"responsesFile": f"files/batch-{batch_id}"}
    assert done["metadata"]["output"] == output
    assert done["response"].pop("@type").endswith(".GenerateContentBatchOutput")
    assert done["response"] == output


def test_an_output_can_only_be_downloaded(studio: Studio) -> None:
    """Its id is too long for the files API; uploads in turn cannot be downloaded."""
    job = studio.run(studio.lines(1))
    assert job.dest
    name = job.dest.file_name or ""
    for call in (studio.client.files.get, studio.client.files.delete):
        with pytest.raises(errors.ClientError) as caught:
            call(name=name)
        assert caught.value.code == 400
        assert "cannot be more than 40 characters" in str(caught.value.message)
    other = studio.raw("GET", f"/download/v1beta/{name}:download?alt=media")
    assert other.content == studio.download(job)
    with pytest.raises(errors.ClientError):
        studio.client.files.download(file=studio.upload(b"x").name or "")


def test_both_spellings_are_read(studio: Studio) -> None:
    """snake_case and camelCase may be mixed on every level, and lines need no envelope."""
    lines: list[Line] = [
        {
            "key": "snake",
            "request": {
                "contents": [{"parts": [{"text": "a"}]}],
                "generation_config": {"max_output_tokens": 1, "thinkingConfig": {}},
                "system_instruction": {"parts": [{"text": "s"}]},
            },
        },
        {
            "key": "image",
            "request": {
                "contents": [
                    {"parts": [{"inline_data": {"mime_type": "image/png", "data": "__79Pj8="}}]},
                    {"parts": [{"inlineData": {"mimeType": "image/png", "data": "//79Pj8="}}]},
                ]
            },
        },
        {"contents": [{"parts": [{"text": "bare"}]}]},
    ]
    file = studio.upload(lines)
    body = {"batch": {"display_name": "d", "input_config": {"file_name": file.name}}}
    path = f"/v1beta/models/{MODEL}:batchGenerateContent"
    made = studio.raw("POST", path, json=body, headers={"x-goog-api-key": "test"}).json()
    job = studio.ended(studio.client.batches.get(name=made["name"]))
    assert job.display_name == "d"
    rows = [json.loads(row) for row in studio.download(job).splitlines()]
    assert all("candidates" in row["response"] for row in rows)
    assert {row.get("key") for row in rows} == {"snake", "image", None}


def test_a_misplaced_field_fails_its_item(studio: Studio) -> None:
    """An unknown field is an error of that line, with a gRPC code; the job succeeds."""
    bad = studio.line(0, thinking_config={"thinking_budget": 0})
    job = studio.run([bad, studio.line(1)])
    rows = studio.rows(job)
    assert rows["r0"]["error"] == {"code": 3, "message": "no such field: 'thinking_config'"}
    assert list(rows["r0"]) == ["error", "key"]
    assert "response" in rows["r1"]
    assert studio.operation(job)["metadata"]["batchStats"] == {
        "requestCount": "2",
        "successfulRequestCount": "1",
        "failedRequestCount": "1",
    }
    assert studio.emulator.stats.items_billed == 1


@pytest.mark.parametrize("content", [b"", b"{}\nnonsense\n", b"[1]\n", b'"x"\n'])
def test_an_input_that_is_no_jsonl_fails_the_job(studio: Studio, content: bytes) -> None:
    """The operation has an error, which the SDK drops, and no output."""
    job = studio.run(content)
    assert job.state == types.JobState.JOB_STATE_FAILED
    found = studio.operation(job)
    assert found["error"]["code"] == 3
    assert "input file" in found["error"]["message"]
    assert "output" not in found["metadata"]
    assert studio.emulator.stats.items_executed == 0


def test_answers_of_a_function_become_rows(make_studio: Callable[..., Studio]) -> None:
    """Blocked prompts are successes without candidates; a status becomes a gRPC code."""

    def answer(endpoint: str, body: Any) -> Any:
        assert endpoint == f"/models/{MODEL}:generateContent"
        text = body["contents"][0]["parts"][0]["text"]
        blocked: Line = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}
        answers: dict[str, Any] = {
            "say 0": blocked,
            "say 1": (429, {"error": {"code": 429, "message": "Too many."}}),
            "say 2": (500, {}),
        }
        return answers.get(text)

    studio = make_studio(answer=answer)
    rows = studio.rows(studio.run(studio.lines(4)))
    assert rows["r0"]["response"]["promptFeedback"] == {"blockReason": "SAFETY"}
    assert rows["r1"]["error"] == {"code": 8, "message": "Too many."}
    assert rows["r2"]["error"]["code"] == 13
    assert "candidates" in rows["r3"]["response"]
    assert studio.emulator.stats.items_billed == 2


# ---- inline batches


def test_inline_requests_come_back_with_their_metadata(studio: Studio) -> None:
    """The results are in the operation, twice, in the order of the requests."""
    job = studio.ended(studio.inline([request(number) for number in range(20)]))
    found = responses(job)
    assert [each.metadata for each in found] == [{"key": f"r{number}"} for number in range(20)]
    texts = [each.response.text for each in found if each.response]
    assert texts == [f"say {number}" for number in range(20)]
    wire = studio.operation(job)
    inner = wire["metadata"]["output"]["inlinedResponses"]["inlinedResponses"]
    assert len(inner) == 20
    assert wire["response"]["inlinedResponses"] == wire["metadata"]["output"]["inlinedResponses"]
    assert "inputConfig" not in wire["metadata"]


def test_inline_options_are_understood(studio: Studio) -> None:
    """What the SDK sends in both spellings at once is read as it is meant."""
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]}
    tool = types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name="look",
                parameters_json_schema={
                    "type": "object",
                    "properties": {"x": {"type": "string"}},
                    "required": ["x"],
                },
            )
        ]
    )
    calling = types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.ANY
        )
    )
    job = studio.inline(
        [
            request(0, response_mime_type="application/json", response_schema=schema),
            request(1, tools=[tool], tool_config=calling),
            request(2, thinking_config=types.ThinkingConfig(include_thoughts=True)),
            request(30_000, max_output_tokens=1),
        ]
    )
    instance, call, thought, cut = [each.response for each in responses(studio.ended(job))]
    assert instance
    assert json.loads(instance.text or "") == {"n": 0}
    assert call
    assert call.function_calls
    assert (call.function_calls[0].name, call.function_calls[0].args) == ("look", {"x": "text"})
    assert thought
    assert thought.text == "say 2"
    assert thought.parts
    assert thought.parts[0].thought
    assert thought.usage_metadata
    assert thought.usage_metadata.thoughts_token_count
    assert cut
    assert cut.candidates
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS


def test_an_unknown_inline_field_is_refused_at_once(studio: Studio) -> None:
    """The whole call is a 400 that says where the field is."""
    item: Line = {"request": {"contents": [], "thinkingConfig": {}}}
    body: Line = {"batch": {"inputConfig": {"requests": {"requests": [item]}}}}
    path = f"/v1/models/{MODEL}:batchGenerateContent"
    answer = studio.raw("POST", path, json=body)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert 'Unknown name "thinkingConfig"' in message
    assert "batch.input_config.requests.requests.request" in message
    assert studio.emulator.stats.batches_created == 0


def test_inline_requests_are_limited_in_size(make_studio: Callable[..., Studio]) -> None:
    """A body above the limit is refused."""
    studio = make_studio(gemini_limits=GeminiLimits(max_inline_bytes=500))
    with pytest.raises(errors.ClientError, match="payload size exceeds"):
        studio.inline([request(number) for number in range(20)])


# ---- embeddings


@pytest.mark.filterwarnings("ignore:.*create_embeddings.* is experimental")
def test_embeddings_of_a_file(studio: Studio) -> None:
    """Unit vectors at full size; cut off, and so shorter than one, at other sizes."""
    lines: list[Line] = [
        {"key": f"e{size}", "request": {"content": {"parts": [{"text": "x"}]}, **option}}
        for size, option in ((3072, {}), (8, {"output_dimensionality": 8}))
    ]
    name = studio.upload(lines).name
    job = studio.client.batches.create_embeddings(model=EMBEDDER, src={"file_name": name})
    rows = studio.rows(studio.ended(job))
    assert studio.operation(job)["metadata"]["@type"].endswith(".EmbedContentBatch")
    full = rows["e3072"]["response"]["embedding"]["values"]
    short = rows["e8"]["response"]["embedding"]["values"]
    assert rows["e8"]["response"]["tokenCount"] == "1"
    assert (len(full), len(short)) == (3072, 8)
    assert short == full[:8]
    assert sum(value * value for value in full) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.filterwarnings("ignore:.*create_embeddings.* is experimental")
def test_inline_embeddings_come_in_order(studio: Studio) -> None:
    """They have no key, so that their order is all there is."""
    texts: list[Any] = ["one", "two", "three", "one"]
    source = types.EmbeddingsBatchJobSource(
        inlined_requests=types.EmbedContentBatch(
            contents=texts, config=types.EmbedContentConfig(output_dimensionality=4)
        )
    )
    job = studio.client.batches.create_embeddings(model="gemini-embedding-2", src=source)
    job = studio.ended(job)
    assert job.dest
    found = job.dest.inlined_embed_content_responses or []
    vectors = [
        each.response.embedding.values
        for each in found
        if each.response and each.response.embedding
    ]
    assert len(vectors) == 4
    assert vectors[0] == vectors[3] != vectors[1]
    assert sum(value * value for value in vectors[0] or []) == pytest.approx(1.0)


# ---- lists, ends, limits


def test_batches_are_listed_by_page(studio: Studio) -> None:
    """Newest first, an empty object when there are none, and nothing without a page size."""
    assert studio.raw("GET", "/v1/batches").json() == {}
    names = [studio.submit(studio.lines(1)).name for _ in range(5)]
    pager = studio.client.batches.list(config={"page_size": 2})
    assert len(pager) == 2
    assert [job.name for job in pager] == names[::-1]
    studio.emulator.inject(Fault(route="batches.list", quirk="empty_without_page_size"))
    assert list(studio.client.batches.list()) == []
    assert len(list(studio.client.batches.list(config={"page_size": 100}))) == 5


def test_a_batch_is_cancelled_at_once(make_studio: Callable[..., Studio]) -> None:
    """No intermediate state, an odd error, and no output; a second cancel does nothing."""
    studio = make_studio(timing=TIMES)
    job = studio.submit(studio.lines(10))
    studio.emulator.advance(seconds=60)
    assert studio.raw("POST", f"/v1/{job.name}:cancel").json() == {}
    studio.client.batches.cancel(name=job.name or "")
    found = studio.operation(job)
    assert found["metadata"]["state"] == "BATCH_STATE_CANCELLED"
    assert found["error"]["code"] == 13
    assert found["error"]["message"].endswith("failed without error.")
    assert found["metadata"]["batchStats"]["pendingRequestCount"] == "10"
    assert "output" not in found["metadata"]
    studio.emulator.advance(hours=1)
    assert studio.emulator.stats.items_billed == 0


def test_a_cancelled_batch_may_have_results(make_studio: Callable[..., Studio]) -> None:
    """As a quirk, what was finished by then is in the output."""
    studio = make_studio(timing=TIMES)
    studio.emulator.inject(Fault(route="batches.cancel", quirk="cancelled_output"))
    job = studio.submit(studio.lines(10))
    studio.emulator.advance(seconds=60)
    studio.client.batches.cancel(name=job.name or "")
    job = studio.ended(job)
    assert job.state == types.JobState.JOB_STATE_CANCELLED
    assert len(studio.rows(job)) == 5
    assert studio.emulator.stats.items_billed == 5


def test_a_batch_expires_after_two_days(make_studio: Callable[..., Studio]) -> None:
    """Whatever it did until then is lost."""
    studio = make_studio(timing=Timing(in_progress=60 * 3600))
    job = studio.submit(studio.lines(3))
    studio.emulator.advance(hours=47)
    assert studio.state(job) == "JOB_STATE_RUNNING"
    studio.emulator.advance(hours=2)
    assert studio.state(job) == "JOB_STATE_EXPIRED"
    assert "output" not in studio.operation(job)["metadata"]
    assert studio.emulator.stats.items_billed == 0
    assert studio.emulator.stats.batches_by_status == {"expired": 1}


def test_results_are_kept_for_six_weeks(studio: Studio) -> None:
    """Then the file is gone."""
    job = studio.run(studio.lines(1))
    studio.emulator.advance(hours=24 * 41)
    assert studio.rows(job)
    studio.emulator.advance(hours=48)
    with pytest.raises(errors.ClientError):
        studio.download(job)


def test_a_deleted_batch_is_gone(make_studio: Callable[..., Studio]) -> None:
    """It is not found any more, and does nothing more."""
    studio = make_studio(timing=TIMES)
    job = studio.submit(studio.lines(1))
    studio.client.batches.delete(name=job.name or "")
    with pytest.raises(errors.ClientError) as caught:
        studio.get(job)
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    studio.emulator.advance(hours=1)
    assert studio.emulator.stats.items_executed == 0


def test_the_input_may_go_once_the_batch_is_made(make_studio: Callable[..., Studio]) -> None:
    """The batch keeps what it needs; without a file there is no batch."""
    studio = make_studio(timing=TIMES)
    file = studio.upload(studio.lines(2))
    name = file.name or ""
    job = studio.client.batches.create(model=MODEL, src=name)
    studio.client.files.delete(name=name)
    with pytest.raises(errors.ClientError) as caught:
        studio.client.batches.create(model=MODEL, src=name)
    assert caught.value.code == 403
    studio.emulator.advance(hours=1)
    assert len(studio.rows(studio.get(job))) == 2


def test_concurrent_jobs_and_tokens_are_limited(make_studio: Callable[..., Studio]) -> None:
    """A create above the quota is a 429 with details, until another batch has ended."""
    studio = make_studio(timing=TIMES, gemini_limits=GeminiLimits(concurrent_batches=2))
    for _ in range(2):
        studio.submit(studio.lines(1))
    with pytest.raises(errors.ClientError) as caught:
        studio.submit(studio.lines(1))
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert details(caught.value)[0]["@type"].endswith("google.rpc.Help")
    studio.emulator.advance(hours=1)
    studio.submit(studio.lines(1))
    other = make_studio(timing=TIMES, gemini_limits=GeminiLimits(enqueued_tokens={MODEL: 60}))
    other.submit(other.lines(2))
    with pytest.raises(errors.ClientError):
        other.submit(other.lines(2))
    assert other.emulator.stats.batches_created == 1


def test_unknown_models_and_keys_are_refused(make_studio: Callable[..., Studio]) -> None:
    """A model is a 404, an unknown key a 400, a missing one a 403."""
    studio = make_studio(api_keys=["good"], api_key="good")
    with pytest.raises(errors.ClientError) as unknown:
        studio.client.batches.create(model="no-such-model", src=[request(1)])
    assert unknown.value.code == 404
    wrong = make_studio(studio.emulator, api_key="bad")
    with pytest.raises(errors.ClientError) as refused:
        wrong.client.batches.list()
    assert refused.value.code == 400
    assert details(refused.value)[0]["reason"] == "API_KEY_INVALID"
    url = studio.emulator.gemini_url
    assert httpx2.get(f"{url}/v1beta/batches").status_code == 403
    assert httpx2.get(f"{url}/v1beta/batches?key=good").status_code == 200
    assert httpx2.get(f"{url}/v7/batches?key=good").status_code == 404


def test_a_batch_is_renamed(make_studio: Callable[..., Studio]) -> None:
    """The update that the SDK does not have."""
    studio = make_studio(timing=TIMES)
    job = studio.submit(studio.lines(1), display_name="old")
    path = f"/v1beta/{job.name}:updateGenerateContentBatch?updateMask=displayName"
    body = {"displayName": "new", "priority": "5"}
    assert studio.raw("PATCH", path, json=body).json()["metadata"]["priority"] == "5"
    assert studio.get(job).display_name == "new"


# Where aiohttp is installed the SDK uses it, in a way that aiohttp itself warns of.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")
def test_the_async_client_sees_the_same(studio: Studio) -> None:
    """A batch, made, waited for and downloaded by the asynchronous half of the SDK."""

    async def run() -> bytes:
        options = types.HttpOptions(base_url=studio.emulator.gemini_url)
        client = genai.Client(api_key="test", http_options=options)
        async with client.aio as aio:
            data = io.BytesIO(json.dumps(studio.line(1)).encode())
            file = await aio.files.upload(file=data, config={"mime_type": "jsonl"})
            job = await aio.batches.create(model=MODEL, src=file.name or "")
            while job.state != types.JobState.JOB_STATE_SUCCEEDED:
                job = await aio.batches.get(name=job.name or "")
            listed = await aio.batches.list(config={"page_size": 1})
            assert [each.name async for each in listed] == [job.name]
            assert job.dest
            found = await aio.files.download(file=job.dest.file_name or "")
        client.close()
        return found

    assert b"say 1" in asyncio.run(run())


# ---- restart and faults


def test_everything_outlives_a_kill(make_studio: Callable[..., Studio], tmp_path: Path) -> None:
    """Files, begun uploads and batches are there again, and a batch ends as planned."""
    with Emulator.spawn(home=tmp_path, timing=TIMES) as emulator:
        studio = make_studio(emulator)
        file = studio.upload(b"x", display_name="kept")
        job = studio.submit(studio.lines(5))
        inline = studio.inline([request(9)])
        emulator.advance(seconds=50)
        emulator.kill()
        emulator.restart()
        assert studio.client.files.get(name=file.name or "").display_name == "kept"
        assert studio.state(job) == "JOB_STATE_RUNNING"
        emulator.advance(seconds=100)
        assert len(studio.rows(studio.get(job))) == 5
        assert len(responses(studio.get(inline))) == 1
        emulator.kill()
        emulator.restart()
        assert len(studio.rows(studio.get(job))) == 5
        assert emulator.stats.items_executed == 6
        assert emulator.stats.executed_twice() == []


def test_a_cut_after_the_create_leaves_a_batch(studio: Studio) -> None:
    """The client sees no answer, and yet there is a batch, found by its name."""
    name = studio.upload(studio.lines(1)).name or ""
    studio.emulator.inject(Fault(route="batches.create", vendor="gemini", nth=1, cut="after"))
    with pytest.raises(httpx2.RemoteProtocolError):
        studio.client.batches.create(model=MODEL, src=name, config={"display_name": "token"})
    (found,) = studio.client.batches.list(config={"page_size": 100})
    assert found.display_name == "token"


def test_young_batches_can_be_missing(studio: Studio) -> None:
    """From lists, and from gets, for some seconds."""
    studio.emulator.inject(Fault(route="batches.list", hide_seconds=60))
    studio.emulator.inject(Fault(route="batches.get", not_found_seconds=60))
    job = studio.submit(studio.lines(1))
    assert list(studio.client.batches.list(config={"page_size": 10})) == []
    with pytest.raises(errors.ClientError) as caught:
        studio.get(job)
    assert caught.value.code == 404
    studio.emulator.advance(seconds=61)
    assert [each.name for each in studio.client.batches.list()] == [job.name]
    assert studio.get(job).name == job.name


def test_an_upload_is_cut(studio: Studio) -> None:
    """When so many bytes have come, and without an effect."""
    studio.emulator.inject(Fault(route="files.upload.chunk", nth=1, cut_after_bytes=1000))
    with pytest.raises(httpx2.TransportError):
        studio.upload(b"x" * 1_000_000)
    assert studio.emulator.stats.files_uploaded == 0


def test_a_download_is_cut_or_damaged(studio: Studio) -> None:
    """Truncated at a byte; and rows that are missing, null, foreign or without a key."""
    job = studio.run(studio.lines(10))
    whole = studio.download(job)
    studio.emulator.inject(Fault(route="files.content", nth=1, cut_after_bytes=100))
    with pytest.raises(httpx2.RemoteProtocolError):
        studio.download(job)
    studio.emulator.inject(Fault(route="files.content", nth=1, row="missing"))
    assert len(studio.rows(job)) == 9
    studio.emulator.inject(Fault(route="files.content", nth=1, row="status_zero", row_index=0))
    assert json.loads(studio.download(job).splitlines()[0])["response"] is None
    studio.emulator.inject(Fault(route="files.content", nth=1, row="foreign"))
    assert len(studio.rows(job)) == 11
    studio.emulator.inject(Fault(route="files.content", nth=1, row="missing_id", row_index=2))
    assert "key" not in json.loads(studio.download(job).splitlines()[2])
    assert studio.download(job) == whole
    persistent = Fault(route="files.content", nth=1, row="missing", row_index=3, persistent=True)
    studio.emulator.inject(persistent)
    lost = json.loads(whole.splitlines()[3])["key"]
    assert lost not in studio.rows(job)
    body = studio.line(int(lost[1:]))["request"]
    key = item_key(f"/models/{MODEL}:generateContent", body)
    assert studio.emulator.stats.lost == {key: 1}


def test_inline_results_can_be_damaged(studio: Studio) -> None:
    """A response that is null or missing, metadata that is dropped, an order that is not kept."""
    job = studio.ended(studio.inline([request(number) for number in range(9)]))
    studio.emulator.inject(Fault(route="batches.get", nth=1, row="status_zero", row_index=4))
    assert [each.response is None for each in responses(studio.get(job))].index(True) == 4
    studio.emulator.inject(Fault(route="batches.get", nth=1, row="missing"))
    assert len(responses(studio.get(job))) == 8
    studio.emulator.inject(Fault(route="batches.create", nth=1, quirk="no_item_metadata"))
    bare = studio.ended(studio.inline([request(1)]))
    assert responses(bare)[0].metadata is None
    studio.emulator.inject(Fault(route="batches.create", nth=1, quirk="shuffled_inline"))
    mixed = studio.ended(studio.inline([request(number) for number in range(20)]))
    keys = [(each.metadata or {})["key"] for each in responses(mixed)]
    assert keys != [f"r{number}" for number in range(20)]
    assert len(set(keys)) == 20


@pytest.mark.filterwarnings("ignore:.*is not a valid JobState")
def test_odd_ends_can_be_had(studio: Studio) -> None:
    """Failed without a cause, succeeded in part, in a state that nobody knows, without output."""
    studio.emulator.inject(Fault(route="batches.create", nth=1, quirk="failed_job"))
    failed = studio.run(studio.lines(2))
    assert failed.state == types.JobState.JOB_STATE_FAILED
    assert studio.operation(failed)["error"]["code"] == 13
    studio.emulator.inject(Fault(route="batches.create", nth=1, quirk="partially_succeeded"))
    partial = studio.run(studio.lines(20))
    assert studio.operation(partial)["metadata"]["state"] == "BATCH_STATE_PARTIALLY_SUCCEEDED"
    assert len(studio.rows(partial)) == 18
    studio.emulator.inject(Fault(route="batches.get", nth=1, quirk="unknown_status"))
    assert str(studio.get(partial).state).endswith("UNDER_REVIEW")
    studio.emulator.inject(Fault(route="batches.get", nth=1, quirk="null_output"))
    assert not studio.get(partial).dest
    studio.emulator.inject(Fault(route="batches.get", nth=1, quirk="reset_counts"))
    counts = studio.operation(partial)["metadata"]["batchStats"]
    assert counts == {"requestCount": "20", "pendingRequestCount": "20"}


def test_a_status_comes_in_googles_words(studio: Studio) -> None:
    """With the name of the status, and with headers that are wanted."""
    headers = {"retry-after": "7"}
    studio.emulator.inject(Fault(route="batches.create", status=503, headers=headers))
    with pytest.raises(errors.ServerError) as caught:
        studio.inline([request(1)])
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")
    answer: httpx2.Response = vars(caught.value)["response"]
    assert answer.headers["retry-after"] == "7"
    assert studio.emulator.stats.batches_created == 0
