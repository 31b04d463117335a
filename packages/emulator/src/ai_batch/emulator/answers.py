"""Who answers the requests: the emulator itself, a function, or another server."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Hashable
from typing import Protocol

import msgspec

from ai_batch.emulator.json_types import JsonObject, JsonValue, decode, encode
from ai_batch.emulator.options import AnswerFunction
from ai_batch.emulator.plain_http import plain_opener

_logger = logging.getLogger("ai_batch.emulator")
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
    """Anything that answers requests.

    `concurrency` is how many it takes at once; one that is `blocking` may take long.
    """

    concurrency: int
    blocking: bool

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request; `key` is the caller's key."""
        ...


class Dialect(Protocol):
    """How a vendor words its answers."""

    def echo(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the answer that depends on nothing but the request."""
        ...

    def canned_key(self, endpoint: str, body: JsonObject) -> Hashable:
        """Return what the canned answer depends on: little, such as the model."""
        ...

    def canned_request(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the request whose echo is the canned answer of all with the same key."""
        ...

    def failure(self, status: int, message: str) -> JsonObject:
        """Return the body of a failed request."""
        ...

    def to_upstream(self, endpoint: str, body: JsonObject) -> tuple[str, JsonObject]:
        """Translate a request into one for an OpenAI-compatible server."""
        ...

    def from_upstream(self, endpoint: str, body: JsonObject, answered: Answered) -> Answered:
        """Translate that server's answer to a request."""
        ...


_URL = ("http://", "https://")


def check_answer(answer: str | AnswerFunction) -> None:
    """Raise ValueError for an option that means nothing, before anything is open."""
    if isinstance(answer, str) and answer not in {"echo", "canned"} and not answer.startswith(_URL):
        msg = f"answer must be 'echo', 'canned', an http(s) URL or a function, not {answer!r}"
        raise ValueError(msg)


def answerer_for(answer: str | AnswerFunction, dialect: Dialect) -> Answerer:
    """Return the one that an emulator's option asks for."""
    if not isinstance(answer, str):
        return FunctionAnswerer(answer, dialect)
    if answer == "canned":
        return CannedAnswerer(dialect)
    return UpstreamAnswerer(answer, dialect) if answer.startswith(_URL) else EchoAnswerer(dialect)


class EchoAnswerer:
    """Repeats what was said."""

    concurrency = 1
    blocking = False

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request."""
        return Answered(200, encode(self._dialect.echo(endpoint, body)))


class CannedAnswerer:
    """Gives the same answer again and again, made only once per key: for benchmarks."""

    concurrency = 1
    blocking = False

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._made: dict[Hashable, Answered] = {}

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request."""
        name = self._dialect.canned_key(endpoint, body)
        made = self._made.get(name)
        if made is None:
            request = self._dialect.canned_request(endpoint, body)
            made = Answered(200, encode(self._dialect.echo(endpoint, request)))
            self._made[name] = made
        return made


class FunctionAnswerer:
    """Asks a function; where it returns None, the echo answers."""

    concurrency = 1
    blocking = True

    def __init__(self, function: AnswerFunction, dialect: Dialect) -> None:
        self._function = function
        self._dialect = dialect

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request; an exception of the function is a 500, and is logged."""
        try:
            answer = self._function(endpoint, body)
        except Exception as error:
            _logger.exception("the answer function failed")
            message = f"The answer function failed: {error}"
            return Answered(500, encode(self._dialect.failure(500, message)))
        if answer is None:
            return Answered(200, encode(self._dialect.echo(endpoint, body)))
        status, found = answer if isinstance(answer, tuple) else (200, answer)
        return Answered(status, encode(found))


class UpstreamAnswerer:
    """Forwards each request to an OpenAI-compatible server."""

    concurrency = UPSTREAM_CONCURRENCY
    blocking = True

    def __init__(self, base_url: str, dialect: Dialect) -> None:
        self._base_url = base_url.rstrip("/")
        self._dialect = dialect
        self._opener = plain_opener()

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Forward one request; a server that cannot be reached is a 503."""
        path, translated = self._dialect.to_upstream(endpoint, body)
        url = self._base_url + path.removeprefix("/v1")
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        request = urllib.request.Request(url, encode(translated), headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                answered = Answered(response.status, _one_line(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                answered = Answered(error.code, _one_line(error.read()))
        except OSError as error:
            return Answered(503, encode(self._dialect.failure(503, f"Upstream: {error}")))
        return self._dialect.from_upstream(endpoint, body, answered)


class RefusingAnswerer:
    """Refuses what the vendor would refuse, and lets another answer all else."""

    def __init__(
        self, answerer: Answerer, refusal: Callable[[str, JsonObject], Answered | None]
    ) -> None:
        self.concurrency = answerer.concurrency
        self.blocking = answerer.blocking
        self._answerer = answerer
        self._refusal = refusal

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request, or refuse it as the vendor would."""
        refused = self._refusal(endpoint, body)
        return self._answerer.answer(endpoint, body, key) if refused is None else refused


def _one_line(data: bytes) -> bytes:
    """Write a body anew on one line; text that is no JSON becomes a JSON string."""
    value: JsonValue
    try:
        value = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = data.decode(errors="replace")
    return encode(value)
