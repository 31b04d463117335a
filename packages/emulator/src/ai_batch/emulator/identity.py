"""Ids that look random, and are the same in each run with the same seed."""

from __future__ import annotations

import hashlib
import hmac
import random
import string
from collections.abc import Collection

_BASE62 = (string.digits + string.ascii_uppercase + string.ascii_lowercase).encode()
_DIGITS = bytes(_BASE62[byte % 62] for byte in range(256))


def hex_id(seed: int, kind: str, serial: int | str) -> str:
    """Return 32 hexadecimal digits."""
    return hashlib.blake2b(f"{seed}:{kind}:{serial}".encode(), digest_size=16).hexdigest()


def base62_id(seed: int, kind: str, serial: int | str, length: int = 22) -> str:
    """Return up to 64 letters and digits."""
    digest = hashlib.blake2b(f"{seed}:{kind}:{serial}".encode(), digest_size=length).digest()
    return digest.translate(_DIGITS).decode()


def generator(seed: int, purpose: str) -> random.Random:
    """Return a random generator of its own for each purpose."""
    return random.Random(f"{seed}:{purpose}")


def is_one_of(key: str, known: Collection[str]) -> bool:
    """Tell whether a key is among those that are accepted."""
    return any(hmac.compare_digest(key.encode(), each.encode()) for each in known)
