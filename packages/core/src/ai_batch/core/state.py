"""What a shard goes through. Pure: which states there are and which moves are allowed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ai_batch.core.errors import VendorFault
from ai_batch.core.provider import Route

__all__ = ["DURABLE", "HOLDS_BUDGET", "MOVES", "TERMINAL", "Shard", "ShardState", "token_for"]


class ShardState(StrEnum):
    """Where a shard stands; what each state promises is durable before it is entered."""

    PLANNED = "planned"  # its input is written; it waits for room in the provider's queue
    RESERVED = "reserved"  # room is reserved in the account's budget; the upload may begin
    UPLOADED = "uploaded"  # the input is at the provider (or travels with the create call)
    INTENT = "intent"  # a create call may be under way, or may have been cut: look before sending
    SUBMITTED = "submitted"  # the provider's id is recorded: only polling from here on
    ENDED = "ended"  # the provider is done and the budget given back; the rows are not here yet
    COLLECTED = "collected"  # every request is accounted for on disk
    FAILED = "failed"  # the provider refused it as a whole; each request has its error on disk


MOVES: dict[ShardState, frozenset[ShardState]] = {
    # At once to collected where requests are answered one by one, without a batch.
    ShardState.PLANNED: frozenset({ShardState.RESERVED, ShardState.COLLECTED, ShardState.FAILED}),
    ShardState.RESERVED: frozenset({ShardState.UPLOADED, ShardState.PLANNED, ShardState.FAILED}),
    ShardState.UPLOADED: frozenset({ShardState.INTENT, ShardState.PLANNED, ShardState.FAILED}),
    # Back to uploaded only when the create was certainly refused, to planned only after the
    # input was revoked and the batch still not found.
    ShardState.INTENT: frozenset(
        {ShardState.SUBMITTED, ShardState.UPLOADED, ShardState.PLANNED, ShardState.FAILED}
    ),
    # Back to planned when the provider refused it afterwards for want of room; back to intent
    # when an adopted batch turned out to be another program's.
    ShardState.SUBMITTED: frozenset(
        {ShardState.ENDED, ShardState.PLANNED, ShardState.INTENT, ShardState.FAILED}
    ),
    ShardState.ENDED: frozenset({ShardState.COLLECTED, ShardState.INTENT}),
    ShardState.COLLECTED: frozenset(),
    ShardState.FAILED: frozenset(),
}
"""The allowed moves; the ledger refuses any other."""

HOLDS_BUDGET = frozenset(
    {ShardState.RESERVED, ShardState.UPLOADED, ShardState.INTENT, ShardState.SUBMITTED}
)
"""States in which a shard takes room in its account's queue."""

DURABLE = "durable"
"""The detail of a shard that says how much of its rows is on disk for good."""

TERMINAL = frozenset({ShardState.COLLECTED, ShardState.FAILED})
"""States in which every request of the shard has a result or is in a child shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One provider batch of a job, as the ledger records it. Times are Unix seconds.

    ``name`` is the stem of its files in the job's folder. ``attempt`` counts how often its
    requests have been sent, this time included; ``submission`` counts the tokens it has had,
    since a create whose outcome stays unknown gets a new one, and the old ones stay on record
    as ``strays``. ``cancel_at`` is when its batch, or a create call that may still come, was called
    off last. ``refusals`` counts how often the queue had no room for it, ``mended`` how
    often the provider refused it as a whole for something that could be helped. ``ok``,
    ``failed`` and ``retried`` count requests once it is collected; ``live_completed`` and
    ``live_failed`` are what the provider said last. ``calls_out`` counts requests that are being
    answered one by one. ``usage`` is in the order of the fields of
    ``Usage``. ``input_check`` is the CRC-32 of its input; a shard of an older version has none.
    ``fence`` grows with every claim.
    """

    job_id: str
    seq: int
    name: str
    state: ShardState
    route: Route
    account: str
    token: str
    count: int
    bytes: int
    tokens: int
    first_index: int
    last_index: int
    parent: int | None = None
    attempt: int = 1
    submission: int = 1
    input_id: str | None = None
    remote_id: str | None = None
    adopted: bool = False
    high_water: str | None = None
    intent_at: float | None = None
    submitted_at: float | None = None
    ended_at: float | None = None
    cancel_at: float | None = None
    next_at: float = 0.0
    failures: int = 0
    refusals: int = 0
    mended: int = 0
    live_completed: int = 0
    live_failed: int = 0
    calls_out: int = 0
    ok: int = 0
    failed: int = 0
    retried: int = 0
    usage: tuple[int, ...] = (0, 0, 0, 0, 0)
    cut: str | None = None
    rows_expected: int | None = None
    details: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    faults: tuple[VendorFault, ...] = ()
    strays: tuple[str, ...] = ()
    cleaned: bool = False
    input_check: int | None = None
    owner: str | None = None
    lease_until: float = 0.0
    fence: int = 0

    def evolve(self, **changes: Any) -> Shard:
        """A copy with some fields changed."""
        return replace(self, **changes)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, at the provider either."""
        return self.state in TERMINAL and self.cleaned

    @property
    def durable(self) -> int:
        """Bytes of its rows that can be read already while it is still being answered."""
        return int(self.details.get(DURABLE) or 0)

    @property
    def contiguous(self) -> bool:
        """Whether it holds every request from its first to its last index."""
        return self.last_index - self.first_index + 1 == self.count


def token_for(store_id: str, job_id: str, name: str, submission: int) -> str:
    """The token in front of every wire id of one submission of one shard.

    Derived and not drawn, so that a process that repeats a step after a crash, or beside a
    process that was only slow, writes the very same input file.
    """
    text = "\0".join((store_id, job_id, name, str(submission)))
    digest = hashlib.blake2b(text.encode(), digest_size=10).digest()
    return base64.b32encode(digest).decode("ascii").lower()
