"""Who answers the requests: the emulator itself, a function, or another server."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Protocol

import msgspec

from ai_batch.emulator.json_types import JsonObject, JsonValue, decode, encode
from ai_batch.emulator.plain_http import plain_opener

_TIMEOUT = 600.0
UPSTREAM_CONCURRENCY = 16


class Answered(msgspec.Struct, frozen=True):
    """The answer to one request."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Tell whether the request succeeded."""
        return 200 <= self.status < 300


class Answerer(Protocol):
    """Anything that answers requests. `concurrency` is how many it takes at once."""

    concurrency: int

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request; `key` is the caller's bearer key."""
        ...


class UpstreamAnswerer:
    """Forwards each request to an OpenAI-compatible server."""

    concurrency = UPSTREAM_CONCURRENCY

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._opener = plain_opener()

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Forward one request; a server that cannot be reached is a 503."""
        url = self._base_url + endpoint.removeprefix("/v1")
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        request = urllib.request.Request(url, encode(body), headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                return Answered(response.status, _one_line(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answered(error.code, _one_line(error.read()))
        except OSError as error:
            return Answered(503, encode(failure_body(f"Upstream: {error}", "server_error")))


def _one_line(data: bytes) -> bytes:
    """Write a body anew on one line; text that is no JSON becomes a JSON string."""
    value: JsonValue
    try:
        value = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = data.decode(errors="replace")
    return encode(value)


def failure_body(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> JsonObject:
    """Return the body of a failed request."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
