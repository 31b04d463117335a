"""The ordinary, synchronous endpoints, and the list of models."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ai_batch.emulator.answers import Answered, Answerer
from ai_batch.emulator.gemini.dialect import (
    EMBED_CONTENT,
    GENERATE_CONTENT,
    endpoint_of,
)
from ai_batch.emulator.gemini.errors import GoogleError, exhausted
from ai_batch.emulator.gemini.fields import COUNT, EMBED, EMBED_MANY, GENERATE
from ai_batch.emulator.gemini.json_body import json_request
from ai_batch.emulator.gemini.prompts import prompt_tokens
from ai_batch.emulator.gemini.wire import known_by
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_list,
    as_object,
    decode,
)
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.turnstile import Turnstile
from ai_batch.emulator.world import World

MODELS = (
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3.8-flash",
    "gemini-embedding-001",
    "gemini-embedding-2",
)


class GeminiLiveApi:
    """Answers one request per call, or several to be embedded."""

    def __init__(
        self,
        world: World,
        answerer: Answerer,
        requests_per_minute: int | None,
        key_of: Callable[[Request], str],
    ) -> None:
        self._world = world
        self._answerer = answerer
        self._key_of = key_of
        self._turnstile = Turnstile(world.clock, requests_per_minute)

    async def generate(self, call: Call) -> Response:
        """POST /{version}/models/{model}:generateContent."""
        body = await json_request(call, GENERATE)
        return _reply(await self.answer(call, GENERATE_CONTENT, body))

    async def embed(self, call: Call) -> Response:
        """POST /{version}/models/{model}:embedContent."""
        body = await json_request(call, EMBED)
        answered = await self.answer(call, EMBED_CONTENT, body)
        if not answered.ok:
            return _reply(answered)
        return json_reply({"embedding": as_object(decode(answered.body)).get("embedding")})

    async def embed_many(self, call: Call) -> Response:
        """POST /{version}/models/{model}:batchEmbedContents, all of it or none."""
        body = await json_request(call, EMBED_MANY)
        embeddings: list[JsonValue] = []
        for item in as_list(body.get("requests")):
            answered = await self.answer(call, EMBED_CONTENT, as_object(item))
            if not answered.ok:
                return _reply(answered)
            embeddings.append(as_object(decode(answered.body)).get("embedding"))
        return json_reply({"embeddings": embeddings})

    async def answer(self, call: Call, method: str, body: JsonObject) -> Answered:
        """Answer one request, and count it."""
        model: str = call.request.path_params["model"]
        if not self._world.options.known_model(model):
            raise unknown_model(model)
        if not self._turnstile.take().passed:
            raise exhausted()
        endpoint = endpoint_of(model, method)
        item = known_by(body)
        key = self._key_of(call.request)
        answered = await run_in_threadpool(self._answerer.answer, endpoint, item, key)
        self._world.count_live(endpoint, item, ok=answered.ok)
        return answered

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
