"""Checks of the parameters that several calls share."""

from __future__ import annotations

from collections.abc import Mapping

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_count
from ai_batch.emulator.openai.errors import VendorError, invalid_type, invalid_value, missing

_MAX_PAIRS = 16
_MAX_KEY = 64
_MAX_VALUE = 512
_MIN_EXPIRY = 3600
_MAX_EXPIRY = 2_592_000


def required_text(body: JsonObject, name: str) -> str:
    """Return a string that must be there."""
    value = body.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise invalid_type(name, "a string", value)
    return value


def metadata_of(value: JsonValue) -> dict[str, str] | None:
    """Return checked metadata."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_type("metadata", "an object", value)
    if len(value) > _MAX_PAIRS:
        raise _too_long("metadata", "object", f"maximum {_MAX_PAIRS} properties", len(value))
    return {key: _metadata_value(key, text) for key, text in value.items()}


def _metadata_value(key: str, value: JsonValue) -> str:
    if not isinstance(value, str):
        raise invalid_type(f"metadata.{key}", "a string", value)
    if len(key) > _MAX_KEY:
        raise _too_long("metadata", "key", f"maximum length {_MAX_KEY}", len(key))
    if len(value) > _MAX_VALUE:
        raise _too_long(f"metadata.{key}", "string", f"maximum length {_MAX_VALUE}", len(value))
    return value


def _too_long(param: str, what: str, expected: str, found: int) -> VendorError:
    message = f"Invalid '{param}': {what} too long. Expected {expected}, but got {found} instead."
    return VendorError(message, param=param, code=f"{what}_above_max_length")


def expiry_of(name: str, value: JsonValue) -> int | None:
    """Return the seconds of an `expires_after` object."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_type(name, "an object", value)
    anchor = value.get("anchor")
    if anchor is None:
        raise missing(f"{name}.anchor")
    if anchor != "created_at":
        raise invalid_value(f"{name}.anchor", anchor, "'created_at'")
    seconds = as_count(value.get("seconds"))
    if seconds is None:
        raise missing(f"{name}.seconds")
    if not _MIN_EXPIRY <= seconds <= _MAX_EXPIRY:
        message = (
            f"Invalid '{name}.seconds': expected a value between {_MIN_EXPIRY} and {_MAX_EXPIRY}, "
            f"but got {seconds} instead."
        )
        raise VendorError(message, param=f"{name}.seconds", code="integer_out_of_range")
    return seconds


def form_expiry(fields: Mapping[str, str]) -> int | None:
    """Return the seconds of an `expires_after` in the bracket names of a form."""
    anchor = fields.get("expires_after[anchor]")
    seconds = fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    whole = int(seconds) if seconds is not None and seconds.isdecimal() else None
    return expiry_of("expires_after", {"anchor": anchor, "seconds": whole})


def limit_of(query: Mapping[str, str], default: int, most: int) -> int:
    """Return the page size that was asked for."""
    text = query.get("limit")
    if text is None:
        return default
    if not text.lstrip("-").isdecimal():
        raise invalid_type("limit", "an integer", text)
    limit = int(text)
    if not 1 <= limit <= most:
        bound = f"integer {'below minimum' if limit < 1 else 'above maximum'} value"
        message = (
            f"Invalid 'limit': {bound}. Expected a value between 1 and {most}, "
            f"but got {limit} instead."
        )
        code = f"integer_{'below_min' if limit < 1 else 'above_max'}_value"
        raise VendorError(message, param="limit", code=code)
    return limit
