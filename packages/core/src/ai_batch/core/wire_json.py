"""Reading a vendor's JSON without trusting it, and merging a caller's own into ours."""

from __future__ import annotations

import json
import math
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
from pydantic import TypeAdapter

from ai_batch.core.messages import JSONObject

__all__ = ["as_object", "decoded", "merged", "tolerant", "unwritable", "value_of"]

T = TypeVar("T")

MAX_DIGITS = 4000
"""Of a whole number; Python refuses to read more than 4300."""

_ANYTHING = msgspec.json.Decoder[Any]()


def decoded(decoder: msgspec.json.Decoder[T], data: bytes | str | msgspec.Raw) -> T:
    """What ``decoder`` reads; raises nothing but ``ValueError``, however mad the data is."""
    try:
        return decoder.decode(cast("bytes", data))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def value_of(data: bytes | str | msgspec.Raw) -> Any:
    """``data`` as plain Python values. Raises ``ValueError``."""
    return decoded(_ANYTHING, data)


def as_object(text: str) -> JSONObject | None:
    """The JSON object that ``text`` is, or None."""
    try:
        value = value_of(text)
    except ValueError:
        return None
    return cast("JSONObject", value) if isinstance(value, dict) else None


def tolerant(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Like ``decoded``, but a field of another type than expected counts as absent.

    One odd field must not cost an answer that was paid for. The decoder's type is a Struct
    whose fields all have defaults. Raises ``ValueError`` for what is no such object at all.
    """
    try:
        return decoded(decoder, data)
    except msgspec.ValidationError:
        return cast("T", _coerced(_loose_value(data), decoder.type))


def _loose_value(data: bytes) -> Any:
    """``data`` as plain Python values; a number that Python can't hold counts as null."""
    try:
        return value_of(data)
    except msgspec.ValidationError:  # JSON, but for a number like 1e999.
        return _loosely_read(data)


def _loosely_read(data: bytes) -> Any:
    try:
        return json.loads(
            data, parse_float=_finite, parse_int=_short, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _short(text: str) -> int | None:
    return int(text) if len(text) <= MAX_DIGITS else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _coerced(value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for option in options:
        try:
            return _salvaged(value, option)
        except ValueError:
            continue
    raise ValueError(f"{type(value).__name__} found where {kind} was expected")


def _salvaged(value: object, kind: Any) -> Any:
    if isinstance(value, dict) and _is_struct(kind):
        return _salvaged_struct(cast("JSONObject", value), kind)
    if isinstance(value, list) and get_origin(kind) is list:
        return _salvaged_list(cast("list[object]", value), get_args(kind)[0])
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return msgspec.convert(value, kind, strict=False)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _salvaged_struct(value: JSONObject, kind: type[msgspec.Struct]) -> msgspec.Struct:
    fields: JSONObject = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name in value:
            try:
                fields[field.name] = _coerced(value[field.encode_name], field.type)
            except ValueError:
                continue
    return kind(**fields)


def _salvaged_list(values: list[object], kind: Any) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        try:
            kept.append(_coerced(value, kind))
        except ValueError:
            continue
    return kept


def merged(base: JSONObject, extra: JSONObject) -> JSONObject:
    """``base`` with ``extra`` over it; objects on both sides are merged, all else is replaced.

    Neither argument is changed.
    """
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merged(cast("JSONObject", old), cast("JSONObject", value))  # noqa: PLW2901
        result[key] = value
    return result


# Requests are written to disk by pydantic, which gives up at some depth; a value stands a few
# levels deeper in its request than by itself.
_WRITER = TypeAdapter[object](object)


def unwritable(value: JSONObject) -> str | None:
    """Why JSON can't hold a value: encoding it would fail, or (NaN) change it silently."""
    try:
        json.dumps(value, allow_nan=False)
        msgspec.json.encode(value)
        _WRITER.dump_json([[[[[[[[value]]]]]]]])
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        return f"this can't be written as JSON: {error}"
    return None
