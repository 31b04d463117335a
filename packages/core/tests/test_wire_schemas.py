"""What the vendors' schemas have in common."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from ai_batch.core import OutputSchema
from ai_batch.core.messages import JSONObject
from ai_batch.core.wire_schemas import once_per_schema, resolved


class City(BaseModel):
    name: str


def test_each_schema_is_converted_once() -> None:
    """Whichever way it is given: as a type, as it was planned, or written down again."""
    seen: list[str] = []

    @once_per_schema
    def name_of(schema: OutputSchema) -> str:
        """The name."""
        seen.append(schema.name)
        return schema.name.upper()

    planned = OutputSchema.of("City", City.model_json_schema())
    written: JSONObject = {"title": "own", "type": "object"}
    found = [name_of(one) for one in (City, planned, City, written, dict(written))]

    assert found == ["CITY", "CITY", "CITY", "OWN", "OWN"]
    assert seen == ["City", "own"]


def test_what_has_no_schema_is_told() -> None:
    """As soon as it is given."""
    with pytest.raises(TypeError, match="no JSON schema"):
        once_per_schema(lambda schema: schema)(object())


class Fault(ValueError):
    """A vendor's own."""


ROOT: JSONObject = {"$defs": {"a/b": {"~c": {"type": "string"}}}, "type": "object"}


@pytest.mark.parametrize(("ref", "found"), [("#", ROOT), ("#/$defs/a~1b/~0c", {"type": "string"})])
def test_references_are_followed(ref: str, found: JSONObject) -> None:
    """With the two characters that are written otherwise."""
    assert resolved(ROOT, ref, "", Fault) == found


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("#/$defs/none", "/x: .* points to nothing"),
        ("#/type", "points to nothing"),
        ("other.json#/a", "points outside"),
        (3, "points outside"),
    ],
)
def test_references_to_nowhere_are_the_vendors_fault(ref: object, words: str) -> None:
    """With the place of the reference."""
    with pytest.raises(Fault, match=words):
        resolved(ROOT, ref, "/x", Fault)
