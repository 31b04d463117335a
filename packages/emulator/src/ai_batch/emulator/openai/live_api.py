"""The ordinary, synchronous endpoints, and the list of models."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_list,
    as_object,
    as_text,
    decode,
    encode,
)
from ai_batch.emulator.openai.answering import answerer_of
from ai_batch.emulator.openai.batches_api import bearer
from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.openai.json_body import json_request
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.turnstile import Turnstile
from ai_batch.emulator.world import World

MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "text-embedding-ada-002",
    "omni-moderation-latest",
)
_CREATED = 1_790_000_000


class LiveApi:
    """Answers one request per call."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._answerer = answerer_of(world.options)
        limit = world.options.limits.requests_per_minute
        self._turnstile = Turnstile(world.clock, limit)

    async def answer(self, call: Call) -> Response:
        """POST to one of the live endpoints."""
        body = await json_request(call)
        limits = self._take_turn()
        endpoint: str = call.request.url.path
        if not as_text(body.get("model")):
            raise VendorError("you must provide a model parameter")
        model = as_text(body["model"])
        if not self._world.options.known_model(model):
            raise unknown_model(model)
        answered = await run_in_threadpool(self._answerer.answer, endpoint, body, bearer(call))
        self._world.count_live(endpoint, body, ok=answered.ok)
        if body.get("stream") and answered.ok:
            return _streamed(endpoint, body, as_object(decode(answered.body)))
        return Response(answered.body, answered.status, limits, "application/json")

    def _take_turn(self) -> dict[str, str]:
        turn = self._turnstile.take()
        headers = _limits(turn.limit, turn.left, turn.reset)
        if turn.passed:
            return headers
        raise VendorError(
            f"Rate limit reached for requests. Limit: {turn.limit} per minute.",
            status=429,
            type="requests",
            code="rate_limit_exceeded",
            headers={**headers, "retry-after": str(int(turn.reset) + 1)},
        )

    async def models(self, call: Call) -> Response:
        """GET /models."""
        data: list[JsonValue] = [_model(name) for name in MODELS]
        return json_reply({"object": "list", "data": data})

    async def model(self, call: Call) -> Response:
        """GET /models/{id}."""
        name: str = call.request.path_params["id"]
        if not self._world.options.known_model(name):
            raise unknown_model(name)
        return json_reply(_model(name))


def unknown_model(name: str) -> VendorError:
    """Return the vendor's 404 for a model."""
    message = f"The model '{name}' does not exist or you do not have access to it."
    return VendorError(message, status=404, param="model", code="model_not_found")


def _model(name: str) -> JsonObject:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}


def _limits(most: int, left: int, reset: float) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(most),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": f"{int(reset * 1000)}ms" if reset < 1 else f"{reset:.0f}s",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999000",
        "x-ratelimit-reset-tokens": "30ms",
    }


def _streamed(endpoint: str, body: JsonObject, answer: JsonObject) -> Response:
    if endpoint != "/v1/chat/completions":
        message = "The emulator streams chat completions only."
        raise VendorError(message, param="stream", code="unsupported_value")
    usage = bool(as_object(body.get("stream_options")).get("include_usage"))
    return StreamingResponse(_events(answer, include_usage=usage), media_type="text/event-stream")


async def _events(answer: JsonObject, *, include_usage: bool) -> AsyncIterator[bytes]:
    frame = {name: answer[name] for name in ("id", "created", "model")}
    frame["object"] = "chat.completion.chunk"
    for choice in map(as_object, as_list(answer["choices"])):
        for delta, reason in _deltas(as_object(choice["message"]), choice["finish_reason"]):
            part: JsonObject = {
                "index": choice["index"],
                "delta": delta,
                "logprobs": None,
                "finish_reason": reason,
            }
            yield _event({**frame, "choices": [part]})
    if include_usage:
        yield _event({**frame, "choices": [], "usage": answer["usage"]})
    yield b"data: [DONE]\n\n"


def _deltas(message: JsonObject, reason: JsonValue) -> list[tuple[JsonObject, JsonValue]]:
    deltas: list[tuple[JsonObject, JsonValue]] = [({"role": "assistant", "content": ""}, None)]
    words = as_text(message.get("content")).split(" ")
    for index, word in enumerate(words):
        if word or len(words) > 1:
            deltas.append(({"content": word if index == 0 else f" {word}"}, None))
    for number, call in zip(itertools.count(), as_list(message.get("tool_calls")), strict=False):
        deltas.append(({"tool_calls": [{**as_object(call), "index": number}]}, None))
    return [*deltas, ({}, reason)]


def _event(chunk: JsonObject) -> bytes:
    return b"data: %b\n\n" % encode(chunk)
