"""Chooses who answers OpenAI requests, and reads the usage of their answers."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ai_batch.emulator.answers import Answered, Answerer, UpstreamAnswerer, failure_body
from ai_batch.emulator.items import item_key
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_count,
    as_object,
    as_text,
    decode,
    encode,
)
from ai_batch.emulator.openai.chat import chat_completion
from ai_batch.emulator.openai.embeddings import dimensions_of, embedding_list
from ai_batch.emulator.openai.lines import input_count
from ai_batch.emulator.openai.other_endpoints import images, moderation, text_completion, video
from ai_batch.emulator.openai.records import TokenUsage
from ai_batch.emulator.openai.responses import response_object
from ai_batch.emulator.openai.row_rules import refusal
from ai_batch.emulator.options import AnswerFunction, Options

_logger = logging.getLogger("ai_batch.emulator")
_EPOCH = 1_790_000_000
_CANNED = "This is the emulator's canned answer."


def answerer_of(options: Options) -> Answerer:
    """Return the one that the options ask for."""
    answer = options.answer
    if callable(answer):
        return FunctionAnswerer(answer, EchoAnswerer(options.embedding_dimensions))
    if answer.startswith(("http://", "https://")):
        return UpstreamAnswerer(answer)
    if answer == "canned":
        return CannedAnswerer(options.embedding_dimensions)
    if answer == "echo":
        return EchoAnswerer(options.embedding_dimensions)
    msg = f"answer must be 'echo', 'canned', an http(s) URL or a function, not {answer!r}"
    raise ValueError(msg)


def echo_body(endpoint: str, body: JsonObject, dimensions: int | None = None) -> JsonObject:
    """Return the answer that depends on nothing but the request."""
    identity = item_key(endpoint, body) * 2
    builders: dict[str, Callable[[], JsonObject]] = {
        "/v1/chat/completions": lambda: chat_completion(body, identity, _EPOCH),
        "/v1/responses": lambda: response_object(body, identity, _EPOCH),
        "/v1/embeddings": lambda: embedding_list(body, dimensions),
        "/v1/completions": lambda: text_completion(body, identity, _EPOCH),
        "/v1/moderations": lambda: moderation(body, identity),
        "/v1/images/generations": lambda: images(body, _EPOCH),
        "/v1/images/edits": lambda: images(body, _EPOCH),
        "/v1/videos": lambda: video(body, identity, _EPOCH),
    }
    return builders[endpoint]()


class EchoAnswerer:
    """Repeats what was said."""

    concurrency = 1

    def __init__(self, dimensions: int | None = None) -> None:
        self._dimensions = dimensions

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request, or refuse it as the vendor would."""
        refused = refusal(endpoint, body)
        if refused is not None:
            return Answered(400, encode(refused))
        return Answered(200, encode(echo_body(endpoint, body, self._dimensions)))


class CannedAnswerer:
    """Gives the same answer again and again, made only once per model: for benchmarks."""

    concurrency = 1

    def __init__(self, dimensions: int | None = None) -> None:
        self._dimensions = dimensions
        self._made: dict[tuple[str, str, int, int], Answered] = {}

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request, or refuse it as the vendor would."""
        refused = refusal(endpoint, body)
        if refused is not None:
            return Answered(400, encode(refused))
        count = dimensions = 0
        if endpoint == "/v1/embeddings":
            count = input_count(body.get("input"))
            dimensions = dimensions_of(body, self._dimensions)
        name = (endpoint, as_text(body.get("model")), count, dimensions)
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Answered(200, encode(self._make(name)))
        return made

    @staticmethod
    def _make(name: tuple[str, str, int, int]) -> JsonObject:
        endpoint, model, count, dimensions = name
        texts: list[JsonValue] = [_CANNED] * count
        body: JsonObject = {
            "model": model,
            "messages": [{"role": "user", "content": _CANNED}],
            "input": texts or _CANNED,
            "prompt": _CANNED,
        }
        return echo_body(endpoint, body, dimensions)


class FunctionAnswerer:
    """Asks a function; where it returns None, the fallback answers."""

    concurrency = 1

    def __init__(self, function: AnswerFunction, fallback: Answerer) -> None:
        self._function = function
        self._fallback = fallback

    def answer(self, endpoint: str, body: JsonObject, key: str) -> Answered:
        """Answer one request; an exception of the function is a 500, and is logged."""
        refused = refusal(endpoint, body)
        if refused is not None:
            return Answered(400, encode(refused))
        try:
            answer = self._function(endpoint, body)
        except Exception as error:
            _logger.exception("the answer function failed")
            message = f"The answer function failed: {error}"
            return Answered(500, encode(failure_body(message, "server_error")))
        if answer is None:
            return self._fallback.answer(endpoint, body, key)
        status, found = answer if isinstance(answer, tuple) else (200, answer)
        return Answered(status, encode(found))


class UsageSum:
    """Adds the usage of many answers; the same body again (a canned one) is not read again."""

    def __init__(self) -> None:
        self._last = b""
        self._times = 0
        self._sum = TokenUsage()

    def add(self, body: bytes) -> None:
        """Add one answer's usage."""
        if body is not self._last:
            self._sum = self.total()
            self._last, self._times = body, 0
        self._times += 1

    def total(self) -> TokenUsage:
        """Return the sum."""
        if self._times == 0:
            return self._sum
        return self._sum.plus(usage_of(decode(self._last)).times(self._times))


def usage_of(body: JsonValue) -> TokenUsage:
    """Return the usage that an answer reports."""
    usage = as_object(as_object(body).get("usage"))
    read = usage.get("input_tokens", usage.get("prompt_tokens"))
    written = usage.get("output_tokens", usage.get("completion_tokens"))
    details = usage.get("input_tokens_details", usage.get("prompt_tokens_details"))
    thought = usage.get("output_tokens_details", usage.get("completion_tokens_details"))
    return TokenUsage(
        as_count(read) or 0,
        as_count(written) or 0,
        as_count(as_object(details).get("cached_tokens")) or 0,
        as_count(as_object(thought).get("reasoning_tokens")) or 0,
    )
