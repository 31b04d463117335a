"""What the calls of Cloud Storage have in common: conditions, fields and JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ai_batch.emulator.gcs.errors import StorageError
from ai_batch.emulator.json_types import JsonObject, encode

_CONDITIONS = (
    "ifGenerationMatch",
    "ifGenerationNotMatch",
    "ifMetagenerationMatch",
    "ifMetagenerationNotMatch",
)


def conditions_of(query: Mapping[str, str], prefix: str = "if") -> dict[str, int]:
    """Return the preconditions of a call; those of a copy's source begin with `ifSource`."""
    found: dict[str, int] = {}
    for name in _CONDITIONS:
        text = query.get(prefix + name.removeprefix("if"))
        if text is not None:
            found[name] = whole(text, name)
    return found


def whole(text: str, name: str) -> int:
    """Return a whole number of a query."""
    if not text.isdecimal():
        message = f"Invalid unsigned value: '{text}' for {name}."
        raise StorageError(message, reason="invalidParameter")
    return int(text)


def resource_of(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; an empty body is an empty one."""
    if not data.strip():
        return {}
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError("Parse Error", reason="parseError") from error
    if not isinstance(value, dict):
        raise StorageError("Parse Error", reason="parseError")
    return cast("dict[str, Any]", value)


def base_of(request: Request) -> str:
    """Return the server's address as the caller has it."""
    return f"{request.url.scheme}://{request.url.netloc}"


def json_reply(body: JsonObject, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(encode(body), status, media_type="application/json; charset=UTF-8")
