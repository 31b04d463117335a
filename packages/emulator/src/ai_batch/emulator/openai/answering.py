"""How OpenAI words its answers, and where it reports their usage."""

from __future__ import annotations

from collections.abc import Callable

from ai_batch.emulator.answers import (
    Answered,
    Answerer,
    RefusingAnswerer,
    UpstreamAnswerer,
    answerer_for,
)
from ai_batch.emulator.items import item_key
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_count, as_object, as_text
from ai_batch.emulator.openai.chat import chat_completion
from ai_batch.emulator.openai.embeddings import dimensions_of, embedding_list
from ai_batch.emulator.openai.errors import failure_body
from ai_batch.emulator.openai.lines import input_count
from ai_batch.emulator.openai.other_endpoints import images, moderation, text_completion, video
from ai_batch.emulator.openai.responses import response_object
from ai_batch.emulator.openai.row_rules import refusal
from ai_batch.emulator.options import Options
from ai_batch.emulator.usage import TokenUsage

_EPOCH = 1_790_000_000
_CANNED = "This is the emulator's canned answer."


def answerer_of(options: Options) -> Answerer:
    """Return the one that the options ask for."""
    answerer = answerer_for(options.answer, OpenAIDialect(options.embedding_dimensions))
    # Another server has rules of its own.
    if isinstance(answerer, UpstreamAnswerer):
        return answerer
    return RefusingAnswerer(answerer, refusal)


class OpenAIDialect:
    """The bodies of OpenAI's endpoints."""

    def __init__(self, dimensions: int | None = None) -> None:
        self._dimensions = dimensions

    def echo(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the answer that depends on nothing but the request."""
        identity = item_key(endpoint, body) * 2
        builders: dict[str, Callable[[], JsonObject]] = {
            "/v1/chat/completions": lambda: chat_completion(body, identity, _EPOCH),
            "/v1/responses": lambda: response_object(body, identity, _EPOCH),
            "/v1/embeddings": lambda: embedding_list(body, self._dimensions),
            "/v1/completions": lambda: text_completion(body, identity, _EPOCH),
            "/v1/moderations": lambda: moderation(body, identity),
            "/v1/images/generations": lambda: images(body, _EPOCH),
            "/v1/images/edits": lambda: images(body, _EPOCH),
            "/v1/videos": lambda: video(body, identity, _EPOCH),
        }
        return builders[endpoint]()

    def canned_key(self, endpoint: str, body: JsonObject) -> tuple[str, str, int, int, str]:
        """Return what the canned answer depends on: its model, and its vectors' number and form."""
        count = dimensions = 0
        form = ""
        if endpoint == "/v1/embeddings":
            count = input_count(body.get("input"))
            dimensions = dimensions_of(body, self._dimensions)
            form = as_text(body.get("encoding_format"))
        return endpoint, as_text(body.get("model")), count, dimensions, form

    def canned_request(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the request whose echo is the canned answer."""
        _, model, count, dimensions, form = self.canned_key(endpoint, body)
        texts: list[JsonValue] = [_CANNED] * count
        request: JsonObject = {
            "model": model,
            "messages": [{"role": "user", "content": _CANNED}],
            "input": texts or _CANNED,
            "prompt": _CANNED,
        }
        if form:
            request["encoding_format"] = form
        return {**request, "dimensions": dimensions} if dimensions else request

    def failure(self, status: int, message: str) -> JsonObject:
        """Return the body of a failed request."""
        return failure_body(message, "server_error")

    def to_upstream(self, endpoint: str, body: JsonObject) -> tuple[str, JsonObject]:
        """Return the request as it is."""
        return endpoint, body

    def from_upstream(self, endpoint: str, body: JsonObject, answered: Answered) -> Answered:
        """Return the answer as it is."""
        return answered


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
