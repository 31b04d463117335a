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
        instances = as_list(body.get("instances"))
        requests = [request_of(as_object(instance), parameters) for instance in instances]
        answers = await self._live.answer_all(call, EMBED_CONTENT, requests)
        if answers and not (last := answers[-1]).ok:
            return Response(last.body, last.status, media_type="application/json")
        predictions: list[JsonValue] = [
            prediction_of(decode(answered.body)) for answered in answers
        ]
        return json_reply({"predictions": predictions})
