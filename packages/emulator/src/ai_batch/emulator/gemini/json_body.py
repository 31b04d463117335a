"""The JSON body of a call, in the spellings that Google takes; and pages of lists."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request

from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.gemini.fields import Message, UnknownField, canonical_object
from ai_batch.emulator.json_types import JsonObject, decode
from ai_batch.emulator.record_book import Record
from ai_batch.emulator.route import Call

_R = TypeVar("_R", bound=Record)


async def json_request(call: Call, message: Message, most: int | None = None) -> JsonObject:
    """Return the body of a call with all names in camelCase; an empty body is an empty object."""
    data = await call.request.body()
    if most is not None and len(data) > most:
        raise GoogleError(f"Request payload size exceeds the limit: {most} bytes.")
    return parsed(data, message)


def parsed(data: bytes, message: Message) -> JsonObject:
    """Return a JSON object as the vendor reads it, or raise its 400."""
    if not data:
        return {}
    try:
        value = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GoogleError(f"Invalid JSON payload received. {error}") from None
    if not isinstance(value, dict):
        raise GoogleError("Invalid JSON payload received. The body must be an object.")
    try:
        return canonical_object(value, message)
    except UnknownField as error:
        raise _unknown_name(error) from None


def _unknown_name(error: UnknownField) -> GoogleError:
    path = ".".join(error.path)
    where = f" at '{path}'" if path else ""
    text = f'Invalid JSON payload received. Unknown name "{error.name}"{where}: Cannot find field.'
    violation: JsonObject = {"field": path, "description": text}
    kind = "type.googleapis.com/google.rpc.BadRequest"
    return GoogleError(text, details=[{"@type": kind, "fieldViolations": [violation]}])


def api_base(request: Request, prefix: str) -> str:
    """Return the address of a vendor's API as the caller has it."""
    version = request.path_params["version"]
    return f"{request.url.scheme}://{request.url.netloc}{prefix}/{version}"


def page_of(
    found: Sequence[_R], query: Mapping[str, str], default: int, most: int
) -> tuple[list[_R], str]:
    """Return the page that is asked for of records, newest first, and the token of the next one.

    A token names a record, so that what is made meanwhile moves nothing from page to page.
    """
    text = query.get("pageSize", query.get("page_size", "0"))
    if not text.isdecimal():
        raise GoogleError(f"Invalid value at 'page_size' (TYPE_INT32), \"{text}\"")
    size = min(int(text) or default, most)
    token = query.get("pageToken", query.get("page_token", ""))
    left = [each for each in found if each.serial < _serial_of(token)] if token else [*found]
    return left[:size], _token_of(left[size - 1].serial) if len(left) > size else ""


def _token_of(serial: int) -> str:
    return base64.urlsafe_b64encode(f"before {serial}".encode()).decode()


def _serial_of(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("before "))
    except (binascii.Error, ValueError):
        raise GoogleError("The page token is invalid.") from None
