"""All providers under a deterministic simulator: crashes, faults, damage, pauses, second programs.

One seed is one history, on virtual time; ``make simulate SEEDS=20000`` lives through as many. After
each, the vendor's books, the ledger, the spool and the results are compared with what was promised.
"""

from __future__ import annotations

import pytest

from tests.simulation.campaign import run_block
from tests.simulation.history import outcome_of
from tests.simulation.plan import PROVIDERS, draw

EACH = 25
"""Histories of one test: tests can be shared out to processes."""

REGRESSIONS = {
    ("openai", 59): "results that had expired were waited for without end",
    ("gemini", 388): "a batch made while its input was deleted was overlooked in a lagging list",
    ("anthropic", 476): "a cancel that the vendor refused ended the whole job",
    ("gemini", 30518): "answers that a batch did not name at first were asked, and paid for, again",
    ("openai", 100040): "a short download of a cancelled batch was taken for whole",
    ("fake-bare", 319961): "a shard took another's batch for its own, and was lost with it",
    ("gemini", 311902): "a proxy's page was given the status of the vendor's refusal",
    ("fake", 303431): "a planning that nobody had come by since was taken for left behind",
    ("fake-bare", 508365): "a job whose planner had died before its mark was gone was nobody's",
    ("fake-foreign", 504111): "a row that was lost was looked for until a batch that had vanished",
    ("fake-foreign", 615460): "a batch without a row was looked for until one that had vanished",
    ("anthropic", 703239): "a batch that might have been either of two shards' was asked again",
    ("fake-bare", 804476): "one of two shards that a vanished batch may have been was asked again",
    ("anthropic", 803409): "a batch that was known to be another program's was thought to be gone",
    ("openai", 705506): "one short download of a cancelled batch was taken for all there was",
    ("openai", 715658): "one short download of a cancelled batch was taken for all there was",
}
"""Seeds that have found a fault, and which."""


FEW = range(1, 151, EACH)
MANY = range(FEW.stop, 1001, EACH)


@pytest.mark.parametrize(
    "first", [*FEW, *(pytest.param(first, marks=pytest.mark.exhaustive) for first in MANY)]
)
def test_random_histories_keep_every_promise(first: int) -> None:
    """Whatever goes wrong, each request is answered once, paid for once, and all is tidied up."""
    tally = run_block(first, EACH, None)

    again = [f"make simulate FIRST={seed} SEEDS=1 PROVIDER={name}" for seed, name in tally.failed]
    assert not tally.failed, again
    assert sum(tally.histories.values()) == EACH


@pytest.mark.parametrize(("provider", "seed"), REGRESSIONS)
def test_what_was_once_found_stays_mended(provider: str, seed: int) -> None:
    """Histories in which a promise was broken once, before it was mended."""
    assert outcome_of(draw(seed, provider)).failure is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_much_goes_wrong(provider: str) -> None:
    """The histories are no idle ones: crashes, troubles and vendors' faults happen in them."""
    happened = {
        incident.key.partition(" ")[0].partition("#")[0]
        for seed in range(1, 16)
        for incident in outcome_of(draw(seed, provider)).incidents
    }

    assert {"death", "trouble"} <= happened
    assert len(happened) >= 4, happened
