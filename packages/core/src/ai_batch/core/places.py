"""Whose row it is: from wire ids to places within a shard."""

from __future__ import annotations

from array import array
from bisect import bisect_left

__all__ = ["index_of", "position_of", "wire_id"]

MAX_DIGITS = 19
"""Of an index; Python refuses to read numbers of thousands of digits."""


def wire_id(token: str, index: int) -> str:
    """The id under which a request travels: short, in every vendor's charset, and ours."""
    return f"{token}-{index}"


def index_of(identity: str, token: str) -> int | None:
    """The request's index in a wire id; None where it is not one of this token's."""
    prefix, _, digits = identity.rpartition("-")
    if prefix != token or not (digits.isascii() and digits.isdecimal()):
        return None
    return int(digits) if len(digits) <= MAX_DIGITS else None


def position_of(members: array[int] | range, index: int) -> int | None:
    """Where the request stands in a shard of these members; None where it is not in it."""
    if isinstance(members, range):
        return index - members.start if index in members else None
    position = bisect_left(members, index)
    found = position < len(members) and members[position] == index
    return position if found else None
