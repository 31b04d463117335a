"""The ordinary, synchronous endpoints, and the list of models."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

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
from ai_batch.emulator.live_answers import LiveAnswers
from ai_batch.emulator.openai.answering import answerer_of
from ai_batch.emulator.openai.batches_api import bearer
from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.openai.json_body import json_request
from ai_batch.emulator.openai.live_limits import (
    REQUESTS,
    TOKENS,
    asked_tokens,
    exceeded_error,
    limit_headers,
)
from ai_batch.emulator.openai.prompts import prompts_of
from ai_batch.emulator.rate_limits import Allowance, RateLimits
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
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
        self._answers = LiveAnswers(answerer_of(world.options), world.tally)
        limits = world.options.limits
        per_minute = {REQUESTS: limits.requests_per_minute, TOKENS: limits.tokens_per_minute}
        self._limits = RateLimits(world.clock, per_minute)

    async def answer(self, call: Call) -> Response:
        """POST to one of the live endpoints."""
        body = await json_request(call)
        endpoint: str = call.request.scope["path"]
        if not as_text(body.get("model")):
            raise VendorError("you must provide a model parameter")
        model = as_text(body["model"])
        if not self._world.options.known_model(model):
            raise unknown_model(model)
        allowance = self._limits.of(model)
        self._admit(call, allowance, model, body)
        prompts = prompts_of(endpoint, body)
        answered = await self._answers.answer(call, endpoint, body, prompts, bearer(call))
        if body.get("stream") and answered.ok:
            return _streamed(endpoint, body, as_object(decode(answered.body)))
        limits = limit_headers(allowance)
        return Response(answered.body, answered.status, limits, "application/json")

    def _admit(self, call: Call, allowance: Allowance, model: str, body: JsonObject) -> None:
        amounts = {REQUESTS: 1}
        if allowance.counts(TOKENS):
            amounts[TOKENS] = asked_tokens(body)
        exceeded = allowance.take(amounts)
        if exceeded is not None:
            call.account.limited = True
            raise exceeded_error(model, exceeded, allowance)

    def reload(self) -> None:
        """Forget what was used up of the limits."""
        self._limits.clear()

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
