"""Damaged rows of result files: pure, one row in, what becomes of it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from ai_batch.emulator.faults import RowDamage
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_object, decode, encode

LOSING: frozenset[RowDamage] = frozenset(
    {
        "garbage",
        "missing",
        "status_zero",
        "unknown_kind",
        "empty_body",
        "invalid_utf8",
        "lone_surrogate",
        "missing_id",
        "nan",
        "huge_int",
        "deep",
        "truncated_last",
    }
)
"""Damages after which a row's answer is gone, or not to be trusted."""

_BOM = b"\xef\xbb\xbf"
_DEEP = 100_000
_DIGITS = 5_000
_HUGE = 2_000_000

_MARK = "@damaged@"
_MARKED = b'"@damaged@"'
_FOREIGN = "foreign-row-of-another-batch"
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShape:
    """Where things stand in a vendor's result rows.

    A path is the names of nested members. `without_status` and `of_unknown_kind` are members that
    replace a row's own, so that it says neither success nor failure, or something unheard of.
    """

    id_path: _Path
    body_path: _Path
    without_status: Mapping[str, JsonValue]
    of_unknown_kind: Mapping[str, JsonValue]


def damage_rows(
    rows: Iterable[bytes], damage: RowDamage, index: int, sink: BinaryIO, shape: RowShape
) -> None:
    """Copy rows, and damage one of them."""
    for position, row in enumerate(rows):
        sink.writelines(_damaged(row, damage, shape) if position == index else (row,))


def damaged_index(damage: RowDamage, wanted: int | None, total: int, draw: int) -> int:
    """Return which row is struck: the one wanted (from the end if negative), or a drawn one."""
    if damage == "truncated_last":
        return total - 1
    if damage == "bom":
        return 0
    if wanted is None:
        return draw % max(1, total)
    return wanted if wanted >= 0 else total + wanted


def _damaged(row: bytes, damage: RowDamage, shape: RowShape) -> Iterator[bytes]:
    match damage:
        case "missing":
            return
        case "duplicate":
            yield row
            yield row
        case "foreign":
            yield row
            yield _with(row, shape.id_path, _FOREIGN)
        case "missing_id":
            yield _without(row, shape.id_path)
        case "status_zero":
            yield _merged(row, shape.without_status)
        case "unknown_kind":
            yield _merged(row, shape.of_unknown_kind)
        case "huge_row":
            yield _with(row, (*shape.body_path, "padding"), "x" * _HUGE)
        case _ if damage in _BODIES:
            yield _with(row, shape.body_path, _MARK).replace(_MARKED, _BODIES[damage]())
        case _:
            yield _BYTES[damage](row)


def _merged(row: bytes, members: Mapping[str, JsonValue]) -> bytes:
    return encode({**as_object(decode(row)), **members}) + b"\n"


def _with(row: bytes, path: _Path, value: JsonValue) -> bytes:
    return encode(_set(as_object(decode(row)), path, value)) + b"\n"


def _set(found: JsonObject, path: _Path, value: JsonValue) -> JsonObject:
    name, *inner = path
    if inner:
        value = _set(as_object(found.get(name)), tuple(inner), value)
    return {**found, name: value}


def _without(row: bytes, path: _Path) -> bytes:
    found = parent = as_object(decode(row))
    for name in path[:-1]:
        parent = as_object(parent.get(name))
    parent.pop(path[-1], None)
    return encode(found) + b"\n"


_BODIES: dict[str, Callable[[], bytes]] = {
    "empty_body": lambda: b"{}",
    "invalid_utf8": lambda: b'{"text":"\xff\xfe"}',
    "lone_surrogate": lambda: b'{"text":"\\ud800"}',
    "nan": lambda: b'{"value":NaN}',
    "huge_int": lambda: b'{"value":%b}' % (b"9" * _DIGITS),
    "deep": lambda: b"[" * _DEEP + b"]" * _DEEP,
}

_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda row: b"<html>502 Bad Gateway</html> %b\n" % row[1:20].replace(b"\n", b""),
    "truncated_last": lambda row: row[: len(row) // 2],
    "bom": lambda row: _BOM + row,
    "crlf": lambda row: row.removesuffix(b"\n") + b"\r\n",
}
