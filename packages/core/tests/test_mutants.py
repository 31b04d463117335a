"""The simulator under test: with one rule of the protocol taken out, it must find a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from ai_batch.core import (
    AIBatchError,
    Ledger,
    accounting,
    collect,
    ledger,
    statements,
)
from ai_batch.core.accounting import Accountant
from ai_batch.core.advance import Advancer
from ai_batch.core.budget import move_budget
from ai_batch.core.database import Transaction
from ai_batch.core.policy import Policy
from ai_batch.core.provider import Candidate
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import HOLDS_BUDGET, Shard, ShardState
from ai_batch.core.testing import FakeProvider
from tests.simulation.histories import crashes, damaged, doubts, foreign, last_words, pauses
from tests.simulation.history import simulate_all
from tests.simulation.plan import Plan

Mutate = Callable[[pytest.MonkeyPatch], None]


def no(*_: object) -> bool:
    """Does nothing, and says no."""
    return False


def itself(folder: JobFolder, _: object) -> JobFolder:
    """The folder as it is."""
    return folder


def no_find(patch: pytest.MonkeyPatch) -> None:
    """Creates again without looking for the batch."""

    async def find(*_: object) -> None:
        return None

    patch.setattr(Advancer, "_find", find)


def no_revoke(patch: pytest.MonkeyPatch) -> None:
    """Leaves the input file of a create call that is given up."""

    async def revoke(*_: object) -> None:
        return None

    patch.setattr(FakeProvider, "revoke", revoke)


def late_intent(patch: pytest.MonkeyPatch) -> None:
    """Records the intent once the batch has been created."""

    async def create(self: Advancer, shard: Shard) -> Shard:
        remote_id = await self._provider.create(self._submission(shard))
        intent_at = self._ledger.now()
        shard = await self._move(shard, ShardState.INTENT, intent_at=intent_at)
        return await self._submitted(shard, remote_id)

    patch.setattr(Advancer, "_create", create)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Lets everybody write, whoever holds the lease."""

    def unfenced(tx: Transaction, shard: Shard, changes: dict[str, object]) -> None:
        statements.set_columns(tx, shard, **changes)

    patch.setattr(ledger, "change_fenced", unfenced)


def once(*_: object) -> int:
    """One look."""
    return 1


def no_refund(patch: pytest.MonkeyPatch) -> None:
    """Keeps the room of batches that have ended."""
    give = move_budget

    def keep(tx: Transaction, shard: Shard, to: ShardState, now: float) -> None:
        if to in HOLDS_BUDGET:
            give(tx, shard, to, now)

    patch.setattr(ledger, "move_budget", keep)


def first_download(patch: pytest.MonkeyPatch) -> None:
    """Takes the first download for whole, and asks what is missing again."""
    patch.setattr(collect, "_downloads", once)


def missing_rows(patch: pytest.MonkeyPatch) -> None:
    """Says nothing about requests without a row."""
    patch.setattr(Accountant, "fill", no)
    patch.setattr(collect, "_downloads", once)


def any_row(patch: pytest.MonkeyPatch) -> None:
    """Takes every row for one of its own."""

    def index_of(wire_id: str, _: str) -> int:
        return int(wire_id.rpartition("-")[2])

    patch.setattr(accounting, "index_of", index_of)


def blind_adoption(patch: pytest.MonkeyPatch) -> None:
    """Takes every batch of the right size for its own."""
    adopt = Ledger.adopt

    def certain(
        self: Ledger, shard: Shard, found: Sequence[Candidate], **changes: object
    ) -> object:
        return adopt(self, shard, [Candidate(one.remote_id) for one in found], **changes)

    patch.setattr(Ledger, "adopt", certain)


def _hasty(make: Callable[..., None]) -> Callable[..., None]:
    def made(policy: Policy, **given: Any) -> None:
        given["settle_wait"] = 0.0
        make(policy, **given)

    return made


def hasty(patch: pytest.MonkeyPatch) -> None:
    """Creates again as soon as the batch is not listed."""
    patch.setattr(Policy, "__init__", _hasty(Policy.__init__))


def no_strays(patch: pytest.MonkeyPatch) -> None:
    """Forgets that an upload may have arrived."""

    async def forget(_: Advancer, shard: Shard) -> Shard:
        return shard

    patch.setattr(Advancer, "_maybe_uploaded", forget)


def no_guard(patch: pytest.MonkeyPatch) -> None:
    """Puts files in place without looking whether the lease still holds."""
    patch.setattr(JobFolder, "guarded", itself)


def no_eviction(patch: pytest.MonkeyPatch) -> None:
    """Lets a batch stay with a shard that adopted it while it was being created."""
    patch.setattr(Ledger, "_evict", no)


def no_suspicion(patch: pytest.MonkeyPatch) -> None:
    """Takes a batch that another shard only suspects to be its own for lost."""
    patch.setattr(ledger, "_SUSPECTED", "1 = 0")


MUTANTS: list[tuple[Mutate, Callable[[], Iterator[Plan]]]] = [
    (no_find, crashes),
    (no_revoke, pauses),
    (late_intent, crashes),
    (no_fence, pauses),
    (no_refund, crashes),
    (first_download, damaged),
    (missing_rows, damaged),
    (any_row, damaged),
    (blind_adoption, foreign),
    (hasty, doubts),
    (no_strays, crashes),
    (no_guard, last_words),
    (no_eviction, doubts),
    (no_suspicion, doubts),
]


@pytest.mark.parametrize("histories", [crashes, damaged, foreign, doubts])
def test_the_protocol_as_it_is_passes(
    histories: Callable[[], Iterator[Plan]],
) -> None:
    """The histories that catch the mutants find nothing wrong without them."""
    simulate_all(histories())


@pytest.mark.parametrize(
    ("mutate", "histories"), MUTANTS, ids=[mutate.__name__ for mutate, _ in MUTANTS]
)
def test_a_broken_protocol_is_caught(
    monkeypatch: pytest.MonkeyPatch,
    mutate: Mutate,
    histories: Callable[[], Iterator[Plan]],
) -> None:
    """With one rule of the protocol taken out, some history breaks a promise."""
    mutate(monkeypatch)

    with pytest.raises((AIBatchError, AssertionError, OSError, TimeoutError, ValueError)):
        simulate_all(histories())
