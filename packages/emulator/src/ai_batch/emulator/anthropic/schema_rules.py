"""Schemas of answers that the vendor refuses.

Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs and, for the
words about circles, egonSchiele/agency-lang#487.
"""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text

_REFUSED: dict[str, tuple[str, ...]] = {
    "array": ("maxItems", "uniqueItems"),
    "integer": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "number": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "string": ("maxLength", "minLength"),
}


def schema_faults(schema: JsonObject) -> Iterator[str]:
    """Yield what is wrong with the schema of an answer."""
    for path in _circles(schema):
        yield (
            f"Circular reference detected in schema definitions: {' -> '.join(path)}. "
            "Self-referencing or mutually-referencing definitions are not supported."
        )
    yield from _faults(schema)


def _faults(value: JsonValue) -> Iterator[str]:
    schema = as_object(value)
    kind = as_text(schema.get("type"))
    unknown = [name for name in _REFUSED.get(kind, ()) if name in schema]
    if unknown:
        yield f"For '{kind}' type, properties {', '.join(unknown)} are not supported"
    if kind == "object" and schema.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    for name in ("properties", "$defs", "definitions"):
        for one in as_object(schema.get(name)).values():
            yield from _faults(one)
    for name in ("anyOf", "allOf"):
        for one in as_list(schema.get(name)):
            yield from _faults(one)
    if "oneOf" in schema:
        yield "Schema type 'oneOf' is not supported"
    if "items" in schema:
        yield from _faults(schema["items"])


def _circles(schema: JsonObject) -> Iterator[list[str]]:
    definitions = as_object(schema.get("$defs"))
    uses = {name: list(_references(one)) for name, one in definitions.items()}
    for name in uses:
        path = _way_back(uses, [name])
        if path is not None:
            yield path
            return


def _way_back(uses: dict[str, list[str]], path: list[str]) -> list[str] | None:
    for name in uses.get(path[-1], ()):
        if name == path[0]:
            return [*path, name]
        if name not in path:
            found = _way_back(uses, [*path, name])
            if found is not None:
                return found
    return None


def _references(value: JsonValue) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, dict):
        if name := as_text(value.get("$ref")).rpartition("/")[2]:
            yield name
        for one in value.values():
            yield from _references(one)
