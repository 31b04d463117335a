"""Whose client is used, against which server, and with which headers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest
from anthropic.lib.bedrock import AnthropicBedrock
from anthropic.lib.vertex import AsyncAnthropicVertex

import ai_batch.anthropic
from ai_batch.anthropic import AnthropicProcessor
from ai_batch.anthropic.client import ClientSettings, is_async, signs_body
from ai_batch.anthropic.provider import AnthropicProvider
from ai_batch.anthropic.settings import AnthropicSettings
from ai_batch.core import AuthenticationFailed, ProviderNotInstalled, Usage, UsageError
from ai_batch.core.provider import Route
from ai_batch.emulator import Emulator, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from packages.anthropic.tests.conftest import MakeProcessor

MESSAGES = [f"question {n}" for n in range(3)]


async def close(client: Any) -> None:
    """Close a sync or an async client."""
    closing = client.close()
    if closing is not None:
        await closing


def test_a_users_sync_client_is_used_and_left_open(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """``client=`` may be a plain ``Anthropic``; it is still open afterwards."""
    with anthropic.Anthropic(api_key="sk-ant-own", base_url=emulator.anthropic_url) as client:
        processor = make_processor(emulator, client=client)
        assert processor.process(MESSAGES).completed == 3
        processor.close()
        assert client.max_retries == 2
        assert len(client.messages.batches.list().data) == 1


async def test_a_users_async_client_is_used_and_left_open(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """``client=`` may be an ``AsyncAnthropic`` of the running loop."""
    url = emulator.anthropic_url
    async with anthropic.AsyncAnthropic(api_key="sk-ant-own", base_url=url) as client:
        processor = make_processor(emulator, client=client)
        assert (await processor.aprocess(MESSAGES)).completed == 3
        await asyncio.to_thread(processor.close)
        assert len((await client.messages.batches.list()).data) == 1


@pytest.mark.parametrize("kind", [anthropic.Anthropic, anthropic.AsyncAnthropic])
async def test_a_users_client_is_not_retried_either(
    kind: Callable[..., Any], emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The retries of a user's own client would pay twice: they are off for our calls."""
    emulator.inject(Fault(route="batches.create", nth=1, status=500, effect=True))
    client = kind(api_key="sk-ant-own", base_url=emulator.anthropic_url)
    assert (await make_processor(emulator, client=client).aprocess(MESSAGES)).completed == 3
    assert emulator.stats.creates_attempted == 1
    assert emulator.stats.batches_created == 1
    await close(client)


