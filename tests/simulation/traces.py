"""Writes a digest of what happened in each of some histories, to be compared with another run's."""

from __future__ import annotations

import sys
from hashlib import blake2b

from tests.simulation.history import Outcome, outcome_of
from tests.simulation.plan import PROVIDERS, draw

__all__ = ["digest_of"]


def digest_of(outcome: Outcome) -> str:
    """The same for histories that were the same to the last step."""
    text = "\n".join([*outcome.trace, str(outcome.failure)])
    return blake2b(text.encode(), digest_size=8).hexdigest()


def main(first: int, count: int) -> None:
    """Live through some histories of each provider."""
    for provider in PROVIDERS:
        for seed in range(first, first + count):
            digest = digest_of(outcome_of(draw(seed, provider)))
            sys.stdout.write(f"{provider} {seed} {digest}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
