"""A server that names another one is sent no key there, and nothing that was meant for it alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import AIBatchError, ProviderError, RequestRefused
from ai_batch.emulator import Emulator
from tests.security.callers import CALLS, DOWNLOADS, HEADER, KEY, PROMPT, SENDS, STORAGE, run
from tests.security.servers import Asked, Handler, Server, serving

ROWS = b'{"custom_id":"x"}\n'


@pytest.fixture
def other() -> Iterator[Server]:
    """A server that nobody was told to trust."""
    with serving(lambda handler: handler.reply(200, ROWS)) as server:
        yield server


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A file to send, or to overwrite."""
    path = tmp_path / "file.jsonl"
    path.write_text(f'{{"custom_id":"a-0","params":{{"prompt":"{PROMPT}"}}}}\n')
    return path


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_secret_goes_to_another_server(
    name: str, status: int, other: Server, sent: Path
) -> None:
    """No key, no header of the user's and no prompt leaves for where a redirect points."""
    with (
        serving(lambda h: h.reply(status, b"", Location=f"{other.url}/x?y=1")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with suppress(AIBatchError):
            run(name, server.url, sent)
        assert server.asked
    assert not [secret for secret in (KEY, HEADER, PROMPT) if secret in other.heard]


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("name", [*SENDS, *STORAGE])
def test_what_is_sent_is_not_sent_on(name: str, status: int, other: Server, sent: Path) -> None:
    """A call that holds requests, or makes a batch, ends at the server that it was made to."""
    with (
        serving(lambda h: h.reply(status, b"", Location=f"{other.url}/x")) as server,
        pytest.raises(RequestRefused, match="sends the call on"),
    ):
        run(name, server.url, sent)
    assert other.asked == []


@pytest.mark.parametrize("name", DOWNLOADS)
def test_results_in_a_clouds_storage_are_had(name: str, other: Server, sent: Path) -> None:
    """A download that is sent on is followed, as a stranger."""
    with serving(lambda h: h.reply(302, b"", Location=f"{other.url}/signed?x=1")) as server:
        run(name, server.url, sent)
    assert sent.read_bytes() == ROWS
    (asked,) = other.asked
    assert {name.lower() for name in asked.headers} <= {
        "accept",
        "accept-encoding",
        "connection",
        "host",
        "user-agent",
        "x-stainless-raw-response",
    }


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_move_within_the_server_is_followed_with_the_key(name: str, sent: Path) -> None:
    """The same server may say that a file is elsewhere in it."""
    with serving(
        lambda h: (
            h.reply(200, ROWS)
            if "moved" in h.path
            else h.reply(307, b"", Location="/moved/x:download")
        )
    ) as server:
        run(name, server.url, sent)
    assert sent.read_bytes() == ROWS
    assert KEY in server.asked[-1].text


@pytest.mark.parametrize("place", ["file:///etc/passwd", "gs://other/x", "ftp://localhost/x"])
@pytest.mark.parametrize("name", DOWNLOADS)
def test_other_kinds_of_addresses_are_refused(name: str, place: str, sent: Path) -> None:
    """No redirect makes a client read a file, or speak anything but HTTP."""
    with (
        serving(lambda h: h.reply(302, b"", Location=place)) as server,
        pytest.raises(ProviderError),
    ):
        run(name, server.url, sent)
    assert b"root:" not in sent.read_bytes()


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_chain_of_redirects_ends(name: str, sent: Path) -> None:
    """A server that sends a client round in circles is given up."""
    with (
        serving(lambda h: h.reply(302, b"", Location=f"{h.path}x")) as server,
        pytest.raises(ProviderError),
    ):
        run(name, server.url, sent)
    assert len(server.asked) <= 25


def test_the_address_of_results_is_not_believed(tmp_path: Path, other: Server) -> None:
    """Anthropic's ``results_url`` may name any server: the results are asked of one's own."""
    told: list[bytes] = []
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator())

        def relay(handler: Handler) -> None:
            """The emulator's own answers, with another address of the results."""
            status, body = _forwarded(emulator.url, handler.asked)
            start = body.find(b'"results_url":"http')
            if start >= 0:
                end = body.index(b'"', start + 15)
                body = body[:start] + b'"results_url":"%b/x' % other.url.encode() + body[end:]
                told.append(body)
            handler.reply(status, body)

        server = stack.enter_context(serving(relay))
        processor = stack.enter_context(
            AnthropicProcessor(
                model="claude-haiku-4-5",
                api_key=KEY,
                base_url=f"{server.url}/anthropic",
                home=tmp_path / "home",
                poll_interval=0.02,
            )
        )
        response = processor.process([{"id": "q", "messages": "hello"}])
    assert [result.ok for result in response] == [True]
    assert told
    assert other.asked == []


def _forwarded(url: str, asked: Asked) -> tuple[int, bytes]:
    headers = {k: v for k, v in asked.headers.items() if k.lower() != "accept-encoding"}
    with closing(HTTPConnection(url.removeprefix("http://"))) as connection:
        connection.request(asked.method, asked.path, asked.body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
