"""What the vendors' ways to take a JSON schema have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar, cast

from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import OutputSchema, output_schema

__all__ = ["once_per_schema", "resolved"]

FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class _Keyed:
    key: str
    schema: OutputSchema = field(compare=False)


def once_per_schema(convert: Callable[[OutputSchema], FoundT]) -> Callable[[object], FoundT]:
    """``convert`` as a function of any ``output_type``, whose work is done once for each schema.

    A million requests of a job have a handful of them. What it gives must not be changed. Raises
    what ``convert`` raises, and ``TypeError`` for what has no JSON schema.
    """

    @lru_cache(maxsize=256)
    def converted(keyed: _Keyed) -> FoundT:
        return convert(keyed.schema)

    def of(output_type: object) -> FoundT:
        schema = output_schema(output_type)
        return converted(_Keyed(schema.key, schema))

    of.__doc__ = convert.__doc__
    return of


def resolved(root: JSONObject, ref: object, path: str, fault: type[ValueError]) -> JSONObject:
    """The schema that a ``$ref`` within ``root`` points to.

    Raises ``fault``, with the ``path`` of the reference, where it points to none.
    """
    found: Any = root
    if not isinstance(ref, str) or not ref.startswith("#"):
        raise fault(f"{path or '/'}: $ref {ref!r} points outside of the schema")
    for key in filter(None, ref[1:].split("/")):
        name = key.replace("~1", "/").replace("~0", "~")
        found = cast("JSONObject", found).get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise fault(f"{path or '/'}: $ref {ref!r} points to nothing")
    return cast("JSONObject", found)
