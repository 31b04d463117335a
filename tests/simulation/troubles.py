"""What goes wrong with calls on their way, and at the emulated vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import httpx2

from ai_batch.emulator.faults import Fault, FaultPlan, RowDamage, VendorName
from tests.simulation.asgi import Answer
from tests.simulation.subjects import Subject
from tests.simulation.world import World

__all__ = ["Trouble", "VendorFaults", "draw_trouble"]


def _as_it_is(answer: Answer) -> Answer:
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What becomes of one call: lost on the way ``there``, come ``late``, or its ``answer``."""

    what: str
    where: Literal["there", "late", "answer"] = "answer"
    error: type[httpx2.TransportError] | None = None
    times_out: bool = False
    seconds: float = 0.0
    fault: Fault | None = None
    spoil: Callable[[Answer], Answer] = _as_it_is


def _status(status: int, *, effect: bool = False, retry_after: float | None = None) -> Trouble:
    when = " after the effect" if effect else ""
    return Trouble(
        what=f"status {status}{when}",
        fault=Fault(status=status, effect=effect, retry_after=retry_after),
    )


def _torn(answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2], torn=True)


def _short(answer: Answer) -> Answer:
    """Without a length, so that nobody can tell that the end is missing."""
    headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
    return replace(answer, headers=headers, body=answer.body[: len(answer.body) * 2 // 3])


ANYWHERE = (
    Trouble(what="no connection", where="there", error=httpx2.ConnectError),
    Trouble(what="cut on the way there", where="there", error=httpx2.RemoteProtocolError),
    Trouble(what="cut on the way back", error=httpx2.RemoteProtocolError),
    Trouble(what="reset on the way back", error=httpx2.ReadError),
    Trouble(what="no answer, lost", where="there", times_out=True, error=httpx2.ReadTimeout),
    Trouble(what="no answer, done", times_out=True, error=httpx2.ReadTimeout),
    _status(429, retry_after=40.0),
    _status(429),
    _status(500),
    _status(503, retry_after=1.0),
    _status(500, effect=True),
    _status(408, effect=True),
    Trouble(what="a page instead of the answer", fault=Fault(spoil="html")),
)

CREATING = (
    *(
        Trouble(
            what=f"no answer, arrives {seconds:.0f} s later",
            where="late",
            seconds=seconds,
            times_out=True,
            error=httpx2.ReadTimeout,
        )
        for seconds in (5.0, 65.0, 100.0)
    ),
    Trouble(what="half of an answer", fault=Fault(spoil="broken_json")),
    Trouble(what="an empty answer", fault=Fault(spoil="empty")),
)

DOWNLOADING = (
    Trouble(what="a torn download", spoil=_torn),
    Trouble(what="a download that ends too soon", spoil=_short),
)

DAMAGES: tuple[RowDamage, ...] = (
    "garbage",
    "missing",
    "duplicate",
    "foreign",
    "invalid_utf8",
    "missing_id",
    "truncated_last",
)


def draw_trouble(world: World, subject: Subject, name: str) -> Trouble | None:
    """What goes wrong with a call of this route."""
    if not world.wanted("troubles", f"call {name}", 0.15):
        return None
    kinds: tuple[Trouble, ...] = ANYWHERE
    if name == "batches.create":
        kinds += CREATING * 2
    if name == subject.results:
        # A page with status 200 for a file can't be told from its contents where it has no length.
        kinds = (*ANYWHERE[:-1], *DOWNLOADING * 3)
    trouble = world.dice.choice(f"trouble {name}", kinds)
    return trouble if world.dice.happens(f"trouble {name}", f"{name}: {trouble.what}") else None


class VendorFaults(FaultPlan):
    """The faults that the emulator meets: of the call that is on its way, and of the vendor."""

    def __init__(self, world: World, subject: Subject) -> None:
        super().__init__()
        self._world = world
        self._subject = subject
        self.next: Fault | None = None
        self.repeats: set[str] = set()
        self.refused: set[str] = set()
        self.refuses = False
        self.keeps_files = False

    def strike(self, vendor: VendorName, route: str) -> tuple[Fault, ...]:
        """What strikes a call."""
        del vendor
        found = [] if self.next is None else [self.next]
        self.next = None
        lag = self._world.plan.lag
        if lag:
            found.append(Fault(hide_seconds=lag, not_found_seconds=lag))
        if route == self._subject.results:
            found += self._damage()
        if route == "batches.get":
            found += self._quirk("quirk", self._subject.quirks)
        if route == "batches.create":
            found += self._quirk("refusal", self._subject.refusing)
        return tuple(found)

    def _damage(self) -> list[Fault]:
        world = self._world
        for kind, persistent in (("losses", True), ("damages", False)):
            # The emulator can't damage again what it has made unreadable for ever.
            if self.repeats or not world.wanted(kind, kind, 0.4):
                continue
            damage = world.dice.choice(f"kind of {kind}", DAMAGES)
            if world.dice.happens(kind, f"{damage}{' for ever' if persistent else ''}"):
                if persistent:
                    # Which row it is the emulator draws; what it has destroyed is asked anew.
                    self.repeats.update(f"text {i}" for i in range(world.plan.requests))
                return [Fault(row=damage, persistent=persistent)]
        return []

    def _quirk(self, place: str, quirks: tuple[str, ...]) -> list[Fault]:
        world = self._world
        if not quirks or not world.wanted("bad_fates", place, 0.3):
            return []
        quirk = world.dice.choice(f"kind of {place}", quirks)
        if not world.dice.happens(place, quirk):
            return []
        self.refuses |= quirk in {"failed_job", "partially_succeeded"}
        return [Fault(quirk=quirk)]  # type: ignore[arg-type]

    def item(self, text: str) -> int | None:
        """The status with which a request fails."""
        world = self._world
        if not world.wanted("bad_items", "item", 0.2):
            return None
        status = world.dice.choice("kind of item", [500, 503, 400])
        if not world.dice.happens("item", f"{text} fails with {status}"):
            return None
        if status == 400:
            self.refused.add(text)
        return status
