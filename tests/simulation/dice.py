"""Chance, from one seed: each decision is a function of its place and number, and of nothing else.

A decision that is taken away leaves all others as they were, as far as the history still comes to
them. That is what lets a failing history be made smaller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

__all__ = ["Dice", "Incident"]

Thing = TypeVar("Thing")

_RANGE = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong: ``key`` names it in every run of the same history."""

    key: str
    what: str


class Dice:
    """Draws for one history; ``without`` names incidents that are not to happen."""

    def __init__(self, seed: int | str, without: Collection[str] = ()) -> None:
        self._seed = seed
        self._without = frozenset(without)
        self._drawn: Counter[str] = Counter()
        self.incidents: list[Incident] = []
        self.on_incident: Callable[[Incident], object] = id

    def digest(self, place: str, size: int) -> bytes:
        """Bytes of which nobody has seen the same."""
        self._drawn[place] += 1
        text = f"{self._seed}/{place}/{self._drawn[place]}"
        return blake2b(text.encode(), digest_size=size).digest()

    def fraction(self, place: str = "any") -> float:
        """From 0 to 1, without 1."""
        return int.from_bytes(self.digest(place, 8), "big") / _RANGE

    def chance(self, place: str, probability: float) -> bool:
        """Whether something happens that has this probability."""
        return self.fraction(place) < probability

    def choice(self, place: str, things: Sequence[Thing]) -> Thing:
        """One of these."""
        return things[int(self.fraction(place) * len(things))]

    def shuffled(self, place: str, things: Sequence[Thing]) -> list[Thing]:
        """All of these, in some order."""
        return sorted(things, key=lambda _: self.fraction(place))

    def happens(self, place: str, what: str) -> bool:
        """Have an incident, unless this one is not to be."""
        self._drawn[f"incident {place}"] += 1
        incident = Incident(f"{place}#{self._drawn[f'incident {place}']}", what)
        if incident.key in self._without:
            return False
        self.incidents.append(incident)
        self.on_incident(incident)
        return True
