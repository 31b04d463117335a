"""Schemas that strict mode refuses: when a row runs, and not when a batch is validated.

Source: https://developers.openai.com/api/docs/guides/structured-outputs
"""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text

_REFUSED = (
    "allOf",
    "contains",
    "default",
    "if",
    "not",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "uniqueItems",
)

_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)

Place = tuple[str, ...]


def schema_fault(endpoint: str, body: JsonObject) -> tuple[str, str] | None:
    """Return what is wrong with the schema of the answer, and the parameter's name."""
    wanted = as_object(as_object(body.get("text")).get("format"))
    param = "text.format.schema"
    if endpoint == "/v1/chat/completions":
        wanted = as_object(as_object(body.get("response_format")).get("json_schema"))
        param = "response_format"
    if wanted.get("schema") is None:
        return None
    fault = next(_faults(wanted), None)
    if fault is None:
        return None
    name = as_text(wanted.get("name"))
    return f"Invalid schema for response_format '{name}': {fault}", param


def _faults(wanted: JsonObject) -> Iterator[str]:
    schema = as_object(wanted["schema"])
    if schema.get("type") != "object":
        found = as_text(schema.get("type")) or "None"
        yield f"""schema must be a JSON Schema of 'type: "object"', got 'type: "{found}"'."""
    if wanted.get("strict") is True:
        yield from _strict(schema, ())


def _strict(value: JsonValue, place: Place) -> Iterator[str]:
    schema = as_object(value)
    where = f"In context={place!r},"
    for name in _REFUSED:
        if name in schema:
            yield f"{where} '{name}' is not permitted."
    if "$ref" in schema:
        if len(schema) > 1:
            others = ", ".join(repr(name) for name in schema if name != "$ref")
            yield f"{where} $ref cannot have keywords {{{others}}}."
    elif not {"type", "anyOf", "enum", "const"} & schema.keys():
        yield f"{where} schema must have a 'type' key."
    if schema.get("format") is not None and schema["format"] not in _FORMATS:
        yield f"{where} '{schema['format']}' is not a valid format."
    if schema.get("type") == "object":
        yield from _object(schema, where)
    yield from _inner(schema, place)


def _object(schema: JsonObject, where: str) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield f"{where} 'additionalProperties' is required to be supplied and to be false."
    required = as_list(schema.get("required"))
    for name in as_object(schema.get("properties")):
        if name not in required:
            yield (
                f"{where} 'required' is required to be supplied and to be an array including "
                f"every key in properties. Missing '{name}'."
            )


def _inner(schema: JsonObject, place: Place) -> Iterator[str]:
    for name in ("properties", "$defs", "definitions"):
        for key, one in as_object(schema.get(name)).items():
            yield from _strict(one, (*place, name, key))
    for index, one in enumerate(as_list(schema.get("anyOf"))):
        yield from _strict(one, (*place, "anyOf", str(index)))
    if schema.get("type") == "array" and "items" not in schema:
        yield f"In context={place!r}, array schema missing items."
    if "items" in schema:
        yield from _strict(schema["items"], (*place, "items"))
