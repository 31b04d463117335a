"""Whose client is used, against which server, with which key, place and headers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from google import genai
from google.auth.exceptions import DefaultCredentialsError
from google.genai import types
from google.oauth2.credentials import Credentials
from packages.gemini.tests.conftest import developer_connection, vertex_connection

import ai_batch.gemini
from ai_batch.core import (
    AuthenticationFailed,
    OutcomeUnknown,
    ProviderNotInstalled,
    Usage,
    UsageError,
)
from ai_batch.core.provider import Route
from ai_batch.emulator import Emulator, Fault
from ai_batch.gemini import GeminiProcessor, VertexProcessor
from ai_batch.gemini.api import GoogleApi
from ai_batch.gemini.client import ClientSettings, close_client, make_client
from ai_batch.gemini.developer import DeveloperProvider
from ai_batch.gemini.sdk import http_options, inner
from ai_batch.gemini.settings import GeminiSettings
from ai_batch.gemini.vertex import VertexProvider

if TYPE_CHECKING:
    from packages.gemini.tests.conftest import MakeProcessor

# Where aiohttp is installed the SDK uses it, in a way that aiohttp itself warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

MESSAGES = [f"question {n}" for n in range(3)]

make_credentials: Any = Credentials


@pytest.fixture
def client(emulator: Emulator) -> Iterator[genai.Client]:
    """A user's client of the Developer API, as it comes."""
    options = types.HttpOptions(base_url=emulator.gemini_url)
    with genai.Client(api_key="AIza-own", http_options=options) as client:
        yield client


def vertex_client(emulator: Emulator, http: httpx2.AsyncClient | None = None) -> genai.Client:
    """A user's client of Vertex AI."""
    return genai.Client(
        vertexai=True,
        project="own-project",
        location="europe-west1",
        credentials=make_credentials("own-token"),
        http_options=types.HttpOptions(base_url=emulator.vertex_url, httpx_async_client=http),
    )


