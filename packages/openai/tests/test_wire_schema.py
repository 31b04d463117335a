"""Schemas for strict mode, and those that it cannot express."""

import copy
import datetime as dt
import decimal
import uuid
from typing import Annotated, Any, Literal

import pytest
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field, HttpUrl

from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import output_schema
from ai_batch.openai.wire_schema import NotStrict, output_format, strict_schema


class Color(BaseModel):
    """A color."""

    name: Literal["red", "green"]
    shades: list[int] = Field(min_length=1)


class Thing(BaseModel):
    color: Color = Field(description="Its color.")
    other: Color
    note: str | None = None
    made: dt.datetime
    kind: Annotated[int, Field(ge=1)] | bool


class Node(BaseModel):
    value: int
    next: "Node | None" = None
    twin: "Node | None" = Field(default=None, description="The other.")


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    animal: Cat | Dog = Field(discriminator="kind")


class Loose(BaseModel):
    count: int = 7
    tags: set[str]
    url: HttpUrl
    price: decimal.Decimal
    code: Annotated[str, Field(pattern=r"^(?:a|b)+$")]
    key: uuid.UUID


def _schema_of(output_type: object) -> JSONObject:
    return copy.deepcopy(output_schema(output_type).json_schema)


@pytest.mark.parametrize("model", [Color, Thing, Cat])
def test_ordinary_models_come_out_as_from_the_sdk(model: type[BaseModel]) -> None:
    """Where the SDK's own conversion is right, ours gives the same."""
    assert strict_schema(_schema_of(model)) == to_strict_json_schema(model)


def test_the_given_schema_is_not_changed() -> None:
    """The conversion makes a copy: the original validates the answer."""
    given = _schema_of(Thing)
    before = copy.deepcopy(given)

    strict_schema(given)

    assert given == before


def test_recursive_models() -> None:
    """A model that holds itself keeps its reference; the root is an object all the same."""
    schema = strict_schema(_schema_of(Node))

    assert schema["type"] == "object"
    assert schema["required"] == ["value", "next", "twin"]
    assert schema["$defs"]["Node"]["properties"]["next"]["anyOf"] == [
        {"$ref": "#/$defs/Node"},
        {"type": "null"},
    ]


def test_a_reference_with_siblings_is_expanded() -> None:
    """A description beside a reference is not allowed, so that the schema itself goes there."""
    color = strict_schema(_schema_of(Thing))["properties"]["color"]

    assert color["description"] == "Its color."
    assert color["required"] == ["name", "shades"]


def test_an_endless_reference_with_siblings_stays_one() -> None:
    """Expanding a schema within itself would never end; the sibling gives way."""
    schema = {
        "type": "object",
        "properties": {"child": {"$ref": "#", "description": "Another one."}},
    }

    child = strict_schema(schema)["properties"]["child"]

    assert child["description"] == "Another one."
    assert child["properties"]["child"] == {"$ref": "#"}


def test_discriminated_unions_become_any_of() -> None:
    """A discriminator makes pydantic write oneOf, which strict mode refuses."""
    animal = strict_schema(_schema_of(Pet))["properties"]["animal"]

    assert animal == {
        "title": "Animal",
        "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
    }


def test_what_strict_mode_refuses_is_loosened() -> None:
    """Defaults, uniqueness, foreign formats and lookaround go; the answer is validated anyhow."""
    properties = strict_schema(_schema_of(Loose))["properties"]

    assert properties["count"] == {"title": "Count", "type": "integer"}
    assert "uniqueItems" not in properties["tags"]
    assert "format" not in properties["url"]
    assert all("pattern" not in branch for branch in properties["price"]["anyOf"])
    assert properties["code"]["pattern"] == "^(?:a|b)+$"
    assert properties["key"]["format"] == "uuid"


