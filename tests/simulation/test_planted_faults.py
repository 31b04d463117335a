"""The simulator under test: with a fault planted into a provider or the engine, it must find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ai_batch.anthropic.provider import AnthropicProvider
from ai_batch.core import Ledger, ledger, statements
from ai_batch.core.accounting import Accountant
from ai_batch.core.advance import Advancer
from ai_batch.core.database import Transaction
from ai_batch.core.policy import Policy
from ai_batch.core.provider import Candidate, Submission
from ai_batch.core.state import Shard, ShardState
from ai_batch.gemini.developer import DeveloperProvider
from ai_batch.gemini.provider import GoogleProvider
from ai_batch.gemini.storage import Storage
from ai_batch.openai import client as openai_client
from ai_batch.openai.provider import OpenAIProvider
from tests.simulation.histories import crashes, damaged, doubts, foreign, real_pauses
from tests.simulation.history import outcome_of
from tests.simulation.plan import Plan
from tests.simulation.shrink import shrunk

pytestmark = pytest.mark.exhaustive

Plant = Callable[[pytest.MonkeyPatch], None]


async def nothing_found(*_: object) -> list[Candidate]:
    """No batch, wherever it is looked for."""
    return []


async def nothing_done(*_: object) -> None:
    """A call that is not made."""


def openai_forgets_tokens(patch: pytest.MonkeyPatch) -> None:
    """Never finds its batches again."""
    patch.setattr(OpenAIProvider, "find", nothing_found)


def sdk_retries(patch: pytest.MonkeyPatch) -> None:
    """Leaves the SDK's own retries on, as they are by default."""

    def made(settings: Any) -> Any:
        return settings.client.with_options(max_retries=2)

    patch.setattr(openai_client, "make_client", made)
    patch.setattr("ai_batch.openai.api.make_client", made)


def late_intent(patch: pytest.MonkeyPatch) -> None:
    """Records the intent once the batch has been created."""

    async def create(self: Advancer, shard: Shard) -> Shard:
        remote_id = await self._provider.create(self._submission(shard))
        shard = await self._move(shard, ShardState.INTENT, intent_at=self._ledger.now())
        return await self._submitted(shard, remote_id)

    patch.setattr(Advancer, "_create", create)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """Lets everybody write, whoever holds the lease."""

    def unfenced(tx: Transaction, shard: Shard, changes: dict[str, object]) -> None:
        statements.set_columns(tx, shard, **changes)

    patch.setattr(ledger, "change_fenced", unfenced)


def anthropic_trusts(patch: pytest.MonkeyPatch) -> None:
    """Adopts whatever has the right size, without a look at its rows."""

    async def candidates(_: object, batch: dict[str, Any], __: Submission) -> list[Candidate]:
        return [Candidate(str(batch["id"]))]

    patch.setattr(AnthropicProvider, "_candidates", candidates)


def shared_rejects(patch: pytest.MonkeyPatch) -> None:
    """Takes what one shard has rejected for no other shard's either."""

    def rejected(self: Ledger, shard: Shard) -> frozenset[str]:
        with self._database.transaction() as tx:
            rows = tx.execute("SELECT remote_id FROM rejected WHERE account = ?", (shard.account,))
            taken = tx.execute("SELECT remote_id FROM shard WHERE remote_id IS NOT NULL")
        return frozenset(row[0] for row in (*rows, *taken))

    patch.setattr(Ledger, "rejected", rejected)


def hasty(patch: pytest.MonkeyPatch) -> None:
    """Creates again as soon as the batch is not listed."""
    make = Policy.__init__

    def made(policy: Policy, **given: Any) -> None:
        given["settle_wait"] = 0.0
        make(policy, **given)

    patch.setattr(Policy, "__init__", made)


def gemini_leaves_inputs(patch: pytest.MonkeyPatch) -> None:
    """Gives a create call up and leaves its input, so that it may still take effect."""
    patch.setattr(DeveloperProvider, "revoke", nothing_done)


def gemini_forgets_names(patch: pytest.MonkeyPatch) -> None:
    """Never finds its batches again."""
    patch.setattr(GoogleProvider, "find", nothing_found)


def twice_counted(patch: pytest.MonkeyPatch) -> None:
    """Counts what a row has cost once more where the row comes twice."""
    take = Accountant._take

    def doubled(self: Accountant, source: Any, offset: int, row: bytes) -> None:
        before = self.account.duplicates
        take(self, source, offset, row)
        if self.account.duplicates > before:
            self._add_usage(self._provider.scan(row, self._shard.route))

    patch.setattr(Accountant, "_take", doubled)


def vertex_keeps_inputs(patch: pytest.MonkeyPatch) -> None:
    """Deletes nothing from the storage."""
    patch.setattr(Storage, "delete", nothing_done)


PLANTED: list[tuple[str, Plant, Callable[[str], Iterator[Plan]]]] = [
    ("openai", openai_forgets_tokens, crashes),
    ("openai", sdk_retries, doubts),
    ("openai", late_intent, crashes),
    ("anthropic", anthropic_trusts, foreign),
    ("anthropic", shared_rejects, doubts),
    ("anthropic", hasty, doubts),
    ("anthropic", twice_counted, damaged),
    ("gemini", no_fence, real_pauses),
    ("gemini", gemini_leaves_inputs, real_pauses),
    ("gemini", gemini_forgets_names, crashes),
    ("vertex", vertex_keeps_inputs, crashes),
    ("vertex", late_intent, crashes),
]


@pytest.mark.parametrize(
    ("provider", "plant", "histories"),
    PLANTED,
    ids=[f"{provider}-{plant.__name__}" for provider, plant, _ in PLANTED],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    plant: Plant,
    histories: Callable[[str], Iterator[Plan]],
) -> None:
    """With one rule broken, one of some dozens of histories breaks a promise."""
    plant(monkeypatch)

    assert any(outcome_of(plan).failure for plan in histories(provider))


def test_a_failing_history_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what it takes to fail is left of all that went wrong."""
    openai_forgets_tokens(monkeypatch)
    found = next(
        outcome
        for outcome in map(outcome_of, doubts("openai"))
        if outcome.failure and len(outcome.incidents) > 2
    )

    small = outcome_of(shrunk(found.plan, found.incidents))

    assert small.failure
    assert len(small.incidents) < len(found.incidents)
