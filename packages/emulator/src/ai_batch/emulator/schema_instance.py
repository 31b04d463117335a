"""The smallest value that a JSON schema allows."""

from __future__ import annotations

from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
)

_MAX_DEPTH = 32
_FORMATS = {
    "date-time": "2025-01-01T00:00:00Z",
    "date": "2025-01-01",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def minimal_instance(schema: JsonValue) -> JsonValue:
    """Return a small valid value: required properties only, first choices, least numbers."""
    return _Builder(as_object(schema)).build(schema, 0)


class _Builder:
    def __init__(self, root: JsonObject) -> None:
        self._root = root

    def build(self, schema: JsonValue, depth: int) -> JsonValue:
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return None
        given = [schema[name] for name in ("const", "default") if name in schema]
        if choices := [*given, *as_list(schema.get("enum"))]:
            return choices[0]
        inner = self._inner(schema)
        return self._typed(schema, depth) if inner is None else self.build(inner, depth + 1)

    def _inner(self, schema: JsonObject) -> JsonObject | None:
        """Return the schema that this one stands for, if it does."""
        if reference := as_text(schema.get("$ref")):
            return as_object(self._resolve(reference))
        for name in ("anyOf", "oneOf"):
            if options := as_list(schema.get(name)):
                return as_object(self._simplest(options))
        parts = as_list(schema.get("allOf"))
        return self._merged(schema, parts) if parts else None

    def _resolve(self, reference: str) -> JsonValue:
        found: JsonValue = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                found = as_object(found).get(step.replace("~1", "/").replace("~0", "~"))
        return found

    @staticmethod
    def _simplest(options: list[JsonValue]) -> JsonValue:
        # A null among the options ends recursive schemas.
        null = next((option for option in options if as_object(option).get("type") == "null"), None)
        recursive = any("$ref" in as_object(option) for option in options)
        return null if null is not None and recursive else options[0]

    def _merged(self, schema: JsonObject, parts: list[JsonValue]) -> JsonObject:
        merged: JsonObject = {key: value for key, value in schema.items() if key != "allOf"}
        properties: JsonObject = dict(as_object(merged.get("properties")))
        required = list(as_list(merged.get("required")))
        for part in parts:
            reference = as_text(as_object(part).get("$ref"))
            resolved = as_object(self._resolve(reference) if reference else part)
            properties.update(as_object(resolved.get("properties")))
            required.extend(as_list(resolved.get("required")))
            merged = {**resolved, **merged}
        return {**merged, "properties": properties, "required": required}

    def _typed(self, schema: JsonObject, depth: int) -> JsonValue:
        kinds = as_list(schema.get("type")) or [schema.get("type")]
        match kinds[0]:
            case "string":
                return _string(schema)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return False
            case "array":
                return self._array(schema, depth)
            case kind:
                nested = kind == "object" or "properties" in schema
                return self._object(schema, depth) if nested else None

    def _array(self, schema: JsonObject, depth: int) -> JsonValue:
        if prefix := as_list(schema.get("prefixItems")):
            return [self.build(item, depth + 1) for item in prefix]
        count = as_count(schema.get("minItems")) or 0
        return [self.build(schema.get("items"), depth + 1) for _ in range(count)]

    def _object(self, schema: JsonObject, depth: int) -> JsonValue:
        properties = as_object(schema.get("properties"))
        names = [as_text(name) for name in as_list(schema.get("required"))]
        return {name: self.build(properties.get(name), depth + 1) for name in names}


def _string(schema: JsonObject) -> str:
    if (known := _FORMATS.get(as_text(schema.get("format")))) is not None:
        return known
    text = "text"
    least = as_count(schema.get("minLength")) or 0
    most = as_count(schema.get("maxLength"))
    return text.ljust(least, "x")[: most if most is not None else None]


def _number(schema: JsonObject) -> JsonValue:
    if (least := schema.get("minimum")) is not None:
        return least
    if isinstance(above := schema.get("exclusiveMinimum"), (int, float)):
        return above + 1
    most = schema.get("maximum")
    if isinstance(most, (int, float)) and most < 0:
        return most
    below = schema.get("exclusiveMaximum")
    if isinstance(below, (int, float)) and below <= 0:
        return below - 1
    return 0
