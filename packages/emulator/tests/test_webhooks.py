"""Events of ended batches, verified with the SDK's own code."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import openai
import pytest

from ai_batch.emulator import Emulator, Timing

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab


class Receiver:
    """Takes events; answers with the given statuses first, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.events: list[tuple[bytes, dict[str, str]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.events.append((body, {k.lower(): v for k, v in self.headers.items()}))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Stay silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server for events."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def test_the_sdk_verifies_an_event(make_lab: Callable[..., Lab], receiver: Receiver) -> None:
    """The event of a completed batch has a good signature, and names the batch."""
    with Emulator(webhooks=receiver.url) as emulator:
        lab = make_lab(emulator)
        batch = lab.run(lab.lines(1))
        emulator.advance(seconds=0)
        ((payload, headers),) = receiver.events
        event = lab.client.webhooks.unwrap(payload, headers, secret=emulator.webhook_secret)
        assert event.type == "batch.completed"
        assert event.data.id == batch.id
        with pytest.raises(openai.InvalidWebhookSignatureError):
            lab.client.webhooks.unwrap(payload + b" ", headers, secret=emulator.webhook_secret)


def test_every_end_has_its_event(make_lab: Callable[..., Lab], receiver: Receiver) -> None:
    """Failed, expired and cancelled batches are told of as well."""
    secret = "whsec_c2VjcmV0"
    lab = make_lab(webhooks=receiver.url, webhook_secret=secret, timing=Timing(in_progress=90_000))
    failed = lab.create("file-unknown")
    expired = lab.submit(lab.lines(1))
    cancelled = lab.submit(lab.lines(1))
    lab.client.batches.cancel(cancelled.id)
    lab.emulator.advance(hours=25)
    found: dict[str, str] = {}
    for payload, headers in receiver.events:
        event = lab.client.webhooks.unwrap(payload, headers, secret=secret)
        assert event.type in {"batch.failed", "batch.expired", "batch.cancelled"}
        found[event.type] = payload.decode()
    assert failed.id in found["batch.failed"]
    assert expired.id in found["batch.expired"]
    assert cancelled.id in found["batch.cancelled"]


def test_a_refused_event_is_sent_again(
    make_lab: Callable[..., Lab], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors and redirects are no deliveries; the same event comes again later."""
    receiver.statuses = [500, 302]
    with caplog.at_level(logging.ERROR):
        lab = make_lab(webhooks=receiver.url)
        lab.run(lab.lines(1))
        for _ in range(3):
            lab.emulator.advance(minutes=10)
    assert len(receiver.events) == 3
    assert len({headers["webhook-id"] for _, headers in receiver.events}) == 1


def test_a_receiver_that_is_down_stops_nothing(make_lab: Callable[..., Lab]) -> None:
    """Nobody takes the event, and the batch ends all the same; after three days it is dropped."""
    lab = make_lab(webhooks="http://127.0.0.1:9/none")
    batch = lab.run(lab.lines(1))
    lab.emulator.advance(hours=73)
    lab.emulator.advance(hours=73)
    assert lab.get(batch).status == "completed"
