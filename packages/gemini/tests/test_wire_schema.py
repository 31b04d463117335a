"""JSON schemas as Gemini's own."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from ai_batch.gemini.wire_schema import NotExpressible, gemini_schema, output_schema_of


class Colour(Enum):
    """Names of colours."""

    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    """A point."""

    x: float
    y: float = 0.0


class Shape(BaseModel):
    """A shape."""

    colour: Colour
    corners: list[Point] = Field(min_length=3)
    middle: Point = Field(description="The middle.")
    label: str | None = None
    kind: Literal["round", "flat"] = "flat"
    size: int | str


class Tree(BaseModel):
    """A tree, which holds trees."""

    children: list[Tree]


POINT = {
    "title": "Point",
    "description": "A point.",
    "type": "OBJECT",
    "properties": {
        "x": {"title": "X", "type": "NUMBER"},
        "y": {"title": "Y", "type": "NUMBER"},
    },
    "propertyOrdering": ["x", "y"],
    "required": ["x"],
}


def test_a_model_becomes_one_schema_without_references() -> None:
    """Enums, lists, nested models, optional fields and unions."""
    assert output_schema_of(Shape) == {
        "title": "Shape",
        "description": "A shape.",
        "type": "OBJECT",
        "properties": {
            "colour": {
                "title": "Colour",
                "description": "Names of colours.",
                "type": "STRING",
                "format": "enum",
                "enum": ["red", "blue"],
            },
            "corners": {"title": "Corners", "type": "ARRAY", "items": POINT, "minItems": 3},
            "middle": {**POINT, "description": "The middle."},
            "label": {"title": "Label", "type": "STRING", "nullable": True},
            "kind": {
                "title": "Kind",
                "type": "STRING",
                "format": "enum",
                "enum": ["round", "flat"],
            },
            "size": {"title": "Size", "anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]},
        },
        "propertyOrdering": ["colour", "corners", "middle", "label", "kind", "size"],
        "required": ["colour", "corners", "middle", "size"],
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"type": "STRING"}),
        ({"type": "boolean", "default": True}, {"type": "BOOLEAN"}),
        ({"type": "null"}, {"type": "NULL"}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        (
            {"type": ["string", "integer", "null"]},
            {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}], "nullable": True},
        ),
        ({"const": "a"}, {"type": "STRING", "format": "enum", "enum": ["a"]}),
        (
            {"enum": ["a", None]},
            {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
        ),
        ({"enum": [1, 2]}, {"type": "INTEGER"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "string", "format": "email"}, {"type": "STRING"}),
        ({"type": "integer", "format": "int64"}, {"type": "INTEGER", "format": "int64"}),
        ({"type": "number", "minimum": 0, "multipleOf": 2}, {"type": "NUMBER", "minimum": 0}),
        ({"type": "string", "pattern": "^a"}, {"type": "STRING", "pattern": "^a"}),
        ({"allOf": [{"type": "string"}], "title": "T"}, {"type": "STRING", "title": "T"}),
        (
            {"oneOf": [{"type": "string"}, {"type": "number"}]},
            {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
        ),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
            {
                "type": "ARRAY",
                "items": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (
            {"properties": {"a": {"type": "string"}}, "additionalProperties": False},
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "propertyOrdering": ["a"]},
        ),
    ],
    ids=str,
)
def test_schemas(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """What has another word gets it, and what Gemini does not check is left to us."""
    assert gemini_schema(schema) == expected


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "no type is given"),
        ({"type": "file"}, "no type is given, or none that Gemini knows"),
        ({"type": "object"}, "must name its properties"),
        ({"type": "array"}, "must say what its items are"),
        ({"type": "array", "items": True}, "/items: True allows anything"),
        ({"type": "string", "not": {"const": "a"}}, "Gemini has no not"),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, "allOf of 2"),
        ({"$ref": "https://x.test/schema"}, "points outside"),
        ({"$ref": "#/$defs/Nothing"}, "points to nothing"),
        ({"enum": [["a"]]}, "no type is given"),
        ({"type": 5}, "can be read"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "additionalProperties": {"type": "string"},
            },
            "any keys",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_told(schema: dict[str, Any], reason: str) -> None:
    """With the place in the schema."""
    with pytest.raises(NotExpressible, match=reason):
        gemini_schema(schema)


@pytest.mark.parametrize("kind", [Tree, dict[str, int], Any])
def test_recursive_and_open_types_cannot_be_said(kind: object) -> None:
    """Schemas without references must end, and objects must name what they hold."""
    with pytest.raises(NotExpressible):
        output_schema_of(kind)


@pytest.mark.parametrize(
    "kind",
    [Shape, list[Shape], Point | None, int, Colour, datetime, date, Decimal, tuple[int, str]],
    ids=str,
)
def test_usual_types_can_be_said(kind: Any) -> None:
    """Every key of the result is one that Gemini's schema has."""
    known = {
        *("title", "description", "type", "format", "enum", "nullable", "items", "properties"),
        *("required", "propertyOrdering", "anyOf", "pattern", "minItems", "maxItems"),
        *("minLength", "maxLength", "minimum", "maximum"),
    }

    def walk(schema: dict[str, Any]) -> None:
        assert schema.keys() <= known
        assert "type" in schema or "anyOf" in schema
        for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
            walk(inner)
        if "items" in schema:
            walk(schema["items"])

    walk(gemini_schema(TypeAdapter(kind).json_schema()))
