"""What lives at a made-up vendor: files, batches, and the books of what was executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ai_batch.core.errors import VendorFault
from ai_batch.core.provider import RemoteState, RemoteStatus
from ai_batch.core.results import ItemError

__all__ = ["FakeBatch", "FakeVendor", "Fate", "Line", "read_line", "write_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a batch, ``seconds`` after it was created.

    ``executed`` is the part of its requests that is worked through: with less than 1 the batch
    expires. In any state but ENDED nothing is executed. ``listed_after`` and ``known_after``
    are the seconds for which ``find`` and ``poll`` do not see it yet, as vendors' reads lag.
    """

    seconds: float = 60.0
    state: RemoteState = RemoteState.ENDED
    executed: float = 1.0
    faults: tuple[VendorFault, ...] = ()
    listed_after: float = 0.0
    known_after: float = 0.0


@dataclass(slots=True, kw_only=True)
class FakeBatch:
    """A batch as the vendor holds it; ``requests`` are wire ids and texts, in order."""

    remote_id: str
    token: str
    requests: list[tuple[str, str]]
    created_at: float
    fate: Fate = field(default_factory=Fate)
    ended: bool = False
    ours: bool = True
    cancelled_at: float | None = None
    rows: list[bytes] = field(default_factory=list[bytes])

    @property
    def ends_at(self) -> float:
        """When it ends, or has ended."""
        end = self.created_at + self.fate.seconds
        return end if self.cancelled_at is None else min(end, self.cancelled_at)


class Line(msgspec.Struct, omit_defaults=True):
    """A line of the made-up vendor's input, or a row of its results."""

    id: str
    text: str = ""
    vector: list[float] = []
    error: str = ""
    retryable: bool = False
    tokens: int = 0


write_line = msgspec.json.Encoder().encode
read_line = msgspec.json.Decoder(Line).decode


def _answer(text: str, times: int) -> str | ItemError:
    return f"answer to {text} #{times}"


def _well(_batch: FakeBatch) -> Fate:
    return Fate()


def _whole(_batch: FakeBatch, rows: list[bytes]) -> list[bytes]:
    return rows


class FakeVendor:
    """What lives at the vendor: files, batches, and the books of what was executed.

    It outlives the programs that talk to it. ``executed`` counts by text how often an answer
    was given, and so billed; ``running_most`` is the largest number of batches at once.
    """

    def __init__(
        self,
        *,
        fate: Callable[[FakeBatch], Fate] = _well,
        answer: Callable[[str, int], str | ItemError] = _answer,
        damage: Callable[[FakeBatch, list[bytes]], list[bytes]] = _whole,
    ) -> None:
        """``answer`` is given the text and how often it was answered, this time included."""
        self.fate = fate
        self.answer = answer
        self.damage = damage
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, FakeBatch] = {}
        self.executed: Counter[str] = Counter()
        self.running_most = 0
        self._serial = 0

    def number(self, kind: str) -> str:
        """A new id."""
        self._serial += 1
        return f"{kind}-{self._serial:04d}"

    def add_file(self, token: str, data: bytes) -> str:
        """Keep a file under the token that it was uploaded for."""
        id = self.number("file")
        self.files[id] = (token, data)
        return id

    def add_batch(self, token: str, data: bytes, now: float, *, ours: bool = True) -> FakeBatch:
        """Accept a batch of the given lines."""
        requests = [(row.id, row.text) for row in map(read_line, data.splitlines())]
        id = self.number("batch")
        batch = FakeBatch(remote_id=id, token=token, requests=requests, created_at=now, ours=ours)
        batch.fate = self.fate(batch)
        self.batches[id] = batch
        self.running_most = max(self.running_most, len(self.running(now)))
        return batch

    def running(self, now: float) -> list[FakeBatch]:
        """The batches of ours that have not ended."""
        return [batch for batch in self.batches.values() if batch.ours and now < batch.ends_at]

    def settle(self, batch: FakeBatch, now: float) -> None:
        """Work through a batch that has ended by now."""
        if batch.ended or now < batch.ends_at:
            return
        batch.ended = True
        if batch.fate.state is not RemoteState.ENDED:
            return
        worked = batch.fate.executed
        if batch.cancelled_at is not None and batch.fate.seconds:
            worked *= min((batch.cancelled_at - batch.created_at) / batch.fate.seconds, 1.0)
        for wire_id, text in batch.requests[: int(len(batch.requests) * worked)]:
            batch.rows.append(self._execute(wire_id, text))
        self.files[f"{batch.remote_id}-output"] = (batch.token, b"")

    def _execute(self, wire_id: str, text: str) -> bytes:
        answer = self.answer(text, self.executed[text] + 1)
        if isinstance(answer, ItemError):
            return write_line(Line(wire_id, error=answer.code, retryable=answer.retryable))
        self.executed[text] += 1
        vector = [float(len(text)), float(self.executed[text])]
        return write_line(Line(wire_id, answer, vector, tokens=len(text)))

    def cancel(self, batch: FakeBatch, now: float) -> None:
        """Stop a batch where it has come to, if it has not ended."""
        self.settle(batch, now)
        if not batch.ended and batch.cancelled_at is None:
            batch.cancelled_at = now
            self.settle(batch, now)

    def status(self, batch: FakeBatch, now: float) -> RemoteStatus:
        """What a poll tells of a batch."""
        self.settle(batch, now)
        total = len(batch.requests)
        if not batch.ended:
            return RemoteStatus(remote_id=batch.remote_id, state=RemoteState.RUNNING, total=total)
        executed = batch.fate.state is RemoteState.ENDED
        cut: Literal["expired", "cancelled"] | None = None
        if executed and len(batch.rows) < total:
            cut = "expired" if batch.cancelled_at is None else "cancelled"
        return RemoteStatus(
            remote_id=batch.remote_id,
            state=batch.fate.state,
            total=total,
            completed=len(batch.rows),
            rows=len(batch.rows),
            cut=cut,
            faults=batch.fate.faults,
            details={"output": f"{batch.remote_id}-output" if executed else None},
        )
