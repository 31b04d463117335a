"""Answers in JSON."""

from __future__ import annotations

from starlette.responses import Response

from ai_batch.emulator.json_types import JsonObject, encode


def json_reply(body: JsonObject, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(encode(body), status, media_type="application/json")
