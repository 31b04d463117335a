"""The live endpoint of embeddings on Vertex AI: `predict`."""

from __future__ import annotations

from starlette.responses import Response

from ai_batch.emulator.gemini.dialect import EMBED_CONTENT
from ai_batch.emulator.gemini.fields import message_of
from ai_batch.emulator.gemini.json_body import json_request
from ai_batch.emulator.gemini.live_api import GeminiLiveApi
from ai_batch.emulator.json_types import JsonValue, as_list, as_object, decode
from ai_batch.emulator.replies import json_reply
from ai_batch.emulator.route import Call
from ai_batch.emulator.vertex.wire import prediction_of, request_of

_PREDICT = message_of("instances parameters labels")


class PredictApi:
    """Answers several instances per call."""

    def __init__(self, live: GeminiLiveApi) -> None:
        self._live = live

    async def predict(self, call: Call) -> Response:
        """POST .../publishers/google/models/{model}:predict, all of it or none."""
        body = await json_request(call, _PREDICT)
        parameters = as_object(body.get("parameters"))
        predictions: list[JsonValue] = []
        for instance in as_list(body.get("instances")):
            request = request_of(as_object(instance), parameters)
            answered = await self._live.answer(call, EMBED_CONTENT, request)
            if not answered.ok:
                return Response(answered.body, answered.status, media_type="application/json")
            predictions.append(prediction_of(decode(answered.body)))
        return json_reply({"predictions": predictions})
