"""No word is said to a server whose certificate does not prove who it is."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from openai import AsyncOpenAI
from openai import DefaultAsyncHttpxClient as OpenAIHttp

from ai_batch.anthropic import AnthropicChat
from ai_batch.core import ProviderError
from ai_batch.openai import OpenAIChat
from tests.security.callers import CALLS, KEY, QUESTION
from tests.security.servers import Server, serving

ROOT = Path(__file__).resolve().parent.parent.parent

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whoever signs the certificates; nobody trusts it by default."""
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's own certificate, as a file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """What a server with this certificate speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with certificate.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return context


def call_all(server: Server, folder: Path, **environment: str) -> dict[str, str]:
    """How every call to the server ends, in a process with these variables."""
    program = [sys.executable, "-W", "ignore", "-m", "tests.security.call_all"]
    done = subprocess.run(
        [*program, server.url, str(folder)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended: dict[str, str] = json.loads(done.stdout)
    assert ended.keys() == CALLS.keys()
    return ended


def trusting(bundle: Path) -> dict[str, str]:
    """The variables by which all libraries trust an authority."""
    return {"SSL_CERT_FILE": str(bundle), "REQUESTS_CA_BUNDLE": str(bundle)}


def test_an_unknown_authority_is_not_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    """A certificate that anybody could have made is refused by every client."""
    tls = server_side(authority.issue_cert("localhost"))
    with serving(lambda handler: handler.reply(200), tls) as server:
        ended = call_all(server, tmp_path)
    assert server.connections >= len(CALLS)
    assert server.asked == []
    assert [name for name, how in ended.items() if "ertificate" not in how] == []


@pytest.mark.parametrize("fault", ["the name of another", "a date in the past"])
def test_a_certificate_must_fit(
    fault: str, authority: trustme.CA, bundle: Path, tmp_path: Path
) -> None:
    """One of a trusted authority is refused for another host, and after its time."""
    if "name" in fault:
        made = authority.issue_cert("api.example")
    else:
        made = authority.issue_cert("localhost", not_before=PAST, not_after=PAST.replace(year=2021))
    with serving(lambda handler: handler.reply(200), server_side(made)) as server:
        ended = call_all(server, tmp_path, **trusting(bundle))
    assert server.connections >= len(CALLS)
    assert server.asked == []
    assert [name for name, how in ended.items() if "ertificate" not in how] == []


def test_an_authority_of_ones_own_can_be_trusted(
    authority: trustme.CA, bundle: Path, tmp_path: Path
) -> None:
    """The variables that the HTTP libraries know name a file of authorities."""
    tls = server_side(authority.issue_cert("localhost"))
    with serving(lambda handler: handler.reply(200, b'{"id":"x"}'), tls) as server:
        ended = call_all(server, tmp_path, **trusting(bundle))
    assert [name for name, how in ended.items() if "ertificate" in how] == []
    assert len(server.asked) >= len(CALLS)


def test_old_versions_of_tls_are_refused(
    authority: trustme.CA, bundle: Path, tmp_path: Path
) -> None:
    """TLS 1.1 and older protect nothing any more."""
    tls = server_side(authority.issue_cert("localhost"))
    tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="deprecated"):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with serving(lambda handler: handler.reply(200), tls) as server:
        call_all(server, tmp_path, **trusting(bundle))
    assert server.connections >= len(CALLS)
    assert server.asked == []


@pytest.mark.parametrize("trusts", [True, False])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_client_of_ones_own_brings_its_authorities(
    vendor: str, trusts: bool, authority: trustme.CA
) -> None:
    """Its HTTP client decides, and is used as it is."""
    context = ssl.create_default_context()
    if trusts:
        context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    tls = server_side(authority.issue_cert("localhost"))

    async def ask(url: str) -> None:
        if vendor == "openai":
            http = OpenAIHttp(verify=context)
            async with AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", http_client=http) as client:
                await OpenAIChat(model="m", client=client).chat(QUESTION)
        else:
            plain = DefaultAsyncHttpxClient(verify=context)
            async with AsyncAnthropic(api_key=KEY, base_url=url, http_client=plain) as sdk:
                await AnthropicChat(model="m", client=sdk).chat(QUESTION)

    with (
        serving(lambda handler: handler.reply(400), tls) as server,
        pytest.raises(ProviderError),
    ):
        asyncio.run(ask(server.url))
    assert bool(server.asked) == trusts
