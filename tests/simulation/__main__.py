"""Many histories on all processors: ``make simulate SEEDS=20000 [FIRST=1] [PROVIDER=openai]``."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.campaign import Tally, run
from tests.simulation.history import outcome_of
from tests.simulation.mix import MIX
from tests.simulation.plan import PROVIDERS, draw
from tests.simulation.shrink import shrunk


def tell(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def explain(seed: int, provider: str) -> None:
    """Print what is left of a failing history when all is gone that it can fail without."""
    found = outcome_of(draw(seed, provider))
    plan = shrunk(found.plan, found.incidents)
    outcome = outcome_of(plan)
    tell(f"\n== seed {seed} of {provider}: {outcome.failure or found.failure}")
    tell(f"   {plan}")
    for line in outcome.trace:
        tell(f"   {line}")
    tell(f"   what went wrong, of {len(found.incidents)} incidents:")
    for incident in outcome.incidents:
        tell(f"   - {incident.key}: {incident.what}")
    tell(f"   again: make simulate FIRST={seed} SEEDS=1 PROVIDER={provider}")


def report(tally: Tally, seconds: float) -> None:
    """Print what was lived through."""
    count = sum(tally.histories.values())
    tell(f"{count} histories in {seconds:.0f} s, {60 * count / seconds:.0f} a minute")
    for name in sorted(tally.histories, key=PROVIDERS.index):
        each = 1000 * tally.seconds[name] / tally.histories[name]
        tell(f"  {name:14} {tally.histories[name]:7} histories {each:7.1f} ms each")
    tell("what went wrong in them, and did no harm:" if not tally.failed else "what went wrong:")
    for kind, times in tally.incidents.most_common():
        tell(f"  {kind:24} {times:7}")


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--provider", choices=PROVIDERS)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    shares = ", ".join(f"{name} {share}" for name, share in MIX.items())
    tell(f"mix, of {sum(MIX.values())}: {given.provider or shares}")
    started = time.perf_counter()
    tally = run(given.first, given.seeds, given.provider, given.processes)
    report(tally, time.perf_counter() - started)
    for seed, name in tally.failed[:3]:
        explain(seed, name)
    if tally.failed:
        tell(f"\n{len(tally.failed)} FAILED: {tally.failed[:50]}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