def test_a_users_client_is_used_and_left_open(
    client: genai.Client, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """``client=`` is the SDK's own; it still works afterwards."""
    processor = make_processor(emulator, client=client)
    assert processor.process(MESSAGES).completed == 3
    processor.close()
    assert len(list(client.batches.list(config={"page_size": 10}))) == 1


async def test_a_users_http_client_is_used_and_left_open(
    emulator: Emulator, make_processor: MakeProcessor, sent: list[httpx2.Request]
) -> None:
    """It may hold proxies and certificates, and belongs to the running loop."""
    async with httpx2.AsyncClient(headers={"x-mine": "1"}) as http:
        options = types.HttpOptions(base_url=emulator.gemini_url, httpx_async_client=http)
        with genai.Client(api_key="AIza-own", http_options=options) as client:
            processor = make_processor(emulator, client=client)
            assert (await processor.aprocess(MESSAGES)).completed == 3
            await asyncio.to_thread(processor.close)
            assert not http.is_closed
    assert {request.headers.get("x-mine") for request in sent} == {"1"}


async def test_a_users_client_brings_project_and_credentials(
    emulator: Emulator, make_processor: MakeProcessor, sent: list[httpx2.Request]
) -> None:
    """Vertex AI's client says where; Cloud Storage is named beside it."""
    async with httpx2.AsyncClient() as http:
        client = vertex_client(emulator, http)
        given: dict[str, Any] = {"client": client, "gcs_uri": "gs://own-bucket"}
        processor = make_processor(emulator, VertexProcessor, **given)
        assert (await processor.aprocess(MESSAGES)).completed == 3
        client.close()
    assert {request.headers["authorization"] for request in sent} == {"Bearer own-token"}
    place = "/v1beta1/projects/own-project/locations/europe-west1/"
    assert all(place in request.url.path for request in sent)


@pytest.mark.parametrize("attempts", [None, 5])
async def test_a_users_client_is_not_retried_either(
    attempts: int | None, emulator: Emulator
) -> None:
    """A create that is sent twice is paid twice, whatever the client was told."""
    retry = types.HttpRetryOptions(attempts=attempts, initial_delay=0.01) if attempts else None
    options = types.HttpOptions(base_url=emulator.gemini_url, retry_options=retry)
    client = genai.Client(api_key="AIza-own", http_options=options)
    api = GoogleApi(ClientSettings(client=client))
    faults: list[dict[str, Any]] = [{"status": 503}, {"cut": "before"}, {"cut": "after"}]
    for number, fault in enumerate(faults, 1):
        emulator.inject(Fault(route="batches.create", nth=1, **fault))
        body: dict[str, Any] = {"batch": {"inputConfig": {"fileName": "files/x"}}}
        with pytest.raises(OutcomeUnknown):
            await api.post("models/gemini-2.5-flash:batchGenerateContent", body)
        assert emulator.stats.creates_attempted == number
    await client.aio.aclose()
    client.close()


def test_a_client_of_the_other_api_is_told(emulator: Emulator, client: genai.Client) -> None:
    """Both are the same class."""
    other = vertex_client(emulator)
    with pytest.raises(UsageError, match="is one for Vertex AI: use backend='vertex'"):
        DeveloperProvider(GeminiSettings(connection=ClientSettings(client=other)))
    with pytest.raises(UsageError, match="for the Developer API: use backend='developer'"):
        VertexProvider(GeminiSettings(connection=ClientSettings(client=client, vertex=True)))
    other.close()


def test_a_client_in_express_mode_has_no_batches() -> None:
    """With a key alone, Vertex AI has neither project nor location."""
    client = genai.Client(vertexai=True, api_key="AIza-express")
    with pytest.raises(UsageError, match="client= has no project and location"):
        VertexProvider(GeminiSettings(connection=ClientSettings(client=client, vertex=True)))
    client.close()


@pytest.mark.parametrize("option", ["api_key", "base_url", "api_version", "extra_headers"])
def test_a_client_brings_its_own(option: str, client: genai.Client) -> None:
    """A client and what only we would use for making one exclude each other."""
    given: dict[str, Any] = {option: {"a": "b"} if option == "extra_headers" else "x"}
    with pytest.raises(UsageError, match="client= brings its own key, project, URL"):
        GeminiProcessor(client=client, **given)


@pytest.mark.parametrize("variable", ["GOOGLE_API_KEY", "GEMINI_API_KEY"])
def test_the_environment_names_key_and_server(
    variable: str,
    emulator: Emulator,
    make_processor: MakeProcessor,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[httpx2.Request],
) -> None:
    """Without options the SDK's own variables hold."""
    monkeypatch.setenv(variable, "of-the-environment")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.gemini_url)
    processor = make_processor(emulator, api_key=None, base_url=None)
    assert processor.process(MESSAGES).completed == 3
    keys = {request.headers.get("x-goog-api-key") for request in sent}
    # Chunks of an upload are let in by their address.
    assert keys - {None} == {"of-the-environment"}


def test_the_environment_names_project_and_location(
    emulator: Emulator, make_processor: MakeProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK alone would forget them, with a base URL."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "env-project")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-central1")
    monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", emulator.vertex_url)
    options: dict[str, Any] = dict.fromkeys(["project", "location", "base_url"])
    processor = make_processor(emulator, VertexProcessor, **options)
    assert processor.process(MESSAGES).completed == 3


