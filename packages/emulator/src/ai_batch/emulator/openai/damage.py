"""Damaged rows of result files: pure, one row in, what becomes of it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from ai_batch.emulator.faults import RowDamage
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_object, decode, encode

LOSING: frozenset[RowDamage] = frozenset(
    {
        "garbage",
        "missing",
        "status_zero",
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


def damage_rows(rows: Iterable[bytes], damage: RowDamage, index: int, sink: BinaryIO) -> None:
    """Copy rows, and damage one of them."""
    for position, row in enumerate(rows):
        sink.writelines(_damaged(row, damage) if position == index else (row,))


def damaged_index(damage: RowDamage, wanted: int | None, total: int, draw: int) -> int:
    """Return which row is struck: the one wanted (from the end if negative), or a drawn one."""
    if damage == "truncated_last":
        return total - 1
    if damage == "bom":
        return 0
    if wanted is None:
        return draw % max(1, total)
    return wanted if wanted >= 0 else total + wanted


def _damaged(row: bytes, damage: RowDamage) -> Iterator[bytes]:
    match damage:
        case "missing":
            return
        case "duplicate":
            yield row
            yield row
        case "foreign":
            yield row
            yield _with(row, "custom_id", "foreign-row-of-another-batch")
        case _:
            yield _BYTES[damage](row)


def _with(row: bytes, name: str, value: JsonValue) -> bytes:
    return encode({**as_object(decode(row)), name: value}) + b"\n"


def _with_response(row: bytes, changes: JsonObject) -> bytes:
    response = as_object(as_object(decode(row)).get("response"))
    return _with(row, "response", {**response, **changes})


def _with_raw_body(row: bytes, body: bytes) -> bytes:
    return _with_response(row, {"body": "@"}).replace(b'"@"', body)


def _without_id(row: bytes) -> bytes:
    found = as_object(decode(row))
    return encode({key: value for key, value in found.items() if key != "custom_id"}) + b"\n"


_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda row: b"<html>502 Bad Gateway</html> %b\n" % row[1:20].replace(b"\n", b""),
    "status_zero": lambda row: _with_response(row, {"status_code": 0, "body": None}),
    "empty_body": lambda row: _with_response(row, {"status_code": 200, "body": {}}),
    "invalid_utf8": lambda row: _with_response(row, {"body": {"text": "@@"}}).replace(
        b"@@", b"\xff\xfe"
    ),
    "lone_surrogate": lambda row: _with_raw_body(row, b'{"text":"\\ud800"}'),
    "missing_id": _without_id,
    "nan": lambda row: _with_raw_body(row, b'{"value":NaN}'),
    "huge_int": lambda row: _with_raw_body(row, b'{"value":%b}' % (b"9" * _DIGITS)),
    "deep": lambda row: _with_raw_body(row, b"[" * _DEEP + b"]" * _DEEP),
    "truncated_last": lambda row: row[: len(row) // 2],
    "bom": lambda row: _BOM + row,
    "crlf": lambda row: row.removesuffix(b"\n") + b"\r\n",
}
