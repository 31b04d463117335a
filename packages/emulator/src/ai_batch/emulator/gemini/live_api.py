"""The ordinary, synchronous endpoints, and the list of models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from ai_batch.emulator.answers import Answered, Answerer
from ai_batch.emulator.gemini.dialect import (
    EMBED_CONTENT,
    GENERATE_CONTENT,
    endpoint_of,
)
from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.gemini.fields import COUNT, EMBED, EMBED_MANY, GENERATE
from ai_batch.emulator.gemini.json_body import json_request
from ai_batch.emulator.gemini.live_limits import REQUESTS, TOKENS, asked_tokens, exceeded_error
from ai_batch.emulator.gemini.prompts import last_user_texts, prompt_tokens, texts_of
from ai_batch.emulator.gemini.wire import known_by
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_list,
    as_object,
    decode,
)
from ai_batch.emulator.live_answers import LiveAnswers
from ai_batch.emulator.options import GeminiLimits, VertexLimits
from ai_batch.emulator.rate_limits import RateLimits
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.world import World

MODELS = (
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3.8-flash",
    "gemini-embedding-001",
    "gemini-embedding-2",
)
LIVE = frozenset({"generateContent", "embedContent", "batchEmbedContents", "predict"})
"""The names of the routes that are live calls, for both of Google's APIs."""


class GeminiLiveApi:
    """Answers one request per call, or several to be embedded."""

    def __init__(
        self,
        world: World,
        answerer: Answerer,
        limits: GeminiLimits | VertexLimits,
        key_of: Callable[[Request], str],
    ) -> None:
        self._world = world
        self._answers = LiveAnswers(answerer, world.tally)
        self._key_of = key_of
        per_minute = {REQUESTS: limits.requests_per_minute, TOKENS: limits.tokens_per_minute}
        self._limits = RateLimits(world.clock, per_minute)

    async def generate(self, call: Call) -> Response:
        """POST /{version}/models/{model}:generateContent."""
        body = await json_request(call, GENERATE)
        (answered,) = await self.answer_all(call, GENERATE_CONTENT, [body])
        return _reply(answered)

    async def embed(self, call: Call) -> Response:
        """POST /{version}/models/{model}:embedContent."""
        body = await json_request(call, EMBED)
        (answered,) = await self.answer_all(call, EMBED_CONTENT, [body])
        if not answered.ok:
            return _reply(answered)
        return json_reply({"embedding": as_object(decode(answered.body)).get("embedding")})

    async def embed_many(self, call: Call) -> Response:
        """POST /{version}/models/{model}:batchEmbedContents, all of it or none."""
        body = await json_request(call, EMBED_MANY)
        items = [as_object(item) for item in as_list(body.get("requests"))]
        answers = await self.answer_all(call, EMBED_CONTENT, items)
        if answers and not answers[-1].ok:
            return _reply(answers[-1])
        embeddings = [as_object(decode(answered.body)).get("embedding") for answered in answers]
        return json_reply({"embeddings": embeddings})

    async def answer_all(
        self, call: Call, method: str, bodies: Sequence[JsonObject]
    ) -> list[Answered]:
        """Answer requests, each counted, up to the first that fails."""
        model: str = call.request.path_params["model"]
        if not self._world.options.known_model(model):
            raise unknown_model(model)
        self._admit(call, model, method, bodies)
        endpoint = endpoint_of(model, method)
        key = self._key_of(call.request)
        answers: list[Answered] = []
        for body in bodies:
            item = known_by(body)
            prompts = ["\n".join(_said(method, item))]
            answers.append(await self._answers.answer(call, endpoint, item, prompts, key))
            if not answers[-1].ok:
                break
            # A hundred vectors take a while, and other calls are not to wait for all of them.
            await asyncio.sleep(0)
        return answers

    def _admit(self, call: Call, model: str, method: str, bodies: Sequence[JsonObject]) -> None:
        allowance = self._limits.of(model)
        amounts = {REQUESTS: len(bodies)}
        if allowance.counts(TOKENS):
            amounts[TOKENS] = sum(asked_tokens(method, body) for body in bodies)
        exceeded = allowance.take(amounts)
        if exceeded is not None:
            call.account.limited = True
            raise exceeded_error(model, method, exceeded)

    def reload(self) -> None:
        """Forget what was used up of the limits."""
        self._limits.clear()

    async def count_tokens(self, call: Call) -> Response:
        """POST /{version}/models/{model}:countTokens."""
        body = await json_request(call, COUNT)
        tokens = prompt_tokens(as_object(body.get("generateContentRequest")) or body)
        details: list[JsonValue] = [{"modality": "TEXT", "tokenCount": tokens}]
        return json_reply({"totalTokens": tokens, "promptTokensDetails": details})

    async def models(self, call: Call) -> Response:
        """GET /{version}/models."""
        return json_reply({"models": [_model(name) for name in MODELS]})

    async def model(self, call: Call) -> Response:
        """GET /{version}/models/{model}."""
        name: str = call.request.path_params["model"]
        if not self._world.options.known_model(name):
            raise unknown_model(name)
        return json_reply(_model(name))


def unknown_model(name: str) -> GoogleError:
    """Return the vendor's 404 for a model."""
    message = (
        f"models/{name} is not found for API version v1beta, or is not supported for this method. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    return GoogleError(message, status=404)


def _said(method: str, body: JsonObject) -> list[str]:
    return texts_of(body.get("content")) if method == EMBED_CONTENT else last_user_texts(body)


def _reply(answered: Answered) -> Response:
    media_type = "application/json; charset=UTF-8"
    return Response(answered.body, answered.status, media_type=media_type)


def _model(name: str) -> JsonObject:
    embeds = "embedding" in name
    batch = "asyncBatchEmbedContent" if embeds else "batchGenerateContent"
    method = EMBED_CONTENT if embeds else GENERATE_CONTENT
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "inputTokenLimit": 2048 if embeds else 1_048_576,
        "outputTokenLimit": 1 if embeds else 65_536,
        "supportedGenerationMethods": [method, "countTokens", batch],
    }