def test_keys_of_the_environment_have_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the SDK itself; an option goes before both."""
    monkeypatch.setenv("GEMINI_API_KEY", "second")
    assert ClientSettings().secret == "second"
    monkeypatch.setenv("GOOGLE_API_KEY", "first")
    assert ClientSettings().secret == "first"
    assert ClientSettings(api_key="mine").secret == "mine"
    assert ClientSettings(vertex=True).secret is None


@pytest.mark.parametrize("backend", ["developer", "vertex"])
def test_ones_headers_and_version_are_sent(
    backend: str, emulator: Emulator, make_processor: MakeProcessor, sent: list[httpx2.Request]
) -> None:
    """Gateways often want a header, and may know one version only."""
    version = "v1beta" if backend == "developer" else "v1"
    processor = make_processor(
        emulator, backend=backend, extra_headers={"x-team": "search"}, api_version=version
    )
    assert processor.process(MESSAGES).completed == 3
    calls = [request for request in sent if "upload_id" not in str(request.url)]
    assert {request.headers.get("x-team") for request in calls} == {"search"}
    assert all(f"/{version}/" in request.url.path for request in calls)


def test_a_server_of_ones_own_needs_no_key(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The SDK always wants one, and gets one."""
    assert make_processor(emulator, api_key=None).process(MESSAGES).completed == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "there is no API key: set GEMINI_API_KEY, or pass api_key="),
        ({"vertex": True, "location": "global"}, "needs a project.*GOOGLE_CLOUD_PROJECT"),
        ({"vertex": True, "project": "p"}, "needs a location, such as us-central1 or global"),
    ],
)
def test_who_asks_must_be_told(options: dict[str, Any], message: str) -> None:
    """Before anything is sent; the message names option and variable."""
    with pytest.raises(UsageError, match=message):
        ClientSettings(**options).check()


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
    ],
)
def test_the_location_decides_the_address(location: str, url: str) -> None:
    """As the SDK has it."""
    settings = ClientSettings(
        vertex=True, project="p", location=location, credentials=make_credentials("t")
    )
    assert settings.url == url
    assert settings.is_google
    assert not settings.is_here
    client = genai.Client(
        vertexai=True, project="p", location=location, credentials=make_credentials("t")
    )
    assert str(http_options(client).base_url).rstrip("/") == url
    client.close()


def test_accounts_are_told_apart_by_key_and_never_show_it() -> None:
    """The fingerprint is not the key, and no repr holds it."""
    settings = [
        ClientSettings(api_key="AIza-one", extra_headers={"x-key": "AIza-one"}),
        ClientSettings(api_key="AIza-two"),
    ]
    first, second = (DeveloperProvider(GeminiSettings(connection=one)) for one in settings)
    assert first.account != second.account
    assert first.account.startswith("gemini:generativelanguage.googleapis.com:")
    assert "AIza" not in repr(settings) + first.account + str(first.identity)


def test_places_of_vertex_are_told_apart() -> None:
    """Project and location are the account, and not who reads the invoice."""

    def provider(project: str, location: str, token: str = "ya29.mine") -> VertexProvider:
        connection = ClientSettings(
            vertex=True, project=project, location=location, credentials=make_credentials(token)
        )
        settings = GeminiSettings(connection=connection, gcs_uri="gs://b")
        assert token not in repr(settings)
        return VertexProvider(settings)

    accounts = {
        provider("p1", "global").account,
        provider("p2", "global").account,
        provider("p1", "us").account,
    }
    assert len(accounts) == 3
    assert provider("p1", "us", "ya29.other").account in accounts