@pytest.mark.parametrize("pattern", ["^(?!x)", "(?=a)", "(?<=a)b", "(?<!a)b"])
def test_lookaround_is_dropped(pattern: str) -> None:
    """Such a pattern, as pydantic wrote it for Decimal, makes OpenAI answer with HTTP 500."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}

    assert strict_schema(schema)["properties"]["a"] == {"type": "string"}


def test_all_of_one_is_inlined() -> None:
    """Older generators wrap a reference into allOf; what stands beside it wins."""
    schema = {
        "type": "object",
        "properties": {
            "a": {"allOf": [{"$ref": "#/definitions/A"}], "title": "A"},
        },
        "definitions": {"A": {"type": "string", "title": "B"}},
    }

    assert strict_schema(schema)["properties"]["a"] == {"type": "string", "title": "A"}


def test_types_in_a_list() -> None:
    """Schemas written by hand say type: [object, null]; those are made strict as well."""
    inner = {"type": ["object", "null"], "properties": {"b": {"type": ["string", "null"]}}}

    a = strict_schema({"type": "object", "properties": {"a": inner}})["properties"]["a"]

    assert (a["required"], a["additionalProperties"]) == (["b"], False)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ({"type": "object", "additionalProperties": {"type": "string"}}, "any keys"),
        ({"type": "object", "properties": {}, "additionalProperties": True}, "any keys"),
        ({"type": "object"}, "must name its properties"),
        ({"type": "array"}, "what its items are"),
        ({"type": "array", "items": {}}, "no type is given"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "prefixItems"),
        ({}, "no type is given"),
        (True, "anything or nothing"),
        ({"not": {"type": "string"}}, "not can't be strict"),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, "allOf of 2"),
        ({"$ref": "#/$defs/Missing"}, "points to nothing"),
        ({"$ref": "https://example.com/schema"}, "outside of the schema"),
        ({"$ref": 1, "title": "x"}, "outside of the schema"),
        ({"anyOf": 1}, "can be read"),
        ({"type": "object", "properties": []}, "can be read"),
    ],
)
def test_not_strict(inner: Any, message: str) -> None:
    """What strict mode cannot express is told, with its place."""
    with pytest.raises(NotStrict, match=message):
        strict_schema({"type": "object", "properties": {"inner": inner}})


def test_the_root_must_be_an_object() -> None:
    """OpenAI answers with an object only."""
    with pytest.raises(NotStrict, match="outermost"):
        strict_schema({"type": "string"})


def test_endless_nesting_is_refused() -> None:
    """A schema that is deeper than Python can follow is refused like any other."""
    schema: JSONObject = {"type": "string"}
    for _ in range(2000):
        schema = {"type": "array", "items": schema}

    with pytest.raises(NotStrict, match="can be read"):
        strict_schema({"type": "object", "properties": {"a": schema}})


def test_free_objects_are_sent_without_strictness() -> None:
    """A schema with free keys still guides the model, and is sent word for word."""

    class Free(BaseModel):
        scores: dict[str, int]

    given = output_format(Free)

    assert given == {"name": "Free", "schema": Free.model_json_schema(), "strict": False}


def test_a_loose_recursive_model_still_has_an_object_as_its_root() -> None:
    """Without strictness, too, OpenAI wants an object and no reference there."""

    class Tree(BaseModel):
        children: "dict[str, Tree]"

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    given = output_format(Tree)

    assert given["strict"] is False
    assert given["schema"]["type"] == "object"


@pytest.mark.parametrize(
    ("title", "name"),
    [("My answer!", "My_answer_"), ("Box[int]", "Box_int_"), ("x" * 99, "x" * 64), ("ä", "_")],
)
def test_names(title: str, name: str) -> None:
    """The name keeps to 64 letters, digits, dashes and underscores."""
    assert output_format({"title": title, "type": "object", "properties": {}})["name"] == name


def test_a_schema_without_a_title_is_called_output() -> None:
    """A name is demanded, so that there always is one."""
    assert output_format({"type": "object", "properties": {}})["name"] == "output"


def test_the_work_is_done_once() -> None:
    """The same type gives the very same object: 50,000 requests share one schema."""
    assert output_format(Thing) is output_format(Thing)
    assert output_format(output_schema(Thing)) is output_format(Thing)
