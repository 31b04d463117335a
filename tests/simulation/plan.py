"""What one history is like, drawn from its seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.dice import Dice

__all__ = [
    "DAY",
    "FAKES",
    "LONG_PAUSES",
    "PROVIDERS",
    "REAL",
    "SETTLE_WAIT",
    "SHORT_PAUSE",
    "Plan",
    "draw",
    "kind_of",
    "longest_of",
]

DAY = 86400.0

SETTLE_WAIT = 200.0
"""Seconds; longer than any lag of the simulated vendors, as the real one must be."""

SHORT_PAUSE = 125.0
"""Seconds; longer than a lease. With latency and lag it must stay below ``SETTLE_WAIT`` where no
file can be revoked: a create call that takes effect after it can't be told from a lost one."""

LONG_PAUSES = (SHORT_PAUSE, 600.0, 2500.0)

LAGS = (0.0, 0.0, 1.0, 40.0)
"""Seconds for which lists do not show a new batch."""

FAKES: dict[str, dict[str, Any]] = {
    "fake": {"metadata": True, "uploads": True},
    "fake-bare": {"metadata": False, "uploads": False},
    "fake-inline": {"metadata": True, "uploads": False},
    "fake-foreign": {"metadata": False, "uploads": False, "foreign": True},
}
"""Semantics of vendors: by what a batch is found again, and whether a file fences its creation."""

REAL: dict[str, dict[str, Any]] = {
    "openai": {"metadata": True, "uploads": True},
    "anthropic": {"metadata": False, "uploads": False},
    "gemini": {"metadata": True, "uploads": True},
    "vertex": {"metadata": True, "uploads": True},
}
"""Providers with their SDKs, and what their vendors are like."""

PROVIDERS = (*FAKES, *REAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one history is like. Counts are of incidents at most; times are in seconds."""

    seed: int = 0
    provider: str = "fake"
    requests: int = 4
    per_batch: int = 2
    metadata: bool = True
    uploads: bool = True
    foreign: bool = False
    deaths: tuple[int, ...] = ()
    programs: int = 1
    one_machine: bool = True
    pauses: int = 0
    pauses_before: str = ""
    pauses_for: float = LONG_PAUSES[-1]
    troubles: int = 0
    bad_fates: int = 0
    bad_items: int = 0
    damages: int = 0
    losses: int = 0
    lag: float = 0.0
    latency: float = 0.0
    slowest: float = 150.0
    rest: float = 1.0
    streams: bool = False
    progress: bool = False
    cancel_after: float | None = None
    max_batches: int | None = None
    tight: bool = False
    poll_interval: float | None = 40.0
    settle_wait: float = SETTLE_WAIT
    without: tuple[str, ...] = field(default=(), repr=False)


def longest_of(plan: Plan) -> float:
    """Virtual seconds after which a history has hung."""
    return DAY + 9 * plan.slowest + len(plan.deaths) * plan.rest


def kind_of(provider: str) -> dict[str, Any]:
    """What the vendor of a provider is like."""
    return {"provider": provider, **(FAKES.get(provider) or REAL[provider])}


def draw(seed: int, provider: str, without: tuple[str, ...] = ()) -> Plan:
    """A random history; ``without`` names incidents that are not to happen in it."""
    dice = Dice(f"plan {seed} {provider}")
    some = dice.choice("some", [0, 1, 1, 3])
    slow = provider in REAL and dice.chance("slow", 0.05)
    foreign = provider == "fake-foreign" or (
        provider == "anthropic" and dice.chance("foreign", 0.5)
    )
    kind: dict[str, Any] = {**kind_of(provider), "foreign": foreign}
    deaths = dice.choice("deaths", [0, 1, 1, 3])
    return Plan(
        seed=seed,
        **kind,
        requests=dice.choice("requests", [1, 2, 3, 5, 8]),
        per_batch=dice.choice("per batch", [1, 2, 3]),
        deaths=tuple(1 + int(120 * dice.fraction("death")) for _ in range(deaths)),
        programs=dice.choice("programs", [1, 1, 1, 2]),
        one_machine=dice.chance("one machine", 0.5),
        pauses=dice.choice("pauses", [0, 0, 1]),
        troubles=dice.choice("troubles", [0, some, 4]),
        bad_fates=dice.choice("bad fates", [0, some]),
        bad_items=dice.choice("bad items", [0, 0, some]),
        damages=dice.choice("damages", [0, some]),
        losses=dice.choice("losses", [0, 0, 1]),
        lag=dice.choice("lag", LAGS),
        latency=dice.choice("latency", [0.0, 0.1, 5.0, 30.0]),
        slowest=2 * DAY if slow else 150.0,
        rest=dice.choice("rest", [*[1.0] * 11, 40 * DAY]),
        streams=dice.chance("streams", 0.3),
        progress=dice.chance("progress", 0.3),
        cancel_after=dice.choice("cancel", [None, None, None, None, 5.0, 100.0]),
        max_batches=None if slow else dice.choice("max batches", [None, 1, 2]),
        tight=not slow and dice.chance("tight", 0.15),
        poll_interval=1800.0 if slow else dice.choice("poll interval", [None, 20.0, 60.0]),
        without=without,
    )