def test_errors_hold_no_key(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The SDK's exceptions do; ours are not chained to them, in any field."""
    emulator = make_emulator(api_keys=["the-right-one"])
    key = "AIza-very-wrong-key"
    with pytest.raises(AuthenticationFailed, match="API key not valid") as caught:
        make_processor(emulator, api_key=key).process(MESSAGES)
    error = caught.value
    assert (error.status, error.code) == (400, "INVALID_ARGUMENT")
    assert error.__cause__ is None
    assert key not in f"{error!r} {vars(error)} {error.__context__!r} {caplog.text}"


def test_an_access_token_shows_in_no_error(
    emulator: Emulator, make_processor: MakeProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may repeat what it was sent."""
    token = "ya29.of-mine"
    body: Any = {"error": {"code": 401, "message": f"{token} expired", "status": "OUT"}}
    emulator.inject(Fault(route="batches.create", status=401, body=body))
    processor = make_processor(emulator, VertexProcessor, credentials=make_credentials(token))
    with pytest.raises(AuthenticationFailed, match="expired") as caught:
        processor.process(MESSAGES)
    assert token not in f"{caught.value!r} {vars(caught.value)} {caplog.text}"


async def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment are looked for when the first call is made."""

    def none(*_: object, **__: object) -> None:
        make: Any = DefaultCredentialsError
        raise make("Your default credentials were not found.")

    monkeypatch.setattr("google.auth.default", none)
    api = GoogleApi(ClientSettings(vertex=True, project="p", location="us-central1"))
    with pytest.raises(AuthenticationFailed, match="default credentials were not found"):
        await api.get("batchPredictionJobs/1")
    await api.aclose()


async def test_no_real_credentials_go_to_a_server_on_this_machine(
    emulator: Emulator, sent: list[httpx2.Request]
) -> None:
    """It stands in for Google; nothing of the environment is even looked for."""
    api = GoogleApi(vertex_connection(emulator))
    assert await api.page("batchPredictionJobs") == {}
    assert sent[0].headers["authorization"] == "Bearer none"
    await api.aclose()


@pytest.mark.parametrize("vertex", [False, True])
async def test_a_client_of_ours_is_closed_whole(emulator: Emulator, *, vertex: bool) -> None:
    """With the HTTP client that it was given, and without aiohttp, installed or not."""
    settings = vertex_connection(emulator) if vertex else developer_connection(emulator)
    client = make_client(settings)
    http: Any = http_options(client).httpx_async_client
    assert isinstance(http, httpx2.AsyncClient)
    assert inner(client)._use_aiohttp() is False
    assert http.timeout.connect == 10.0
    assert http.timeout.read == 60.0
    await close_client(client)
    assert http.is_closed


@pytest.mark.parametrize(
    ("url", "priced"),
    [
        (None, True),
        ("http://127.0.0.1:8000/gemini", True),
        ("https://gateway.example", False),
        ("https://generativelanguage.googleapis.com.evil.example", False),
    ],
)
def test_only_the_vendors_prices_are_known(url: str | None, priced: bool) -> None:
    """A gateway's are its own; a server on this machine stands in for the vendor."""
    connection = ClientSettings(api_key="k", base_url=url)
    provider = DeveloperProvider(GeminiSettings(connection=connection))
    route = Route("chat", "batchGenerateContent", "gemini-2.5-flash")
    cost = provider.cost(route, Usage(input_tokens=1_000_000), batch=True)
    assert (cost is not None) == priced


def test_a_missing_sdk_names_the_command(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Which brings it."""
    monkeypatch.setitem(sys.modules, "google.genai", None)
    monkeypatch.delattr("google.genai")
    with pytest.raises(ProviderNotInstalled, match="pip install ai-batch-gemini"):
        make_processor(emulator).process(MESSAGES)


def test_importing_the_package_imports_no_sdk() -> None:
    """It takes more than a second, and is needed only for calls."""
    script = (
        "import sys; from ai_batch.gemini import GeminiProcessor, VertexProcessor\n"
        "processor = GeminiProcessor(model='m', api_key='k')\n"
        "assert processor.estimate(['x']).batches == 1\n"
        "vertex = VertexProcessor(model='m', project='p', location='us', gcs_uri='gs://b')\n"
        "assert vertex.estimate(['x']).batches == 1\n"
        "assert not {'google.genai', 'google.cloud.storage', 'google.auth'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_there_is_nothing_else_in_the_package() -> None:
    """A name that there is not is an AttributeError, as anywhere."""
    name = "Nothing"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = getattr(ai_batch.gemini, name)
