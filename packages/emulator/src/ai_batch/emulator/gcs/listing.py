"""One page of a bucket's objects: pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ai_batch.emulator.gcs.errors import StorageError
from ai_batch.emulator.gcs.queries import whole
from ai_batch.emulator.gcs.records import ObjectRecord

_MOST = 1000

Entry: TypeAlias = ObjectRecord | str
"""An object, or the common prefix of several."""


@dataclass(frozen=True, slots=True)
class Page:
    """Objects, common prefixes, and where to go on."""

    objects: list[ObjectRecord]
    prefixes: list[str]
    next_token: str | None


def page_of(found: Iterable[ObjectRecord], query: Mapping[str, str]) -> Page:
    """Return the page that a query asks for; objects come in the order of their names."""
    limit = min(_MOST, whole(query.get("maxResults", str(_MOST)), "maxResults")) or _MOST
    after = _name_of(query.get("pageToken", ""))
    objects: list[ObjectRecord] = []
    prefixes: list[str] = []
    last = ""
    for entry in _entries(found, query):
        name = entry if isinstance(entry, str) else entry.name
        if after and name.encode() <= after.encode():
            continue
        if len(objects) + len(prefixes) == limit:
            return Page(objects, prefixes, _token_of(last))
        last = name
        if isinstance(entry, str):
            prefixes.append(entry)
        else:
            objects.append(entry)
    return Page(objects, prefixes, None)


def _entries(found: Iterable[ObjectRecord], query: Mapping[str, str]) -> Iterator[Entry]:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    start, end = query.get("startOffset", ""), query.get("endOffset")
    seen = ""
    for each in found:
        outside = each.name < start or (end is not None and each.name >= end)
        if outside or not each.name.startswith(prefix):
            continue
        rest = each.name[len(prefix) :]
        if not delimiter or delimiter not in rest:
            yield each
            continue
        shared = prefix + rest[: rest.index(delimiter) + len(delimiter)]
        if shared != seen:
            yield shared
        seen = shared


def _token_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name_of(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise StorageError("Invalid page token", reason="invalidParameter") from error
