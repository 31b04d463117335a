"""Who may call an emulator on this machine: programs here, and no web page from elsewhere.

A page in a browser can send calls to 127.0.0.1, and have its own host's name point there
(DNS rebinding). Its calls then carry that name in ``Host``, or say in ``Origin`` whose they are.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

Rule: TypeAlias = Callable[[Headers], bool]
"""Tells by its headers whether a call is answered."""

_NAMES = frozenset({"localhost", "host.docker.internal"})
"""Names that nobody else can give out: the second is how containers call their host."""


def rule_for(listening: str) -> Rule:
    """Return the rule of an emulator that listens on this address.

    One that listens beyond this machine is called by names that only its user knows.
    """
    return _from_here if _is_here(listening) else _from_anywhere


def _from_anywhere(headers: Headers) -> bool:  # noqa: ARG001
    return True


def _from_here(headers: Headers) -> bool:
    for name, value in headers:
        if (name == b"host" and not _names_us(value)) or (
            name == b"origin" and not _names_us(value.rpartition(b"//")[2])
        ):
            return False
    return True


@lru_cache(maxsize=256)
def _names_us(authority: bytes) -> bool:
    host = authority.decode("latin-1").lower()
    name, colon, port = host.rpartition(":")
    if colon and (port.isdecimal() or not port):
        host = name
    return _is_here(host.removeprefix("[").removesuffix("]"))


def _is_here(host: str) -> bool:
    if host in _NAMES or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
