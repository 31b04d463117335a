"""The contract that a provider fulfils.

A provider speaks one vendor's wire formats and makes single calls. It keeps no state, never
loops, waits or retries: all of that lives once, in the engine. The methods up to ``decode`` are
pure; the others make HTTP calls and raise only ``ai_batch.core.errors``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from ai_batch.core.errors import Problem, VendorFault
from ai_batch.core.requests import Request
from ai_batch.core.results import ItemError, Outcome, Usage

__all__ = [
    "Candidate",
    "Formats",
    "Limits",
    "Provider",
    "RemoteState",
    "RemoteStatus",
    "Route",
    "Scan",
    "Submission",
    "part_id",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one batch of a vendor may hold at most; None means that there is no such limit.

    ``max_bytes`` is the size of the whole input in bytes, ``max_inputs`` the number of texts to
    embed over all requests, ``max_tokens`` the estimated input tokens.
    """

    max_requests: int
    max_bytes: int
    max_inputs: int | None = None
    max_tokens: int | None = None


class Route(NamedTuple):
    """What all requests of one batch share; ``variant`` is for vendors' further conditions."""

    kind: Literal["chat", "embedding"]
    endpoint: str
    model: str
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One batch as a provider sees it: what to send, and what is known of it already.

    ``token`` is unique to this submission and in front of every wire id. ``high_water`` is what
    ``mark`` returned before the create call, ``intent_at`` the time (Unix seconds) at which the
    intent to create was recorded, ``rejected`` the batches that were looked at and are not ours.
    ``details`` is what the provider gave with the last status. ``strays`` are tokens under
    which something of this shard may be loose at the vendor: an upload whose answer was lost, or
    a batch of an earlier submission.
    """

    job_id: str
    seq: int
    token: str
    route: Route
    count: int
    input_path: Path
    input_id: str | None = None
    remote_id: str | None = None
    high_water: str | None = None
    intent_at: float | None = None
    rejected: frozenset[str] = frozenset()
    strays: tuple[str, ...] = ()
    details: dict[str, str | None] = field(default_factory=dict[str, "str | None"])


class RemoteState(StrEnum):
    """What a batch is doing at the vendor."""

    PENDING = "pending"  # accepted, not started, perhaps still being validated
    RUNNING = "running"
    ENDED = "ended"  # nothing more will be executed; what was is ready to be fetched
    REFUSED = "refused"  # nothing was executed and nothing will be: ``faults`` say why
    QUEUE_FULL = "queue_full"  # refused for want of room: to be sent again later
    INPUT_LOST = "input_lost"  # refused because its input was gone: to be uploaded again


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStatus:
    """What a vendor says of a batch.

    ``rows`` is the number of rows that the results must hold, None where the vendor's counts
    can't be relied upon. ``cut`` says why an ended batch did not work through everything.
    ``details`` (file ids and the like) is kept in the ledger and handed back to ``fetch``.
    """

    remote_id: str
    state: RemoteState
    total: int = 0
    completed: int = 0
    failed: int = 0
    rows: int | None = None
    cut: Literal["expired", "cancelled"] | None = None
    faults: Sequence[VendorFault] = ()
    details: dict[str, str | None] = field(default_factory=dict[str, "str | None"])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A batch that may be the one looked for. ``certain`` is False where only its rows tell."""

    remote_id: str
    certain: bool = True


class Scan(NamedTuple):
    """What the accounting needs of a result row; cheap to make, one per row."""

    wire_id: str
    error: ItemError | None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


def part_id(wire_id: str, part: int, parts: int) -> str:
    """The wire id of one of the ``parts`` lines that a request takes, counted from 0.

    In lower case letters, digits, ``-`` and ``_``, as every wire id.
    """
    return f"{wire_id}_{part}_{parts}"


class Formats(Protocol):
    """What can be said of requests and rows without calling anybody.

    A provider says it of its vendor's formats, the concurrent runner of its own.
    """

    @property
    def name(self) -> str:
        """The entry point's name, such as ``openai``."""
        ...

    @property
    def account(self) -> str:
        """Whose queue the batches stand in: the server and a fingerprint of the key."""
        ...

    @property
    def identity(self) -> dict[str, str]:
        """Options that change what is asked or of whom; part of a job's fingerprint."""
        ...

    @property
    def verbatim(self) -> bool:
        """Whether requests of the same form may be written by filling in what they say.

        That is so where a text of a message goes into the line as it is, as one JSON string, and
        where the other methods look at nothing of it but whether it is empty.
        """
        ...

    def limits(self, route: Route) -> Limits:
        """What one batch on this route may hold."""
        ...

    def check(self, request: Request) -> Sequence[Problem]:
        """What this vendor cannot do of the request; place and id are filled in by the plan."""
        ...

    def route(self, request: Request) -> Route:
        """Which batches the request may share. Called after ``check`` found nothing."""
        ...

    def encode(self, request: Request, route: Route, wire_id: str) -> bytes:
        """The request as one line of the input, without the line's end.

        A vendor that answers one text per line gets several for a request with several texts:
        in order, with LF between them and ids by ``part_id``. ``Limits.max_inputs`` limits their
        number.
        """
        ...

    def scan(self, row: bytes, route: Route) -> Scan:
        """Whose row it is and how it ended. Raises ``ValueError`` for an unreadable row."""
        ...

    def decode(self, row: bytes, route: Route) -> tuple[str, Outcome]:
        """The wire id and the answer. Raises ``ValueError`` for an unreadable row.

        Where ``encode`` gave several lines, ``row`` is a JSON array of their rows in order, all
        of them answers; or the row of one that failed, whose error is the request's.
        """
        ...

    def max_output_tokens(self, request: Request) -> int:
        """The most tokens that the answer may have; 0 where nothing limits it."""
        ...

    def cost(self, route: Route, usage: Usage, *, batch: bool) -> float | None:
        """USD for one request's tokens, at batch or at live price; None where it is not known.

        The tokens of many requests come in parts of a request's length: a price may depend on it.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Provider(Formats, Protocol):
    """A vendor's batch API."""

    async def upload(self, submission: Submission) -> str | None:
        """Send the input file; its id, or None where the input travels with ``create``."""
        ...

    async def mark(self, submission: Submission) -> str | None:
        """A high-water mark for ``find``, for vendors without metadata; else None."""
        ...

    async def create(self, submission: Submission) -> str:
        """Create the batch with at most one HTTP attempt; its id.

        Raises ``OutcomeUnknown`` whenever the vendor may have created it all the same.
        """
        ...

    async def find(self, submission: Submission) -> Sequence[Candidate]:
        """Batches at the vendor that came of this submission, oldest first."""
        ...

    async def revoke(self, submission: Submission) -> None:
        """Make a late create of this submission impossible, where the vendor has a means."""
        ...

    async def poll(self, remote_ids: Sequence[str]) -> dict[str, RemoteStatus]:
        """What became of the batches; those that the vendor does not know are left out."""
        ...

    async def fetch(self, submission: Submission, output: Path, errors: Path) -> None:
        """Stream the rows to the two files as they come; an absent file means no rows."""
        ...

    async def cancel(self, remote_id: str) -> None:
        """Ask the vendor to stop; a batch that has ended already is no error."""
        ...

    async def cleanup(self, submission: Submission) -> None:
        """Delete the batch's files at the vendor, and cancel and delete what ``strays`` left.

        What is not there any more is no error.
        """
        ...
