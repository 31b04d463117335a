"""How long and how often the engine tries before it gives something up."""

from __future__ import annotations

__all__ = [
    "CALLED_OFF",
    "CANCEL_AGAIN",
    "LEDGER_WAITS",
    "LOST_AFTER",
    "MAX_CLEANUP_FAILURES",
    "MAX_FETCH_FAILURES",
    "MAX_REFUSALS",
    "MIN_MISSES",
    "NO_ROOM_WAITS",
    "SPLIT_AFTER",
    "TOO_LARGE",
    "WORTH_TELLING",
]

LOST_AFTER = 6 * 3600.0
"""Seconds for which a batch may stay unknown to the vendor before it is given up: reads lag
behind writes for minutes (anthropics/anthropic-sdk-python#1432)."""

MIN_MISSES = 10
"""How often it must have been asked for in vain by then: nobody may have asked meanwhile."""

MAX_REFUSALS = 5
"""How often a shard is mended and sent again after the vendor refused it as a whole."""

SPLIT_AFTER = 3
"""How often a shard waits for the queue while nothing else of ours is in it."""

CALLED_OFF = 120.0
"""Seconds between the deletion of an input and the last look for its batch: of two processes, one
that was asleep may have made it a moment before, and lists do not show it yet."""

CANCEL_AGAIN = 60.0
"""Seconds after which a batch that goes on regardless is cancelled once more."""

MAX_FETCH_FAILURES = 30
"""How often a refused download is tried (half an hour) before the results are given up."""

MAX_CLEANUP_FAILURES = 8
"""How often deleting a batch's files is tried; the job does not end before that."""

NO_ROOM_WAITS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0)
"""Seconds until a disk that was full is tried again; then somebody has to make room first."""

LEDGER_WAITS = (1.0, 2.0, 5.0, 10.0, *[20.0] * 89)
"""Seconds until a ledger whose database was away is tried again, for half an hour in all."""

TOO_LARGE = 413
"""The HTTP status for a body that the server, or a proxy in front of it, does not take."""

WORTH_TELLING = 4
"""Failures in a row after which a person may want to know."""
