"""Everything that reads what others have written, by name, and the seeds to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.answers import BODIES, ROWS
from tests.fuzz.files import FILES

__all__ = ["TARGETS", "load_seeds", "save_seeds"]

CORPUS = Path(__file__).parent / "corpus"

TARGETS: dict[str, Callable[[bytes], None]] = {**ROWS, **BODIES, **FILES}
"""Raise nothing, whatever the bytes; an ``AssertionError`` where a promise is broken."""


def load_seeds(name: str) -> list[bytes]:
    """The inputs that are known for a target: examples, and what was found to break it once."""
    lines = (CORPUS / f"{name}.jsonl").read_text("ascii").splitlines()
    return [json.loads(line).encode("latin-1") for line in lines]


def save_seeds(name: str, seeds: list[bytes]) -> None:
    """Keep the inputs of a target: one JSON string per line, each character a byte."""
    CORPUS.mkdir(exist_ok=True)
    lines = [json.dumps(seed.decode("latin-1")) + "\n" for seed in seeds]
    (CORPUS / f"{name}.jsonl").write_text("".join(lines), "ascii")
