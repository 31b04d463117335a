"""What a program that uses OpenTelemetry is told of its jobs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from packages.core.tests.bench import Bench

from ai_batch.core import EmbeddingRequest, ItemError, NativeProcessor
from ai_batch.core.errors import AuthenticationFailed, ProviderUnavailable
from ai_batch.core.telemetry import job_span
from ai_batch.core.testing import FakeVendor


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Keeps the spans of one test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> InMemoryMetricReader:
    """Keeps the metrics of one test."""
    found = InMemoryMetricReader()
    provider = MeterProvider([found])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    return found


def run(bench: Bench, *requests: Any, **options: Any) -> None:
    """One job."""

    async def script(processor: NativeProcessor) -> None:
        await processor.aprocess(list(requests))

    bench.run(script, **options)


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """The spans of this name, in the order in which they ended."""
    return [span for span in exporter.get_finished_spans() if span.name == name]


def sums(reader: InMemoryMetricReader, name: str, attribute: str) -> dict[object, float]:
    """A counter's values by one of its attributes."""
    found: dict[object, float] = {}
    data: Any = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points if metric.name == name else ():
            key = point.attributes[attribute]
            found[key] = found.get(key, 0) + point.value
    return found


def test_a_job_is_a_span_with_its_steps_within(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    """By the names of the GenAI conventions; nothing of what was asked or answered."""
    run(Bench(tmp_path), "a secret", "bb")

    (job,) = named(spans, "batch job")
    steps = [named(spans, f"batch {step} fake-chat")[0] for step in ("upload", "create", "fetch")]
    assert job.attributes is not None
    assert job.attributes["gen_ai.provider.name"] == "fake"
    assert job.attributes["ai_batch.job.requests"] == 2
    assert job.attributes["ai_batch.job.completed"] == 2
    assert job.attributes["ai_batch.job.state"] == "completed"
    assert job.attributes["gen_ai.usage.input_tokens"] == len("a secret") + len("bb")
    assert len(spans.get_finished_spans()) == 4
    for step in steps:
        assert step.parent is not None
        assert job.context is not None
        assert step.parent.span_id == job.context.span_id
        assert step.kind is trace.SpanKind.CLIENT
        assert step.attributes is not None
        assert step.attributes["gen_ai.operation.name"] == "chat"
        assert step.attributes["gen_ai.request.model"] == "fake-chat"
        assert step.attributes["ai_batch.batch.requests"] == 2
    assert steps[2].attributes is not None
    assert steps[2].attributes["ai_batch.batch.id"] == "batch-0002"
    assert "secret" not in "".join(span.to_json() for span in spans.get_finished_spans())


def test_embeddings_are_called_as_the_conventions_do(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    """In the plural."""
    run(Bench(tmp_path), EmbeddingRequest(texts="a"))

    (create,) = named(spans, "batch create fake-embedding")
    assert create.attributes is not None
    assert create.attributes["gen_ai.operation.name"] == "embeddings"


def test_a_failed_call_is_an_error_and_the_next_one_is_not(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    """The kind of the error is told, its message is not."""
    calls = 0

    async def gate(method: str, moment: Literal["before", "after"]) -> None:
        nonlocal calls
        if (method, moment) == ("upload", "before"):
            calls += 1
            if calls == 1:
                raise ProviderUnavailable("a secret")

    run(Bench(tmp_path, gate=gate), "a")

    first, second = named(spans, "batch upload fake-chat")
    assert first.attributes is not None
    assert first.attributes["error.type"] == "ProviderUnavailable"
    assert first.status.status_code is trace.StatusCode.ERROR
    assert "secret" not in first.to_json()
    assert second.status.status_code is trace.StatusCode.UNSET


def test_a_job_that_cannot_go_on_is_an_error(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    """Until somebody mends something; the call that continues it is a span of its own."""

    async def gate(method: str, _moment: Literal["before", "after"]) -> None:
        if method == "upload":
            raise AuthenticationFailed("a wrong key", status=401)

    bench = Bench(tmp_path, gate=gate)
    with pytest.raises(AuthenticationFailed):
        run(bench, "a")
    bench.provider = {}
    run(bench, "a")

    first, second = named(spans, "batch job")
    assert first.attributes is not None
    assert second.attributes is not None
    assert first.attributes["error.type"] == "AuthenticationFailed"
    assert first.attributes["ai_batch.job.id"] == second.attributes["ai_batch.job.id"]
    assert second.attributes["ai_batch.job.state"] == "completed"


def test_tokens_and_requests_are_counted(tmp_path: Path, reader: InMemoryMetricReader) -> None:
    """Those that are asked again as well: each answer was paid for."""

    def answer(text: str, times: int) -> str | ItemError:
        if text == "bad":
            return ItemError(code="bad", message="no")
        if text == "busy" and "busy" not in seen:
            seen.add("busy")
            return ItemError(code="overloaded", message="later", retryable=True)
        return f"{text} {times}"

    seen: set[str] = set()
    run(Bench(tmp_path, FakeVendor(answer=answer)), "good", "bad", "busy")

    assert sums(reader, "ai_batch.requests", "ai_batch.outcome") == {
        "completed": 2,
        "failed": 1,
        "retried": 1,
    }
    assert sums(reader, "ai_batch.tokens", "gen_ai.token.type") == {"input": 8, "output": 2}
    assert sums(reader, "ai_batch.tokens", "gen_ai.request.model") == {"fake-chat": 10}


@pytest.mark.parametrize(
    ("provider", "name"),
    [("openai", "openai"), ("gemini", "gcp.gemini"), ("vertex", "gcp.vertex_ai")],
)
def test_providers_are_called_as_the_conventions_do(
    spans: InMemorySpanExporter, provider: str, name: str
) -> None:
    """Google's have other names there than here."""
    with job_span(provider, "job_1", 1):
        pass

    (job,) = named(spans, "batch job")
    assert job.attributes is not None
    assert job.attributes["gen_ai.provider.name"] == name


NOT_IMPORTED = """
import sys
from pathlib import Path
from packages.core.tests.bench import Bench

async def script(processor):
    return (await processor.aprocess(["a"])).completed

assert Bench(Path(sys.argv[1])).run(script) == 1
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


def test_a_program_that_does_not_use_it_does_not_load_it(tmp_path: Path) -> None:
    """Although it is installed."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", NOT_IMPORTED, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
