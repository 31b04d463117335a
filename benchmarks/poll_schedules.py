"""How far the engine's schedule of polling lags behind, and how often it asks.

Batches take a time drawn log-uniformly between a minute and a day, and move on evenly after a
tenth of it. Prints one line of JSON per schedule: name, mean lag, 95th percentile of the lag, mean
number of polls.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator

from ai_batch.core.schedule import poll_delay

BATCHES = 2000
TOTAL = 10_000

Schedule = Callable[[float, int], float]


def durations() -> Iterator[float]:
    """The same durations for every schedule."""
    chance = random.Random(7)
    for _ in range(BATCHES):
        yield 60.0 * 1440.0 ** chance.random()


def polls_of(duration: float, schedule: Schedule) -> tuple[float, int]:
    """Seconds from the batch's end to the poll that sees it, and the number of polls."""
    now, polls = 0.0, 0
    while now < duration:
        moved = max(0.0, now - 0.1 * duration) / (0.9 * duration)
        now += schedule(now, int(moved * TOTAL))
        polls += 1
    return now - duration, polls


def compare() -> Iterator[tuple[str, float, float, float]]:
    """Name, mean lag, 95th percentile of the lag, and mean number of polls of each schedule."""
    schedules: dict[str, Schedule] = {
        "every 30 s": lambda _age, _done: 30.0,
        "every 60 s": lambda _age, _done: 60.0,
        "every 300 s": lambda _age, _done: 300.0,
        "ai-batch": lambda age, done: poll_delay(age, done, TOTAL),
    }
    for name, schedule in schedules.items():
        found = [polls_of(duration, schedule) for duration in durations()]
        lags = sorted(lag for lag, _ in found)
        polls = sum(count for _, count in found) / BATCHES
        yield name, sum(lags) / BATCHES, lags[int(0.95 * BATCHES)], polls


if __name__ == "__main__":
    for row in compare():
        sys.stdout.write(json.dumps(row) + "\n")
