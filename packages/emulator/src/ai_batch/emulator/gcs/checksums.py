"""MD5 and CRC32C of a content, as Cloud Storage shows them: base64, big-endian.

Python has no CRC32C, and its table at one byte per step would take minutes for a big file. Here
4096 pieces of a block go through the table side by side, and their sums are then joined.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from typing import BinaryIO, TypeAlias

_POLYNOMIAL = 0x82F63B78
_LANES = 4096
_STEPS = 256
_BLOCK = _LANES * _STEPS

_Operator: TypeAlias = tuple[tuple[int, ...], ...]


def _table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()
_PLANES = tuple(bytes(entry >> shift & 255 for entry in _TABLE) for shift in (0, 8, 16, 24))


def crc32c(data: bytes, state: int = 0) -> int:
    """Return the CRC32C of data that follow on others with the sum `state`."""
    view = memoryview(data)
    whole = len(data) // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        state = _join(state, _block_sum(view[start : start + _BLOCK]), _BLOCK)
    return _plain(view[whole:], state)


def _plain(data: memoryview, state: int) -> int:
    state ^= 0xFFFFFFFF
    for byte in data:
        state = state >> 8 ^ _TABLE[(state ^ byte) & 255]
    return state ^ 0xFFFFFFFF


def _block_sum(block: memoryview) -> int:
    """Return the sum of a block, whose lanes are summed up at the same time."""
    data = bytes(block)
    ones = b"\xff" * _LANES
    low, second, third, high = ones, ones, ones, ones
    for step in range(_STEPS):
        index = _xor(low, data[step::_STEPS])
        first, other, last, high_part = (index.translate(plane) for plane in _PLANES)
        low, second, third, high = (
            _xor(second, first),
            _xor(third, other),
            _xor(high, last),
            high_part,
        )
    joined = 0
    operator = _shift(_STEPS)
    for a, b, c, d in zip(low, second, third, high, strict=True):
        lane = (a | b << 8 | c << 16 | d << 24) ^ 0xFFFFFFFF
        joined = _apply(operator, joined) ^ lane
    return joined


def _xor(left: bytes, right: bytes) -> bytes:
    mixed = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    return mixed.to_bytes(len(left), "little")


def _join(first: int, second: int, length: int) -> int:
    """Return the sum of two contents one after the other; the second has this length."""
    return _apply(_shift(length), first) ^ second


@cache
def _shift(length: int) -> _Operator:
    """Return the operator that lets a sum pass over zero bytes: tables, by byte of the sum.

    The length is a power of two, so that the operator is the square of the one before it.
    """
    bits = [1 << bit for bit in range(32)]
    if length == 1:
        images = [bit >> 8 ^ _TABLE[bit & 255] for bit in bits]
    else:
        half = _shift(length // 2)
        images = [_apply(half, _apply(half, bit)) for bit in bits]
    return tuple(
        tuple(
            _mixed(images[8 * place + bit] for bit in range(8) if byte >> bit & 1)
            for byte in range(256)
        )
        for place in range(4)
    )


def _mixed(values: Iterable[int]) -> int:
    mixed = 0
    for value in values:
        mixed ^= value
    return mixed


def _apply(operator: _Operator, value: int) -> int:
    first, second, third, fourth = operator
    return (
        first[value & 255]
        ^ second[value >> 8 & 255]
        ^ third[value >> 16 & 255]
        ^ fourth[value >> 24]
    )


def digests(source: BinaryIO) -> tuple[str, str]:
    """Return MD5 and CRC32C of a file, read from its beginning."""
    md5 = hashlib.md5(usedforsecurity=False)
    state = 0
    source.seek(0)
    while block := source.read(_BLOCK):
        md5.update(block)
        state = crc32c(block, state)
    encoded = base64.b64encode(state.to_bytes(4, "big"))
    return base64.b64encode(md5.digest()).decode(), encoded.decode()
