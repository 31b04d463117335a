"""Leave to make calls, given out in blocks to all processes of a ledger.

A permit has a time of its own, evenly spaced from the next one's, and is good for a second from
then on (``GOOD_FOR``). What is not used by then is lost. Times are apart by as much as it takes for
no sixty seconds, wherever they begin, to hold more calls than the limit, whoever makes them: each
of these calls has its time within the sixty seconds or in the second before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ai_batch.core.database import Transaction

__all__ = ["GOOD_FOR", "MINUTE", "Permits", "grant", "take_permits"]

MINUTE = 60.0

GOOD_FOR = 1.0
"""Seconds from a permit's time to its end."""

LATE = 0.5
"""Seconds by which a permit's time may have passed when it is given: who asks once the last one is
used has not lost what passed while it asked."""

AHEAD = 1.0
"""Seconds until the first permit of a block, at most. What a process took and does not live to use
is lost to the others, so nobody takes what is far away."""

MOMENT = 0.001

SET_BACK = 5.0
"""Seconds by which clocks of machines that ask the same server do not differ."""


@dataclass(frozen=True, slots=True)
class Permits:
    """So many calls, the first ``wait`` seconds from now and the others ``step`` seconds apart.

    ``wait`` may be less than 0. Where ``count`` is 0, it is when to ask again.
    """

    count: int
    wait: float
    step: float


def grant(paced_until: float, now: float, per_minute: float, most: int) -> tuple[Permits, float]:
    """What one who asks now is given, and until when all times are given away then."""
    step = (MINUTE + GOOD_FOR) / per_minute
    first = max(paced_until, now - LATE)
    # Who came a moment too early would otherwise come again at once, and again.
    if first > now + AHEAD + MOMENT:
        return Permits(0, first - AHEAD - now, step), paced_until
    count = min(most, max(math.floor(AHEAD / step), 1))
    return Permits(count, first - now, step), first + count * step


def take_permits(
    tx: Transaction, account: str, now: float, per_minute: float, most: int
) -> Permits:
    """Take a block from the account, whose row is locked."""
    paced_until, paced_at = tx.execute(
        "SELECT paced_until, paced_at FROM budget WHERE account = ?", (account,)
    )[0]
    if paced_at - now > SET_BACK:
        # The clock was set back, and what was given away is as far ahead as before.
        paced_until -= paced_at - now
    permits, until = grant(paced_until, now, per_minute, most)
    tx.execute(
        "UPDATE budget SET paced_until = ?, paced_at = ? WHERE account = ?", (until, now, account)
    )
    return permits
