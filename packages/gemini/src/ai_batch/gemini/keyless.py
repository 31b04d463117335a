"""Batches of Vertex AI's older models of embeddings, whose lines can hold no key.

Each answer repeats what was asked, and the same text gets the same vector: so rows are given back
their keys by what they repeat, and never by their place. All lines of such a batch have the same
options, which are a part of its route.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.transfers import private_file
from ai_batch.core.wire_json import value_of

__all__ = ["give_keys", "instances_of"]


class _Line(msgspec.Struct):
    key: str
    instance: msgspec.Raw


_read_line = msgspec.json.Decoder(_Line).decode
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def instances_of(path: Path) -> Iterator[bytes]:
    """The input as it is sent: without the keys."""
    with path.open("rb") as file:
        for line in file:
            yield bytes(_read_line(line).instance) + b"\n"


def _digest(instance: object) -> bytes:
    """Tells texts apart; what else an instance holds may come back otherwise than it was sent."""
    facts = cast("JSONObject", instance) if isinstance(instance, dict) else {}
    content = msgspec.json.encode(facts.get("content"), order="deterministic")
    return hashlib.blake2b(content, digest_size=16).digest()


def give_keys(path: Path, asked: Path, to: Path) -> None:
    """Write the rows of ``path`` with the keys of the input ``asked``."""
    keys: defaultdict[bytes, list[str]] = defaultdict(list)
    with asked.open("rb") as file:
        for line in file:
            known = _read_line(line)
            keys[_digest(value_of(known.instance))].append(known.key)
    for waiting in keys.values():
        waiting.reverse()
    with private_file(to) as out, path.open("rb") as rows:
        for row in rows:
            out.write(_with_key(row.rstrip(b"\r\n"), keys) + b"\n")


def _with_key(row: bytes, keys: dict[bytes, list[str]]) -> bytes:
    try:
        fields = _FIELDS.decode(row)
        waiting = keys.get(_digest(value_of(fields["instance"]))) or []
    except (ValueError, KeyError, RecursionError):
        return row
    if "key" in fields or not waiting:
        return row
    key = msgspec.Raw(msgspec.json.encode(waiting.pop()))
    return msgspec.json.encode({"key": key, **fields})
