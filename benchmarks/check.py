"""Whether a contestant's answers are right: all of them, once, each to its own request, in order.

The server's answer is the prompt itself, so that each answer can be told from all others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CLOSE = 1e-5
"""Vectors may come as 32-bit floats."""

Answer = str | list[float] | None


@dataclass(frozen=True)
class Wanted:
    """The right answer to a request; None where the server refuses it."""

    id: str
    answer: Answer


@dataclass(frozen=True)
class Given:
    """What a contestant made of a request; no id where its API gives answers by position only."""

    id: str | None
    answer: Answer
    error: str | None


@dataclass
class Verdict:
    """How many requests came to what. All but ``right`` and ``refused`` are faults.

    ``right``: answered once, with their own answer. ``refused``: refused by the server, and given
    as an error. ``lost``: neither an answer nor an error. ``doubled``: rows too many for the same
    request. ``swapped``: the answer of another request. ``wrong``: an answer of no request, or of
    one that was refused. ``failed``: an error, though the server had answered. ``foreign``: rows of
    no request. ``in_order``: rows came in the order of the requests.
    """

    requests: int = 0
    right: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    swapped: int = 0
    wrong: int = 0
    failed: int = 0
    foreign: int = 0
    in_order: bool = True
    by: str = "id"

    @property
    def correct(self) -> bool:
        """Whether each request has come to what it should; the order is a matter of its own."""
        return self.right + self.refused == self.requests and not (self.doubled or self.foreign)

    @property
    def faults(self) -> dict[str, int]:
        """What went wrong, and how often."""
        names = ("lost", "doubled", "swapped", "wrong", "failed", "foreign")
        return {name: count for name in names if (count := getattr(self, name))}

    def to_json(self) -> dict[str, object]:
        """All figures, and the conclusion."""
        return {**asdict(self), "correct": self.correct}


def judge(wanted: Sequence[Wanted], given: Iterable[Given]) -> Verdict:
    """Compare what was given with what was wanted."""
    verdict = Verdict(requests=len(wanted))
    places: dict[str | None, int] = {one.id: place for place, one in enumerate(wanted)}
    owners = {_key(one.answer): one.id for one in wanted if one.answer is not None}
    seen: set[str | None] = set()
    last = -1
    for row in _with_ids(wanted, given, verdict):
        if row.id not in places:
            verdict.foreign += 1
        elif row.id in seen:
            verdict.doubled += 1
        else:
            seen.add(row.id)
            place = places[row.id]
            verdict.in_order &= place > last
            last = place
            _count(wanted[place], row, owners, verdict)
    verdict.lost += len(wanted) - len(seen)
    return verdict


def _with_ids(
    wanted: Sequence[Wanted], given: Iterable[Given], verdict: Verdict
) -> Iterator[Given]:
    """The rows; where the first has no id, each is that of the request at its place."""
    for place, row in enumerate(given):
        if place == 0 and row.id is None:
            verdict.by = "position"
        if verdict.by == "id":
            yield row
        else:
            id = wanted[place].id if place < len(wanted) else None
            yield Given(id, row.answer, row.error)


def _count(wanted: Wanted, row: Given, owners: Mapping[str, str], verdict: Verdict) -> None:
    if row.error is not None:
        if wanted.answer is None:
            verdict.refused += 1
        else:
            verdict.failed += 1
    elif row.answer is None:
        verdict.lost += 1
    elif wanted.answer is not None and equal(row.answer, wanted.answer):
        verdict.right += 1
    elif _key(row.answer) in owners:
        verdict.swapped += 1
    else:
        verdict.wrong += 1


def equal(one: Answer, other: Answer) -> bool:
    """Whether two answers are the same, vectors within what a 32-bit float can hold."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            math.isclose(a, b, abs_tol=CLOSE) for a, b in zip(one, other, strict=True)
        )
    return one == other


def _key(answer: Answer) -> str:
    """The same for equal answers."""
    if isinstance(answer, list):
        return " ".join(f"{number:.3f}" for number in answer)
    return str(answer)


def read(path: Path) -> Iterator[Given]:
    """What a contestant has written down; nothing where it has not come to that."""
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield Given(row["id"], row["answer"], row["error"])
