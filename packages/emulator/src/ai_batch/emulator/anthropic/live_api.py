"""The ordinary, synchronous endpoints, and the list of models."""

from __future__ import annotations

import msgspec
from starlette.responses import Response, StreamingResponse

from ai_batch.emulator.answers import Answered, answerer_for
from ai_batch.emulator.anthropic.dialect import AnthropicDialect
from ai_batch.emulator.anthropic.errors import VendorError, error_of_status
from ai_batch.emulator.anthropic.live_limits import (
    INPUT,
    OUTPUT,
    REQUESTS,
    asked,
    exceeded_error,
    limit_headers,
    settle,
)
from ai_batch.emulator.anthropic.models import MODELS, model_info
from ai_batch.emulator.anthropic.params import Rules
from ai_batch.emulator.anthropic.places import key_of
from ai_batch.emulator.anthropic.prompt_tokens import prompt_tokens
from ai_batch.emulator.anthropic.streaming import events
from ai_batch.emulator.anthropic.versions import betas_of, is_strict, version_of
from ai_batch.emulator.anthropic.wire import ENDPOINT
from ai_batch.emulator.json_types import JsonObject, as_object, as_text, decode
from ai_batch.emulator.live_answers import LiveAnswers
from ai_batch.emulator.rate_limits import Allowance, RateLimits
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.texts import last_user_text
from ai_batch.emulator.world import World


class LiveApi:
    """Answers one request per call."""

    def __init__(self, world: World) -> None:
        self._world = world
        answerer = answerer_for(world.options.answer, AnthropicDialect("standard"))
        self._answers = LiveAnswers(answerer, world.tally)
        limits = world.options.anthropic_limits
        self._limits = RateLimits(
            world.clock,
            {
                REQUESTS: limits.requests_per_minute,
                INPUT: limits.input_tokens_per_minute,
                OUTPUT: limits.output_tokens_per_minute,
            },
        )

    async def answer(self, call: Call) -> Response:
        """POST /messages."""
        body = await self._body(call)
        _raise_refused(self._rules(call).refusal(body))
        allowance = self._admit(call, body)
        prompts = [last_user_text(body.get("messages"))]
        key = key_of(call.request)
        answered = await self._answers.answer(call, ENDPOINT, body, prompts, key)
        if answered.ok:
            settle(allowance, answered.body)
        headers = limit_headers(allowance, self._world.clock.now())
        if body.get("stream") and answered.ok:
            found = as_object(decode(answered.body))
            return StreamingResponse(events(found), 200, headers, "text/event-stream")
        return Response(answered.body, answered.status, headers, "application/json")

    async def count_tokens(self, call: Call) -> Response:
        """POST /messages/count_tokens."""
        body = {"max_tokens": 1, **await self._body(call)}
        _raise_refused(self._rules(call).refusal(body))
        return json_reply({"input_tokens": prompt_tokens(body).total})

    def _rules(self, call: Call) -> Rules:
        headers = call.request.headers
        return Rules(
            strict=is_strict(version_of(headers)),
            batched=False,
            known_model=self._world.options.known_model,
            betas=betas_of(headers),
        )

    async def _body(self, call: Call) -> JsonObject:
        data = await call.request.body()
        if len(data) > self._world.options.anthropic_limits.max_live_body_bytes:
            raise error_of_status(413)
        try:
            body = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise VendorError(f"The request body is not valid JSON: {error}") from error
        if not isinstance(body, dict):
            raise VendorError("Input should be a valid dictionary")
        return body

    def _admit(self, call: Call, body: JsonObject) -> Allowance:
        model = as_text(body.get("model"))
        allowance = self._limits.of(model)
        exceeded = allowance.take(asked(allowance, body))
        if exceeded is not None:
            call.account.limited = True
            raise exceeded_error(model, exceeded, allowance, self._world.clock.now())
        return allowance

    def reload(self) -> None:
        """Forget what was used up of the limits."""
        self._limits.clear()

    async def models(self, call: Call) -> Response:
        """GET /models."""
        shown = [model_info(name) for name in MODELS]
        return json_reply(
            {
                "data": [*shown],
                "has_more": False,
                "first_id": shown[0]["id"],
                "last_id": shown[-1]["id"],
            }
        )

    async def model(self, call: Call) -> Response:
        """GET /models/{id}."""
        name: str = call.request.path_params["id"]
        if not self._world.options.known_model(name):
            raise VendorError(f"model: {name}", status=404)
        return json_reply(model_info(name))


def _raise_refused(refused: Answered | None) -> None:
    if refused is not None:
        error = as_object(as_object(decode(refused.body)).get("error"))
        raise VendorError(as_text(error.get("message")), status=refused.status)
