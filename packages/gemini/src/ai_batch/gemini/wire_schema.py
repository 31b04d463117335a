"""JSON schemas as Gemini's own ``Schema``, a selection of OpenAPI 3.0.

``responseSchema`` is the field that works in batches: with ``responseJsonSchema``, which takes
JSON schemas as they are, batches were seen to answer with degenerate JSON and no error
(crmne/ruby_llm#894). What a schema demands beyond the selection is loosened here, as the answer
is validated again when it is read; what cannot be said in it at all is refused.

Source: https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import cast

from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import OutputSchema
from ai_batch.core.wire_schemas import once_per_schema, resolved

__all__ = ["NotExpressible", "gemini_schema", "output_schema_of"]

_KEPT = (
    "title",
    "description",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)

_FORMATS = {
    "STRING": frozenset({"date-time"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
"""Others are refused: "only 'enum' and 'date-time' are supported for STRING type"."""

_IMPOSSIBLE = frozenset(
    {
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "not",
        "patternProperties",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)


class NotExpressible(ValueError):
    """A schema that Gemini's cannot say; the message tells where and why."""


@once_per_schema
def output_schema_of(schema: OutputSchema) -> JSONObject:
    """The ``responseSchema`` of an output type; must not be changed.

    Raises ``NotExpressible``, and ``TypeError`` for what has no JSON schema.
    """
    return gemini_schema(schema.json_schema)


def gemini_schema(schema: JSONObject) -> JSONObject:
    """``schema`` as Gemini has it, with all references replaced. Raises ``NotExpressible``."""
    try:
        return _Converter(schema).convert(schema, "")
    except (AttributeError, TypeError, RecursionError) as error:
        raise NotExpressible(f"this is no JSON schema that can be read: {error}") from None


class _Converter:
    def __init__(self, root: JSONObject) -> None:
        self._root = root
        self._open: list[object] = []

    def convert(self, schema: object, path: str) -> JSONObject:
        if not isinstance(schema, dict):
            raise NotExpressible(f"{path or '/'}: {schema!r} allows anything or nothing")
        given = _flattened(cast("JSONObject", schema), path)
        if "$ref" in given:
            return self._reference(given, path)
        impossible = sorted(_IMPOSSIBLE & given.keys())
        if impossible:
            raise NotExpressible(f"{path or '/'}: Gemini has no {', '.join(impossible)}")
        if "anyOf" in given:
            return self._any_of(given, path)
        kinds, nullable = _kinds(given, path)
        if len(kinds) > 1:
            branches = [{**given, "type": kind} for kind in kinds]
            result = self._any_of({"anyOf": branches}, path)
        else:
            result = self._one_type(given, kinds[0] if kinds else "null", path)
        if nullable and kinds:
            result["nullable"] = True
        return result

    def _reference(self, schema: JSONObject, path: str) -> JSONObject:
        ref = schema["$ref"]
        if ref in self._open:
            raise NotExpressible(f"{path or '/'}: {ref} holds itself, which Gemini can't say")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        self._open.append(ref)
        try:
            return self.convert({**resolved(self._root, ref, path, NotExpressible), **beside}, path)
        finally:
            self._open.pop()

    def _any_of(self, schema: JSONObject, path: str) -> JSONObject:
        given = cast("list[object]", schema["anyOf"])
        branches = [branch for branch in given if not _is_null(branch)]
        kept = ("title", "description")
        result: JSONObject = {key: schema[key] for key in kept if key in schema}
        if len(branches) == 1:
            # What stands beside the branches describes the property, which is nearer.
            result = {**self.convert(branches[0], f"{path}/anyOf/0"), **result}
        else:
            result["anyOf"] = [
                self.convert(branch, f"{path}/anyOf/{place}")
                for place, branch in enumerate(branches)
            ]
        if len(branches) < len(given):
            result["nullable"] = True
        return result

    def _one_type(self, schema: JSONObject, kind: str, path: str) -> JSONObject:
        result: JSONObject = {"type": kind.upper()}
        result |= {key: schema[key] for key in _KEPT if key in schema}
        if schema.get("format") in _FORMATS.get(kind.upper(), ()):
            result["format"] = schema["format"]
        if kind == "string" and "enum" in schema:
            result |= {"format": "enum", "enum": [v for v in schema["enum"] if v is not None]}
        if kind == "object":
            result |= self._object(schema, path)
        elif kind == "array":
            result |= self._array(schema, path)
        return result

    def _object(self, schema: JSONObject, path: str) -> JSONObject:
        if not schema.get("properties"):
            raise NotExpressible(f"{path or '/'}: an object must name its properties")
        if schema.get("additionalProperties", False) not in (False, True):
            raise NotExpressible(f"{path or '/'}: an object with any keys can't be said")
        properties = cast("JSONObject", schema["properties"])
        result: JSONObject = {
            "properties": {
                name: self.convert(one, f"{path}/properties/{name}")
                for name, one in properties.items()
            },
            "propertyOrdering": list(properties),
        }
        if schema.get("required"):
            result["required"] = schema["required"]
        return result

    def _array(self, schema: JSONObject, path: str) -> JSONObject:
        if "prefixItems" in schema:
            return self._tuple(cast("list[object]", schema["prefixItems"]), path)
        if "items" not in schema:
            raise NotExpressible(f"{path or '/'}: an array must say what its items are")
        return {"items": self.convert(schema["items"], f"{path}/items")}

    def _tuple(self, places: list[object], path: str) -> JSONObject:
        """Which item stands where can't be said: each may be any of them, in the same number."""
        kinds: list[JSONObject] = []
        for place, one in enumerate(places):
            kind = self.convert(one, f"{path}/prefixItems/{place}")
            if kind not in kinds:
                kinds.append(kind)
        items = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        return {"items": items, "minItems": len(places), "maxItems": len(places)}


def _flattened(schema: JSONObject, path: str) -> JSONObject:
    """Without ``const``, ``allOf`` of one and ``oneOf``, for all of which there are others."""
    result = dict(schema)
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if "oneOf" in result:
        result["anyOf"] = [*result.get("anyOf", ()), *result.pop("oneOf")]
    if "allOf" in result:
        parts = result.pop("allOf")
        if len(parts) != 1:
            raise NotExpressible(f"{path or '/'}: allOf of {len(parts)} can't be said")
        result = {**_flattened(parts[0], f"{path}/allOf/0"), **result}
    return result


_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _kinds(schema: JSONObject, path: str) -> tuple[list[str], bool]:
    """The types that a value may have, and whether it may be null."""
    given = schema.get("type")
    if given is None and "enum" in schema:
        values = cast("list[object]", schema["enum"])
        given = list(dict.fromkeys(_TYPES.get(type(value), "") for value in values))
    elif given is None and "properties" in schema:
        given = "object"
    kinds = [given] if isinstance(given, str) else cast("list[str]", given or [])
    known = {*_TYPES.values(), "object", "array"}
    if not kinds or not known.issuperset(kinds):
        raise NotExpressible(f"{path or '/'}: no type is given, or none that Gemini knows")
    nullable = "null" in kinds or None in schema.get("enum", ())
    return [kind for kind in kinds if kind != "null"], nullable


def _is_null(schema: object) -> bool:
    return isinstance(schema, dict) and cast("JSONObject", schema).get("type") == "null"
