"""Makes a failing history smaller: takes away what went wrong in it, as long as it still fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.simulation.dice import Incident
from tests.simulation.history import outcome_of
from tests.simulation.plan import Plan

__all__ = ["shrunk"]

MOST = 200
"""Histories that are tried."""


def shrunk(plan: Plan, incidents: Sequence[Incident]) -> Plan:
    """The same plan without the incidents that it takes not to fail.

    First halves of them are taken away, then ever smaller parts, at last one by one.
    """
    left = [incident.key for incident in incidents]
    without = list(plan.without)
    tries = 0
    size = max(len(left) // 2, 1)
    while size and left:
        smaller = False
        for start in range(0, len(left), size):
            part = left[start : start + size]
            tries += 1
            if tries > MOST:
                return replace(plan, without=tuple(without))
            outcome = outcome_of(replace(plan, without=(*without, *part)))
            if outcome.failure is not None:
                without += part
                happened = {incident.key for incident in outcome.incidents}
                left = [key for key in left if key in happened and key not in part]
                smaller = True
                break
        if not smaller:
            size //= 2
    return replace(plan, without=tuple(without))
