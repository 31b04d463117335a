"""Changes data as somebody would who knows that it is JSON: values of other kinds, cuts, swaps."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, cast

__all__ = ["mutated"]

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 200, 400, 503, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308),
    *("", " ", "null", "{}", "[]", "[[", "\x00", "\u2028", "😀", "é", "x" * 300, "1", "-7"),
    *([], {}, [None], [[]], [{}], {"": None}, {"a": {"a": {"a": 1}}}, [0.25, 0.5], "AAAAPw=="),
)
"""What stands in the place of a value: other kinds, numbers at the edges, empty things."""

RAW = (b"", b"\n", b"\r\n", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"1e999", b"NaN")
"""Bytes that are put in somewhere: line ends, broken UTF-8, numbers that no float holds."""

DEPTHS = (100, 300, 700, 900, 2_000)
"""Levels at which one reader or the other gives up."""

Step = Callable[[Any, Random], Any]


def mutated(data: bytes, other: bytes, random: Random) -> bytes:
    """The data with some changes; parts of ``other`` may come in."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        data = _once(data, other, random)
    return data


def _once(data: bytes, other: bytes, random: Random) -> bytes:
    if random.random() < 0.25:
        return _bytes_changed(data, other, random)
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    lines[at] = _line_changed(lines[at], random.choice(other.split(b"\n")), random)
    return b"\n".join(lines)


def _line_changed(data: bytes, other: bytes, random: Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes_changed(data, other, random)
    try:
        graft = json.loads(other)
    except (ValueError, RecursionError):
        graft = json.loads(data)
    places = list(_places(value, 0))
    if not places:
        return json.dumps([value]).encode()
    holder, key = random.choice(places)
    _change(holder, key, graft, random)
    try:
        text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    except RecursionError:
        return _bytes_changed(data, other, random)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any, depth: int) -> list[tuple[Any, Any]]:
    """Every place within the value: what holds it, and the key or number there."""
    if depth > 50 or not isinstance(value, dict | list):
        return []
    holder: Any = cast("Any", value)
    keys: list[Any] = list(holder) if isinstance(value, dict) else list(range(len(holder)))
    found: list[tuple[Any, Any]] = [(holder, key) for key in keys]
    for key in keys:
        found += _places(holder[key], depth + 1)
    return found


def _change(holder: Any, key: Any, graft: Any, random: Random) -> None:
    kind = random.randrange(8)
    if kind <= 2:
        holder[key] = random.choice(ODD)
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        holder[key] = [holder[key]] if random.random() < 0.5 else {"error": holder[key]}
    elif kind == 5:
        grafts = _places(graft, 0)
        if grafts:
            source, at = random.choice(grafts)
            holder[key] = source[at]
    elif kind == 6 and not hasattr(holder, "keys"):
        holder.insert(random.randrange(len(holder) + 1), holder[key])
    elif kind == 6:
        holder[random.choice((*holder, "error", "usage", "type"))] = holder[key]
    elif random.random() < 0.1:
        holder[key] = _nested(random.choice(DEPTHS[:-1]))
    else:
        _twisted(holder, key, random)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _twisted(holder: Any, key: Any, random: Random) -> None:
    """A value that is nearly the same: a number as a text, a text cut, an object as a text."""
    value = holder[key]
    if isinstance(value, str):
        holder[key] = random.choice((value[: len(value) // 2], value * 2, value.upper(), [value]))
    elif isinstance(value, bool | None):
        holder[key] = random.choice(ODD)
    elif isinstance(value, int | float):
        holder[key] = random.choice((str(value), float(value), -value, value * 10**20, [value]))
    else:
        holder[key] = json.dumps(value)


def _bytes_changed(data: bytes, other: bytes, random: Random) -> bytes:
    """Cut, filled in, exchanged, grafted, without a few, nested, or twice."""
    at = random.randrange(len(data) + 1)
    before, after = data[:at], data[at:]
    return random.choice(
        (
            before,
            before + random.choice(RAW) + after,
            before + bytes([random.randrange(256)]) + after[1:],
            before + other[random.randrange(len(other) + 1) :],
            before + after[random.randrange(1, 20) :],
            before + random.choice((b"[", b'{"a":')) * random.choice(DEPTHS) + after,
            data + random.choice((b"\n", b"", b" ")) + other,
        )
    )
