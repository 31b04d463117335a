"""An emulator, and Google's providers and processors before it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import ChatRequest
from ai_batch.core.provider import Route, Submission
from ai_batch.emulator import Emulator
from ai_batch.gemini import GeminiProcessor
from ai_batch.gemini.client import ClientSettings
from ai_batch.gemini.developer import DeveloperProvider
from ai_batch.gemini.settings import GeminiSettings
from ai_batch.gemini.vertex import VertexProvider

# Tests have no package of their own; this makes ``packages.gemini.tests`` one, as for mypy.
sys.path.append(str(Path(__file__).parents[3]))

MakeProcessor = Callable[..., GeminiProcessor]
MakeSubmission = Callable[..., Submission]

VARIABLES = (
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "STORAGE_EMULATOR_HOST",
)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings of Google's libraries decide a test."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def to_developer(emulator: Emulator) -> dict[str, Any]:
    """Options of a processor for the emulated Developer API."""
    return {"api_key": "AIza-test-key", "base_url": emulator.gemini_url}


def to_vertex(emulator: Emulator) -> dict[str, Any]:
    """Options of a processor for the emulated Vertex AI."""
    return {
        "project": "my-project",
        "location": "us-central1",
        "gcs_uri": "gs://my-bucket/batches",
        "base_url": emulator.vertex_url,
    }


@pytest.fixture
def make_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeProcessor]:
    """Make a processor before an emulator; it is closed after the test."""
    with ExitStack() as stack:

        def make(
            emulator: Emulator, kind: type[GeminiProcessor] = GeminiProcessor, **options: Any
        ) -> GeminiProcessor:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.gcs_url)
            given: dict[str, Any] = {
                "model": "gemini-2.5-flash",
                "home": tmp_path / "home",
                "poll_interval": 0.02,
                "settle_wait": 0.5,
            }
            developer = kind is GeminiProcessor and options.get("backend") != "vertex"
            if "client" not in options:
                given |= to_developer(emulator) if developer else to_vertex(emulator)
            return stack.enter_context(kind(**given | options))

        yield make


@pytest.fixture(params=["developer", "vertex"])
def backend(request: pytest.FixtureRequest) -> str:
    """Both of Google's APIs in turn."""
    return str(request.param)


@pytest.fixture
def processor(backend: str, emulator: Emulator, make_processor: MakeProcessor) -> GeminiProcessor:
    """A processor for each of Google's APIs in turn."""
    return make_processor(emulator, backend=backend, embedding_model="gemini-embedding-001")


def developer_connection(emulator: Emulator, **changes: Any) -> ClientSettings:
    """Of the emulated Developer API."""
    return ClientSettings(**{**to_developer(emulator), **changes})


def vertex_connection(emulator: Emulator, **changes: Any) -> ClientSettings:
    """Of the emulated Vertex AI and Cloud Storage."""
    given: dict[str, Any] = {**to_vertex(emulator), "vertex": True, "storage_url": emulator.gcs_url}
    given.pop("gcs_uri")
    return ClientSettings(**{**given, **changes})


@pytest.fixture
def make_developer() -> Callable[..., DeveloperProvider]:
    """Make what the engine calls of the Developer API, alone."""

    def make(emulator: Emulator, **options: Any) -> DeveloperProvider:
        connection = developer_connection(emulator)
        return DeveloperProvider(
            GeminiSettings(connection=connection, model="gemini-2.5-flash", **options)
        )

    return make


@pytest.fixture
def developer(
    emulator: Emulator, make_developer: Callable[..., DeveloperProvider]
) -> DeveloperProvider:
    """The Developer API's provider before an emulator as it comes."""
    return make_developer(emulator)


@pytest.fixture
def make_vertex() -> Callable[..., VertexProvider]:
    """Make what the engine calls of Vertex AI, alone."""

    def make(emulator: Emulator, **options: Any) -> VertexProvider:
        return VertexProvider(
            GeminiSettings(
                connection=vertex_connection(emulator),
                model="gemini-2.5-flash",
                gcs_uri="gs://my-bucket/batches",
                **options,
            )
        )

    return make


@pytest.fixture
def vertex(emulator: Emulator, make_vertex: Callable[..., VertexProvider]) -> VertexProvider:
    """Vertex AI's provider before an emulator as it comes."""
    return make_vertex(emulator)


@pytest.fixture
def make_submission(tmp_path: Path) -> MakeSubmission:
    """Make a submission of a provider with its input on disk."""

    def make(
        provider: DeveloperProvider | VertexProvider,
        token: str = "token",
        count: int = 3,
        **changes: Any,
    ) -> Submission:
        requests = [ChatRequest(messages=f"{token} {n}") for n in range(count)]
        requests = changes.pop("requests", requests)
        route: Route = provider.route(requests[0])
        lines = [
            provider.encode(request, route, f"{token}-{n}") for n, request in enumerate(requests)
        ]
        path = tmp_path / f"{token}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return Submission(
            job_id="job",
            seq=1,
            token=token,
            route=route,
            count=len(requests),
            input_path=path,
            **changes,
        )

    return make
