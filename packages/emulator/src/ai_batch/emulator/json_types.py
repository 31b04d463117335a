"""JSON values with a type, and the two functions that read and write them."""

from __future__ import annotations

from typing import TypeAlias, cast

import msgspec

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")


def decode(data: bytes | msgspec.Raw | str) -> JsonValue:
    """Read one JSON value; raises `msgspec.DecodeError` on anything else."""
    return cast("JsonValue", _decoder.decode(data))


def encode(value: object) -> bytes:
    """Write one JSON value compactly."""
    return _encoder.encode(value)


def encode_canonical(value: object) -> bytes:
    """Write one JSON value so that equal values give equal bytes (keys sorted)."""
    return _canonical.encode(value)


def as_object(value: JsonValue) -> JsonObject:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """Return the value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: JsonValue) -> str:
    """Return the value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_count(value: JsonValue) -> int | None:
    """Return the value if it is a whole number (and not a boolean)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
