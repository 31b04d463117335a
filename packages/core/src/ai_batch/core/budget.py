"""How much of an account stands in the vendor's queue, as statements within a transaction.

The row of an account is shared by every job, process and machine on the ledger, so that the
vendor's limits hold globally.
"""

from __future__ import annotations

from ai_batch.core.database import Transaction
from ai_batch.core.state import HOLDS_BUDGET, Shard, ShardState

__all__ = ["FREES", "WAITING", "ensure_budget", "has_room", "move_budget"]

FREES = frozenset({ShardState.ENDED, ShardState.FAILED})
"""States that give back room for good: others may go into the queue instead."""

WAITING = "account = ? AND state = 'planned' AND cleaned = 0 AND next_at > ?"
"""Shards that are woken when their account gets room."""

LEARNED_FOR = 3600.0
"""Seconds after its wait for which a refusal limits the tokens of an account.

What else seemed to be in the queue may belong to a job that nobody works on any more: it would
never end, and the others would wait for it for ever.
"""


def ensure_budget(tx: Transaction, account: str) -> None:
    """Make the account's row where there is none."""
    tx.execute("INSERT INTO budget (account) VALUES (?) ON CONFLICT DO NOTHING", (account,))


def has_room(tx: Transaction, shard: Shard, now: float) -> bool:
    """Whether the shard may go into its account's queue now.

    A shard that is larger than every limit is let in alone: only the vendor can say whether it
    really is too large. The account's row is locked.
    """
    learned, blocked_until, batches, tokens = tx.execute(
        "SELECT learned_tokens, blocked_until, used_batches, used_tokens"
        " FROM budget WHERE account = ?",
        (shard.account,),
    )[0]
    if now < blocked_until:
        return False
    if batches == 0:
        return True
    if now >= blocked_until + LEARNED_FOR:
        learned = None
    max_batches, max_tokens = tx.execute(
        "SELECT max_batches, max_tokens FROM job WHERE id = ?", (shard.job_id,)
    )[0]
    if max_batches is not None and batches >= max_batches:
        return False
    limits = [limit for limit in (max_tokens, learned) if limit is not None]
    return all(tokens + shard.tokens <= limit for limit in limits)


def move_budget(tx: Transaction, shard: Shard, to: ShardState, now: float) -> None:
    """Take or give back the room of a shard that changes its state.

    Room that becomes free lifts what was learned from refusals, and wakes the shards that wait.
    The account's row is locked.
    """
    held, holds = shard.state in HOLDS_BUDGET, to in HOLDS_BUDGET
    if held == holds:
        return
    sign = 1 if holds else -1
    tx.execute(
        "UPDATE budget SET used_batches = used_batches + ?, used_tokens = used_tokens + ?"
        " WHERE account = ?",
        (sign, sign * shard.tokens, shard.account),
    )
    if to in FREES:
        tx.execute(
            "UPDATE budget SET learned_tokens = NULL, blocked_until = 0 WHERE account = ?",
            (shard.account,),
        )
        tx.execute(
            f"UPDATE shard SET next_at = ? WHERE {WAITING}",  # noqa: S608 - our own words
            (now, shard.account, now),
        )
