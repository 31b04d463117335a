"""Ids that look random, and are the same in each run with the same seed."""

from __future__ import annotations

import hashlib
import hmac
import random
import string
from collections.abc import Collection

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def hex_id(seed: int, kind: str, serial: int | str) -> str:
    """Return 32 hexadecimal digits."""
    return hashlib.blake2b(f"{seed}:{kind}:{serial}".encode(), digest_size=16).hexdigest()


def base62_id(seed: int, kind: str, serial: int | str, length: int = 22) -> str:
    """Return letters and digits."""
    number = int(hex_id(seed, kind, serial) + hex_id(seed, kind + "'", serial), 16)
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def generator(seed: int, purpose: str) -> random.Random:
    """Return a random generator of its own for each purpose."""
    return random.Random(f"{seed}:{purpose}")


def is_one_of(key: str, known: Collection[str]) -> bool:
    """Tell whether a key is among those that are accepted."""
    return any(hmac.compare_digest(key.encode(), each.encode()) for each in known)
