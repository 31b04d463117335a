"""Types that an answer may be asked for, each with an answer and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # Before Python 3.12, pydantic wants this one.

__all__ = ["CASES", "RECURSIVE", "Case", "Place"]


class Colour(StrEnum):
    """A word out of several."""

    RED = "red"
    BLUE = "blue"


class Floor(IntEnum):
    """A number out of several."""

    GROUND = 1
    UPPER = 2


class Street(BaseModel):
    """A part of an address."""

    name: str
    number: int | None


class Place(BaseModel):
    """A model with models within it."""

    city: str
    streets: list[Street]
    confirmed: bool


class Optionals(BaseModel):
    """What may be null, and what need not be said."""

    nickname: str | None
    street: Street | None = None
    age: int = 30
    tags: list[str] = []


class Choices(BaseModel):
    """One out of several values."""

    colour: Colour
    floor: Floor
    size: Literal["s", "m"]
    always: Literal["this"]


class Bounded(BaseModel):
    """Numbers, texts and lists with limits, and types that JSON has only as text."""

    stars: Annotated[int, Field(ge=1, le=5)]
    share: Annotated[float, Field(gt=0.0, lt=1.0)]
    dozen: Annotated[int, Field(multiple_of=12)]
    code: Annotated[str, Field(pattern="^[A-Z]{2}$", min_length=2, max_length=2)]
    two: Annotated[list[str], Field(min_length=2, max_length=2)]
    day: date
    price: Decimal


class Cat(BaseModel):
    """A kind of animal."""

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """Another kind of animal."""

    kind: Literal["dog"]
    tricks: list[str]


class Unions(BaseModel):
    """Values of several types."""

    number_or_word: int | str
    animal: Annotated[Cat | Dog, Field(discriminator="kind")]
    more: list[Cat | Dog]


class Pair(BaseModel):
    """A list whose places have types of their own."""

    pair: tuple[str, int]


class Node(BaseModel):
    """A model that holds itself."""

    name: str
    children: list[Node] = []


class Leaf(BaseModel):
    """A model that holds itself by way of another."""

    branch: Branch | None


class Branch(BaseModel):
    """The other one."""

    leaves: list[Leaf]


@dataclass
class Point:
    """A plain dataclass."""

    x: int
    label: str | None = None


@dataclass
class Line:
    """A dataclass that holds others."""

    points: list[Point]


class Person(TypedDict):
    """A dict with known keys."""

    name: str
    age: NotRequired[int]


JSON_SCHEMA: dict[str, Any] = {
    "title": "reading",
    "type": "object",
    "properties": {
        "value": {"type": "number"},
        "unit": {"type": ["string", "null"]},
        "flags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
    },
    "required": ["value", "unit"],
}


@dataclass(frozen=True)
class Case:
    """A type, the text of an answer, and the value that it is."""

    output_type: Any
    text: str
    parsed: Any


CASES: dict[str, Case] = {
    "nested": Case(
        Place,
        '{"city":"Oslo","streets":[{"name":"A","number":1},{"name":"B","number":null}],'
        '"confirmed":true}',
        Place(
            city="Oslo",
            streets=[Street(name="A", number=1), Street(name="B", number=None)],
            confirmed=True,
        ),
    ),
    "optional": Case(
        Optionals,
        '{"nickname":null,"street":null,"age":3,"tags":["x"]}',
        Optionals(nickname=None, age=3, tags=["x"]),
    ),
    "choices": Case(
        Choices,
        '{"colour":"blue","floor":2,"size":"m","always":"this"}',
        Choices(colour=Colour.BLUE, floor=Floor.UPPER, size="m", always="this"),
    ),
    "bounded": Case(
        Bounded,
        '{"stars":5,"share":0.5,"dozen":24,"code":"NO","two":["a","b"],"day":"2026-02-03",'
        '"price":"1.50"}',
        Bounded(
            stars=5,
            share=0.5,
            dozen=24,
            code="NO",
            two=["a", "b"],
            day=date(2026, 2, 3),
            price=Decimal("1.50"),
        ),
    ),
    "unions": Case(
        Unions,
        '{"number_or_word":"x","animal":{"kind":"dog","tricks":["sit"]},'
        '"more":[{"kind":"cat","lives":9}]}',
        Unions(
            number_or_word="x",
            animal=Dog(kind="dog", tricks=["sit"]),
            more=[Cat(kind="cat", lives=9)],
        ),
    ),
    "pair": Case(Pair, '{"pair":["a",1]}', Pair(pair=("a", 1))),
    "dataclass": Case(
        Line,
        '{"points":[{"x":1,"label":null},{"x":2,"label":"b"}]}',
        Line([Point(1), Point(2, "b")]),
    ),
    "typed dict": Case(Person, '{"name":"Ada","age":36}', {"name": "Ada", "age": 36}),
    "json schema": Case(
        JSON_SCHEMA,
        '{"value":1.5,"unit":null,"flags":["a"]}',
        {"value": 1.5, "unit": None, "flags": ["a"]},
    ),
}

RECURSIVE: dict[str, Case] = {
    "recursive": Case(
        Node,
        '{"name":"a","children":[{"name":"b","children":[]}]}',
        Node(name="a", children=[Node(name="b")]),
    ),
    "mutually recursive": Case(
        Leaf,
        '{"branch":{"leaves":[{"branch":null}]}}',
        Leaf(branch=Branch(leaves=[Leaf(branch=None)])),
    ),
}
