"""Finds the schema that answers must have: a JSON schema in a file, or a class in a module."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import cast

import msgspec

from ai_batch.core import OutputSchema, UsageError
from ai_batch.core.requests import output_schema

__all__ = ["load_schema"]


def load_schema(given: str) -> object:
    """An ``output_type`` for requests: what ``FILE.json`` or ``module:Model`` holds.

    Raises ``UsageError`` where there is no such thing, or where it has no JSON schema.
    """
    found = _of_file(given) if given.endswith(".json") else _of_module(given)
    try:
        output_schema(found)
    except TypeError as error:
        raise UsageError(f"--schema {given}: {error}") from None
    return found


def _of_file(given: str) -> OutputSchema:
    path = Path(given)
    try:
        schema: object = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--schema {given} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"--schema {given} is not JSON: {error}") from None
    if not isinstance(schema, dict) or "type" not in schema:
        raise UsageError(f"--schema {given} must hold a JSON schema: an object with a type")
    fields = cast("dict[str, object]", schema)
    return OutputSchema.of(str(fields.get("title") or path.stem), fields)


def _of_module(given: str) -> object:
    name, colon, attribute = given.partition(":")
    if not colon:
        raise UsageError(f"--schema {given}: give FILE.json, or module:Model")
    # As `python -m` does: a command's own folder is on the path, the user's is not.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = getattr(importlib.import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--schema {given}: {error}") from None
    finally:
        sys.path.pop(0)
    return found
