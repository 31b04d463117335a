"""Where values stand on an axis, and at which of them there is a mark. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log10

from ai_batch.cli.texts import money

__all__ = ["Scale", "amounts", "brief", "durations", "lasting", "sums"]

SECONDS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 900.0, 1800.0),
    *(3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0),
)
"""Distances of marks on an axis of time; longer ones are whole days."""


@dataclass(frozen=True)
class Scale:
    """An axis from 0 to ``top``, with marks and how they are written."""

    top: float
    marks: tuple[float, ...]
    text: Callable[[float], str]

    def place(self, value: float, length: float) -> float:
        """How far along an axis of this length the value stands."""
        return min(max(value / self.top, 0.0), 1.0) * length


def amounts(highest: float, marks: int = 4) -> Scale:
    """A scale for counts: whole numbers."""
    step = max(_round_step(highest / marks), 1.0)
    return _scale(highest, step, brief)


def sums(highest: float, marks: int = 4) -> Scale:
    """A scale for USD."""
    step = _round_step(highest / marks) if highest > 0 else 0.25
    # As many as the step needs: 0.0025 is one more than 0.002.
    places = next((n for n in range(9) if abs(round(step, n) - step) < step / 1000), 9)
    places = max(places, 2) if places else 0
    return _scale(highest, step, lambda value: f"${value:,.{places}f}" if value else money(0))


def durations(longest: float, marks: int = 5) -> Scale:
    """A scale for seconds; it ends with the longest, so that nothing is drawn after now."""
    wanted = longest / marks
    step = next((one for one in SECONDS if one >= wanted), 0.0)
    step = step or ceil(wanted / 86_400) * 86_400.0
    whole = _scale(longest, step, lasting)
    top = max(longest, 0.01)
    return Scale(top, tuple(mark for mark in whole.marks if mark <= top), lasting)


def _scale(highest: float, step: float, text: Callable[[float], str]) -> Scale:
    steps = max(ceil(highest / step - 1e-9), 1)
    return Scale(steps * step, tuple(at * step for at in range(steps + 1)), text)


def _round_step(wanted: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10, times a power of ten."""
    if wanted <= 0:
        return 1.0
    power = 10.0 ** floor(log10(wanted))
    return next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= wanted - 1e-12)


def brief(value: float) -> str:
    """``950``, ``1.5k``, ``20M``: what fits beside a mark."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.2f}".rstrip("0").rstrip(".") + unit
    return f"{value:.1f}".rstrip("0").rstrip(".")


def lasting(seconds: float) -> str:
    """``0.4s``, ``42s``, ``3m 05s``, ``2h 10m``, ``3d 4h``; no unit that is zero at the end."""
    if seconds < 10:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + "s"
    whole = round(seconds)
    for size, unit, smaller, part in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            padded = f" {rest:02d}{part}" if part != "h" else f" {rest}{part}"
            return f"{whole // size}{unit}" + (padded if rest else "")
    return f"{whole}s"
