"""JSON schemas as structured output and strict tools take them.

The vendor takes a part of JSON schema, in which objects name all their keys. Its SDK has the
official way to bring a schema there: what cannot be expressed, such as a number's bounds, goes
into the description, and is checked when the answer is read.
https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import msgspec

from ai_batch.anthropic.client import load_sdk
from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import output_schema

__all__ = ["Inexpressible", "output_format", "transformed"]

_CHILDREN = ("properties", "$defs")
_LISTS = ("anyOf", "oneOf", "allOf")


class Inexpressible(ValueError):
    """A schema that Anthropic can't be given; says which part of it."""


def output_format(output_type: object) -> JSONObject:
    """``output_config.format`` for an output type. Raises ``Inexpressible``."""
    schema = transformed(output_schema(output_type).json_schema)
    return {"type": "json_schema", "schema": schema}


def transformed(schema: JSONObject) -> JSONObject:
    """The schema as the vendor takes it. Raises ``Inexpressible``."""
    return _transformed(msgspec.json.encode(schema))


@lru_cache(maxsize=256)
def _transformed(text: bytes) -> JSONObject:
    given = msgspec.json.decode(text)
    _check_circles(given)
    schema = _prepared(given, "the schema")
    try:
        return cast("JSONObject", load_sdk().transform_schema(schema))
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        raise Inexpressible(str(error) or "it is no valid JSON schema") from None


def _check_circles(schema: JSONObject) -> None:
    """Raises ``Inexpressible`` for definitions that hold themselves.

    The vendor refuses them ("Circular reference detected in schema definitions",
    egonSchiele/agency-lang#487).
    """
    found = schema.get("$defs")
    definitions = cast("JSONObject", found) if isinstance(found, dict) else {}
    uses = {f"#/$defs/{name}": set(_references(one)) for name, one in definitions.items()}
    uses["#"] = set(_references({**schema, "$defs": None}))
    for name, used in uses.items():
        reached: set[str] = set()
        front = used
        while front:
            reached |= front
            front = {new for one in front for new in uses.get(one, ())} - reached
        if name in reached:
            shown = name.removeprefix("#/$defs/")
            raise Inexpressible(f"{shown} holds itself, which Anthropic's schemas can't")


def _references(schema: object) -> Iterator[str]:
    """Every ``$ref`` in it. A property may have that name too, and then a schema for it."""
    if isinstance(schema, list):
        for one in cast("list[object]", schema):
            yield from _references(one)
    elif isinstance(schema, dict):
        given = cast("JSONObject", schema)
        if isinstance(ref := given.get("$ref"), str):
            yield ref
        for one in given.values():
            yield from _references(one)


def _prepared(schema: Any, place: str) -> Any:
    """The schema with lists of types as ``anyOf``, which is all that the SDK knows."""
    if not isinstance(schema, dict):
        return schema
    given = cast("JSONObject", schema)
    kind = given.get("type")
    if isinstance(kind, list):
        rest = {key: value for key, value in given.items() if key not in ("type", "$defs")}
        variants = [{**rest, "type": name} for name in cast("list[object]", kind)]
        given = {key: value for key, value in given.items() if key == "$defs"}
        return _prepared({**given, "anyOf": variants}, place)
    if kind == "object" and "properties" not in given:
        # The SDK would leave an object that is always empty.
        raise Inexpressible(f"{place} is an object with any keys; Anthropic wants each key named")
    if "definitions" in given:
        raise Inexpressible(f"{place} has definitions; Anthropic knows only $defs")
    return {key: _prepared_value(key, value, place) for key, value in given.items()}


def _prepared_value(key: str, value: Any, place: str) -> Any:
    if key in _CHILDREN and isinstance(value, dict):
        named = cast("JSONObject", value)
        return {name: _prepared(child, f"{place}.{name}") for name, child in named.items()}
    if key in _LISTS and isinstance(value, list):
        children = cast("list[object]", value)
        return [_prepared(child, place) for child in children]
    return _prepared(value, f"{place}[]") if key == "items" else value
