"""JSON schemas as the vendor takes them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from ai_batch.anthropic import wire
from ai_batch.anthropic.wire_schema import Inexpressible, output_format, transformed
from ai_batch.core import ChatRequest
from ai_batch.core.messages import JSONObject


class Part(BaseModel):
    name: str
    size: int | None = Field(default=None, ge=0, le=9)


class Whole(BaseModel):
    kind: Literal["a", "b"]
    parts: list[Part]
    tags: list[str] = Field(min_length=1, max_length=3)


def test_a_model_becomes_a_schema_whose_objects_are_closed() -> None:
    """Bounds, which the vendor does not know, become words; all else is kept."""
    found = output_format(Whole)
    assert found["type"] == "json_schema"
    schema = found["schema"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["kind", "parts", "tags"]
    assert schema["properties"]["kind"]["enum"] == ["a", "b"]
    assert "maxItems: 3" in schema["properties"]["tags"]["description"]
    part = schema["$defs"]["Part"]
    assert part["additionalProperties"] is False
    assert "maximum: 9" in str(part["properties"]["size"])


def test_a_list_of_types_becomes_alternatives() -> None:
    """Hand-written schemas often say so what a model says with a union."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "description": "d"}},
    }
    assert transformed(schema)["properties"]["a"]["anyOf"] == [
        {"type": "string", "description": "d"},
        {"type": "null", "description": "d"},
    ]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "object"}, "the schema is an object with any keys"),
        (
            {"type": "object", "properties": {"a": {"type": "object"}}},
            r"the schema\.a is an object with any keys",
        ),
        (
            {"type": "object", "properties": {"a": {"anyOf": [{"type": "object"}]}}},
            r"the schema\.a is an object with any keys",
        ),
        ({"type": "array", "items": {"type": "object"}}, r"the schema\[\] is an object"),
        ({"type": "object", "properties": {}, "definitions": {}}, r"knows only \$defs"),
        ({"type": "object", "properties": {"a": {}}}, "must have a 'type'"),
        ({"type": "thing"}, "thing|no valid JSON schema"),
        ({"type": "object", "properties": {"a": True}}, "bool"),
    ],
)
def test_what_can_not_be_expressed_is_a_problem(schema: dict[str, Any], reason: str) -> None:
    """It is found while planning, and says what is wrong."""
    with pytest.raises(Inexpressible, match=reason):
        transformed(schema)
    [problem] = wire.check(ChatRequest(messages="x", output_type=schema))
    assert problem.field == "output_type"
    assert problem.message.startswith("Anthropic can't be given this schema: ")


def test_a_dict_of_anything_is_refused_as_a_type_too() -> None:
    """The model could only answer with an empty one."""
    [problem] = wire.check(ChatRequest(messages="x", output_type=dict[str, int]))
    assert "an object with any keys" in problem.message


def test_a_schema_is_left_as_it_was() -> None:
    """The caller's own dict is not changed, however often it is used."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    before = str(schema)
    assert transformed(schema) == transformed(schema)
    assert str(schema) == before


@pytest.mark.parametrize(
    "definitions",
    [
        {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        {
            "node": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/other"}]},
            "other": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        },
        {"node": {"type": "array", "items": {"$ref": "#"}}},
    ],
)
def test_definitions_that_hold_themselves_are_told(definitions: JSONObject) -> None:
    """The vendor refuses circles of any length, so that such a request is not sent."""
    schema: JSONObject = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/node"}},
        "$defs": definitions,
    }
    with pytest.raises(Inexpressible, match="holds itself"):
        transformed(schema)


def test_definitions_may_be_used_more_than_once() -> None:
    """Twice the same is no circle."""
    both: JSONObject = {"x": {"$ref": "#/$defs/leaf"}, "y": {"$ref": "#/$defs/leaf"}}
    pair: JSONObject = {"type": "object", "properties": both}
    schema: JSONObject = {
        "type": "object",
        "properties": {"pair": {"$ref": "#/$defs/pair"}, "leaf": {"$ref": "#/$defs/leaf"}},
        "$defs": {"pair": pair, "leaf": {"type": "string"}},
    }
    assert transformed(schema)["properties"]["pair"] == {"$ref": "#/$defs/pair"}
