"""JSON schemas as OpenAI's strict mode wants them.

Strict mode guarantees that an answer fits its schema, and takes only some schemas: every
property required, no further ones, no defaults, only a few formats. What a caller's schema
demands beyond that is loosened here (the answer is validated again when it is read); one that
strict mode cannot express at all is sent as it is, with ``strict: false``.
"""

from __future__ import annotations

import re
from typing import cast

from ai_batch.core.messages import JSONObject, Tool
from ai_batch.core.requests import OutputSchema
from ai_batch.core.wire_schemas import once_per_schema, resolved

__all__ = ["NotStrict", "output_format", "rooted", "strict_parameters", "strict_schema"]

FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
"""The values of ``format`` that strict mode takes; others are refused (git-mcp-server#47)."""

_DROPPED = frozenset({"default", "discriminator", "uniqueItems"})

_IMPOSSIBLE = frozenset(
    {
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "not",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)

_NAME = re.compile(r"[^A-Za-z0-9_-]")
_LOOKAROUND = re.compile(r"\(\?<?[=!]")


class NotStrict(ValueError):
    """A schema that strict mode cannot express; the message says where and why."""


@once_per_schema
def output_format(schema: OutputSchema) -> JSONObject:
    """Name, schema and strictness, as both chat endpoints want them; must not be changed.

    Raises ``TypeError`` for what has no JSON schema.
    """
    name = _NAME.sub("_", schema.name)[:64] or "output"
    try:
        return {"name": name, "schema": strict_schema(schema.json_schema), "strict": True}
    except NotStrict:
        return {"name": name, "schema": rooted(schema.json_schema), "strict": False}


def strict_parameters(tool: Tool) -> JSONObject:
    """The parameters of a tool for strict mode. Raises ``NotStrict``."""
    return strict_schema(tool.parameters)


def strict_schema(schema: JSONObject) -> JSONObject:
    """A copy of ``schema`` that strict mode takes. Raises ``NotStrict``."""
    try:
        result = _Strict(schema).convert(rooted(schema), "")
    except (AttributeError, TypeError, RecursionError) as error:
        raise NotStrict(f"this is no JSON schema that can be read: {error}") from None
    if result.get("type") != "object":
        raise NotStrict("the outermost schema must be an object")
    return result


def rooted(schema: JSONObject) -> JSONObject:
    """``schema`` without a reference as its root, which is how pydantic writes recursive models.

    OpenAI wants the outermost schema to be an object, strict or not.
    """
    if "$ref" not in schema:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**resolved(schema, schema["$ref"], "", NotStrict), **beside}


class _Strict:
    def __init__(self, root: JSONObject) -> None:
        self.root = root
        self.open_refs: list[str] = []

    def convert(self, schema: object, path: str) -> JSONObject:
        if not isinstance(schema, dict):
            raise NotStrict(f"{path or '/'}: {schema!r} allows anything or nothing")
        given = self._flattened(cast("JSONObject", schema), path)
        impossible = sorted(_IMPOSSIBLE & given.keys())
        if impossible:
            raise NotStrict(f"{path or '/'}: {', '.join(impossible)} can't be strict")
        if "$ref" in given:
            return self._reference(given, path)
        result = {key: value for key, value in given.items() if key not in _DROPPED}
        self._trim_strings(result)
        for key in ("$defs", "definitions"):
            if key in result:
                result[key] = self._each(result[key], f"{path}/{key}")
        if "anyOf" in result:
            branches = cast("list[object]", result["anyOf"])
            result["anyOf"] = [
                self.convert(branch, f"{path}/anyOf/{place}")
                for place, branch in enumerate(branches)
            ]
        elif "type" not in result:
            raise NotStrict(f"{path or '/'}: no type is given")
        self._convert_type(result, path)
        return result

    def _flattened(self, schema: JSONObject, path: str) -> JSONObject:
        """``allOf`` of one is inlined; ``oneOf`` becomes the ``anyOf`` that strict mode knows."""
        result = dict(schema)
        if "oneOf" in result:
            # Refused as it is (livekit/agents#5302); pydantic's unions never overlap.
            result["anyOf"] = [*result.get("anyOf", ()), *result.pop("oneOf")]
        if "allOf" in result:
            parts = result.pop("allOf")
            if len(parts) != 1:
                raise NotStrict(f"{path or '/'}: allOf of {len(parts)} can't be strict")
            result = {**self._flattened(parts[0], f"{path}/allOf/0"), **result}
        return result

    def _reference(self, schema: JSONObject, path: str) -> JSONObject:
        ref = schema["$ref"]
        beside = {key: value for key, value in schema.items() if key not in {"$ref", *_DROPPED}}
        if not beside or ref in self.open_refs:
            # What stands beside a reference to a schema that holds it can't be inlined for ever.
            resolved(self.root, ref, path, NotStrict)
            return {"$ref": ref}
        self.open_refs.append(ref)
        try:
            return self.convert({**resolved(self.root, ref, path, NotStrict), **beside}, path)
        finally:
            self.open_refs.pop()

    def _each(self, schemas: JSONObject, path: str) -> JSONObject:
        return {name: self.convert(one, f"{path}/{name}") for name, one in schemas.items()}

    def _trim_strings(self, schema: JSONObject) -> None:
        if "format" in schema and schema["format"] not in FORMATS:
            del schema["format"]
        # Lookaround, as in pydantic's Decimal, ends in HTTP 500 (pydantic-ai#5508).
        if _LOOKAROUND.search(str(schema.get("pattern", ""))):
            del schema["pattern"]

    def _convert_type(self, schema: JSONObject, path: str) -> None:
        kinds = schema.get("type")
        if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
            if schema.get("additionalProperties", False) is not False:
                raise NotStrict(f"{path or '/'}: an object with any keys can't be strict")
            if "properties" not in schema:
                raise NotStrict(f"{path or '/'}: an object must name its properties")
            schema["properties"] = self._each(schema["properties"], f"{path}/properties")
            schema["required"] = list(schema["properties"])
            schema["additionalProperties"] = False
        if kinds == "array" or (isinstance(kinds, list) and "array" in kinds):
            if "items" not in schema:
                raise NotStrict(f"{path or '/'}: an array must say what its items are")
            schema["items"] = self.convert(schema["items"], f"{path}/items")
