"""Which items were executed, and how often: eight bytes each, in one file per batch."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ai_batch.emulator.json_types import JsonObject, encode_canonical

_BILLED = 1


def item_number(endpoint: str, body: JsonObject) -> int:
    """Return the item's identity as an even number of 64 bits.

    The lowest bit is free, for the mark "billed".
    """
    content = b"%b\0%b" % (endpoint.encode(), encode_canonical(body))
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "little") & ~_BILLED


def item_key(endpoint: str, body: JsonObject) -> str:
    """Return the key under which `Stats` counts a request: a hash of endpoint and body.

    Clients name the same request differently at each attempt, so only its content identifies it.
    """
    return key_of_number(item_number(endpoint, body))


def prompt_number(said: str) -> int:
    """Return the identity of what a user said, as `item_number` returns that of an item."""
    digest = hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") & ~_BILLED


def key_of_number(number: int) -> str:
    """Return the key under which `Stats` counts what has this number."""
    return f"{number & ~_BILLED:016x}"


def marked(number: int, *, billed: bool) -> int:
    """Return the number as it is logged."""
    return number | billed


class ItemLog:
    """The executed items of all batches and live calls, on disk; a `kind` is a log of its own."""

    def __init__(self, folder: Path, kind: str = "items") -> None:
        self._folder = folder
        self._kind = kind

    def path(self, name: str) -> Path:
        """Return the file of a batch."""
        return self._folder / f"{name}.{self._kind}"

    def append(self, name: str, numbers: Iterable[int]) -> None:
        """Add items to a file."""
        with self.path(name).open("ab") as log:
            log.write(_packed(numbers))

    def write(self, name: str, numbers: array[int]) -> None:
        """Make a file anew; a batch that is run again after a kill counts once."""
        self.path(name).write_bytes(_packed(numbers))

    def read(self, name: str) -> list[int]:
        """Return the items of a file, in the order of their execution."""
        path = self.path(name)
        return list(_unpacked(path.read_bytes())) if path.exists() else []

    def keys_of(self, name: str, *, billed: bool | None = None) -> list[str]:
        """Return the keys of a batch's good (or bad, or all) rows, in the order of their file."""
        return [
            key_of_number(number)
            for number in self.read(name)
            if billed is None or bool(number & _BILLED) is billed
        ]

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Return how often each item was executed, and how often it was billed."""
        marks: Counter[int] = Counter()
        for path in self._folder.glob(f"*.{self._kind}"):
            marks.update(_unpacked(path.read_bytes()))
        executions: Counter[str] = Counter()
        billings: Counter[str] = Counter()
        for number, count in marks.items():
            executions[key_of_number(number)] += count
            if number & _BILLED:
                billings[key_of_number(number)] += count
        return executions, billings


def _packed(numbers: Iterable[int]) -> bytes:
    packed = array("Q", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpacked(data: bytes) -> array[int]:
    numbers = array("Q")
    numbers.frombytes(data[: len(data) // 8 * 8])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