@pytest.mark.parametrize("name", ["AnthropicAWS", "AsyncAnthropicAWS"])
async def test_the_claude_platform_on_aws_speaks_the_same(
    name: str, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Its client signs the whole body, which is therefore sent in one piece."""
    kind: Any = getattr(anthropic, name)
    client = kind(
        api_key="aws-key",
        aws_region="us-east-1",
        workspace_id="wrkspc_1",
        base_url=emulator.anthropic_url,
    )
    assert signs_body(client)
    assert is_async(client) is name.startswith("Async")
    assert (await make_processor(emulator, client=client).aprocess(MESSAGES)).completed == 3
    await close(client)


@pytest.mark.parametrize("name", ["AnthropicGoogleCloud", "AsyncAnthropicGoogleCloud"])
async def test_claude_on_google_cloud_speaks_the_same(
    name: str, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """As managed by Anthropic."""
    kind: Any = getattr(anthropic, name)
    client = kind(
        project="my-project",
        location="global",
        workspace_id="wrkspc_1",
        token_provider=lambda: "google-token",
        base_url=emulator.anthropic_url,
    )
    assert not signs_body(client)
    assert (await make_processor(emulator, client=client).aprocess(MESSAGES)).completed == 3
    await close(client)


class Stranger:
    """A client of nobody's."""


async def test_clients_without_batches_are_refused(emulator: Emulator) -> None:
    """Each refusal says what to use instead."""
    clients: list[tuple[Any, str]] = [
        (
            AnthropicBedrock(aws_region="us-east-1", aws_access_key="a", aws_secret_key="b"),
            r"AnthropicBedrock can't be used\. .* use AnthropicAWS",
        ),
        (
            AsyncAnthropicVertex(region="global", project_id="p", access_token="t"),
            r"AsyncAnthropicVertex can't be used\. .* use AnthropicGoogleCloud",
        ),
        (
            anthropic.AnthropicFoundry(api_key="k", resource="r"),
            r"AnthropicFoundry can't be used\. Microsoft Foundry has no message batches",
        ),
        (Stranger(), "must be an Anthropic or AsyncAnthropic of the official SDK, found Stranger"),
    ]
    for client, message in clients:
        with pytest.raises(UsageError, match=message):
            AnthropicProcessor(model="claude-x", client=client)
        if not isinstance(client, Stranger):
            await close(client)
    assert emulator.stats.requests == {}


@pytest.mark.parametrize("option", ["api_key", "base_url", "extra_headers"])
def test_a_client_brings_its_own(option: str, emulator: Emulator) -> None:
    """A client and what only we would use for making one exclude each other."""
    values: dict[str, Any] = {"api_key": "k", "base_url": "http://x", "extra_headers": {"a": "b"}}
    with (
        anthropic.Anthropic(api_key="sk-own", base_url=emulator.anthropic_url) as client,
        pytest.raises(UsageError, match="client= brings its own key, URL and headers"),
    ):
        AnthropicProcessor(client=client, **{option: values[option]})


def test_a_client_that_can_not_sign_in_is_told(
    emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """The SDK notices when it is called; the job can be continued with another."""
    with anthropic.Anthropic(api_key="k", base_url=emulator.anthropic_url) as client:
        client.api_key = None
        with pytest.raises(AuthenticationFailed, match="authentication method"):
            make_processor(emulator, client=client).process(MESSAGES)


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_the_environment_names_key_and_server(
    variable: str,
    emulator: Emulator,
    make_processor: MakeProcessor,
    monkeypatch: pytest.MonkeyPatch,
    sent: list[httpx2.Request],
) -> None:
    """Without options the SDK's own variables hold."""
    monkeypatch.setenv(variable, "of-the-environment")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", emulator.anthropic_url)
    processor = make_processor(emulator, api_key=None, base_url=None)
    assert processor.process(MESSAGES).completed == 3
    keys = {request.headers.get("authorization") for request in sent}
    assert keys == {"Bearer of-the-environment"}


def test_the_key_goes_before_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the SDK itself."""
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token")
    assert ClientSettings().token == ClientSettings().secret == "token"
    assert ClientSettings(api_key="key").token is None
    monkeypatch.setenv("ANTHROPIC_API_KEY", "env-key")
    assert (ClientSettings().token, ClientSettings().secret) == (None, "env-key")


def test_a_server_of_ones_own_needs_no_key_and_gets_ones_headers(
    emulator: Emulator, make_processor: MakeProcessor, sent: list[httpx2.Request]
) -> None:
    """Gateways often want a header and no key."""
    headers = {"x-team": "search"}
    processor = make_processor(emulator, api_key=None, extra_headers=headers)
    assert processor.process(MESSAGES).completed == 3
    assert {request.headers["x-team"] for request in sent} == {"search"}


def test_accounts_are_told_apart_by_key_and_never_show_it() -> None:
    """The fingerprint is not the key, and no repr holds it."""
    first, second = (
        AnthropicProvider(AnthropicSettings(connection=ClientSettings(api_key=key)))
        for key in ("sk-ant-one", "sk-ant-two")
    )
    assert first.account != second.account
    assert first.account.startswith("anthropic:api.anthropic.com:")
    settings = ClientSettings(api_key="sk-ant-one", extra_headers={"x-key": "sk-ant-one"})
    assert "sk-ant" not in repr(settings) + first.account + str(first.identity)


def test_errors_hold_no_key(
    make_emulator: Callable[..., Emulator],
    make_processor: MakeProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The SDK's exceptions do; ours are not chained to them, in any field."""
    emulator = make_emulator(api_keys=["sk-ant-right"])
    key = "sk-ant-very-wrong-key"
    with pytest.raises(AuthenticationFailed) as caught:
        make_processor(emulator, api_key=key).process(MESSAGES)
    error = caught.value
    assert (error.status, error.code) == (401, "authentication_error")
    assert error.request_id
    assert error.__cause__ is None
    assert key not in f"{error!r} {vars(error)} {error.__context__!r} {caplog.text}"


@pytest.mark.parametrize(
    ("url", "priced"),
    [
        (None, True),
        ("http://127.0.0.1:8000/anthropic", True),
        ("https://gateway.example", False),
        ("https://api.anthropic.com.evil.example", False),
    ],
)
def test_only_the_vendors_prices_are_known(url: str | None, priced: bool) -> None:
    """A gateway's are its own; a server on this machine stands in for the vendor."""
    connection = ClientSettings(api_key="k", base_url=url)
    provider = AnthropicProvider(AnthropicSettings(connection=connection))
    route = Route("chat", "/v1/messages", "claude-haiku-4-5", "2026-10-21")
    cost = provider.cost(route, Usage(input_tokens=1_000_000), batch=True)
    assert cost == (pytest.approx(0.5) if priced else None)


def test_a_missing_sdk_names_the_command(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, make_processor: MakeProcessor
) -> None:
    """Which brings it."""
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(ProviderNotInstalled, match="pip install ai-batch-anthropic"):
        make_processor(emulator).process(MESSAGES)


def test_importing_the_package_imports_no_sdk() -> None:
    """It takes more than a second, and is needed only for calls."""
    script = (
        "import sys; from ai_batch.anthropic import AnthropicProcessor\n"
        "processor = AnthropicProcessor(model='m', api_key='k')\n"
        "assert processor.estimate(['x']).batches == 1\n"
        "assert 'anthropic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_there_is_nothing_else_in_the_package() -> None:
    """A name that there is not is an AttributeError, as anywhere."""
    name = "Nothing"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = getattr(ai_batch.anthropic, name)
