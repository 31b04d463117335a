"""How Vertex AI words its answers: as the Developer API, and a little more."""

from __future__ import annotations

from ai_batch.emulator.answers import Answerer, RefusingAnswerer, UpstreamAnswerer, answerer_for
from ai_batch.emulator.gemini.dialect import EMBED_CONTENT, GeminiDialect, refusal
from ai_batch.emulator.json_types import JsonObject, as_object
from ai_batch.emulator.options import Options
from ai_batch.emulator.vertex.records import time_text

_EPOCH = 1_790_000_000


def answerer_of(options: Options) -> Answerer:
    """Return the one that the options ask for."""
    answerer = answerer_for(options.answer, VertexDialect(options.embedding_dimensions))
    # Another server has rules of its own.
    if isinstance(answerer, UpstreamAnswerer):
        return answerer
    return RefusingAnswerer(answerer, refusal)


class VertexDialect(GeminiDialect):
    """The bodies of `generateContent` and `embedContent` on Vertex AI."""

    def echo(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the answer that depends on nothing but the request."""
        found = super().echo(endpoint, body)
        if endpoint.endswith(EMBED_CONTENT):
            return found
        usage = {**as_object(found.get("usageMetadata")), "trafficType": "ON_DEMAND"}
        return {**found, "usageMetadata": usage, "createTime": time_text(_EPOCH)}
