"""The table of what may go wrong between a job and its vendor, and still costs nothing.

Each kind is a row: what it is called, which group it belongs to, and the faults that bring it about
on one route. Whatever the row, a job ends as it would have without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from ai_batch.emulator.damage import LOSING
from ai_batch.emulator.faults import Fault, RowDamage, Spoil

__all__ = ["FAULT_KINDS", "FaultKind", "Group", "Strikes"]

Group: TypeAlias = Literal["http", "connection", "content", "time"]
Strikes: TypeAlias = Literal["every call", "results", "downloads", "batches.get", "batches.list"]

HTML = "<html><head><title>502 Bad Gateway</title></head></html>"

CLOUD_STORAGE = "objects."
"""Its routes: what is stored plain is never compressed, since its checksums are of what is sent
(https://docs.cloud.google.com/storage/docs/transcoding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One row of the table.

    ``fault`` strikes the first call of each route that ``strikes`` names: ``every call`` that a job
    makes, the route that gives the ``results``, or all ``downloads`` (whatever reads). ``options``
    are those of the processor that is put to the test. What ``loses`` an answer at the vendor for
    good makes that request, alone, be asked again.
    """

    name: str
    group: Group
    fault: Fault
    strikes: Strikes = "every call"
    loses: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def faults(self, routes: Iterable[str], results: str) -> list[Fault]:
        """The faults to arm, where a job makes these calls and reads its rows from ``results``."""
        match self.strikes:
            case "every call":
                struck = list(routes)
            case "results":
                struck = [results]
            case "downloads":
                struck = [route for route in routes if not _writes(route)]
            case single:
                struck = [single]
        if self.fault.gzip:
            struck = [route for route in struck if not route.startswith(CLOUD_STORAGE)]
        return [replace(self.fault, route=route) for route in struck]


def _writes(route: str) -> bool:
    return "upload" in route or "part" in route


def _http(name: str, status: int, **fields: object) -> FaultKind:
    fault = Fault(status=status, nth=1, **fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return FaultKind(name=name, group="http", fault=fault)


def _cut(name: str, fault: Fault, strikes: Strikes = "every call") -> FaultKind:
    # A second is long on this machine, and short for a test that waits for it.
    options = {"timeout": 1.0} if fault.hang else {}
    return FaultKind(name=name, group="connection", fault=fault, strikes=strikes, options=options)


def _spoiled(name: str, spoil: Spoil) -> FaultKind:
    return FaultKind(
        name=f"all done, answered with {name}", group="http", fault=Fault(nth=1, spoil=spoil)
    )


_USELESS: dict[Spoil, str] = {
    "html": "a page (200)",
    "broken_json": "half of the JSON",
    "empty": "nothing",
    "null": "null",
    "empty_object": "an empty object",
}

_HTTP = [
    _http("the request took too long (408)", 408),
    _http("too many requests (429), come again in seconds", 429, retry_after=2.0),
    _http(
        "too many requests (429), come again at a date",
        429,
        retry_after=2.0,
        retry_after_as="date",
    ),
    _http(
        "too many requests (429), come again in milliseconds",
        429,
        retry_after=0.5,
        retry_after_as="milliseconds",
    ),
    _http("too many requests (429), no word of when", 429),
    _http("too many requests (429), come again soon", 429, headers={"retry-after": "soon"}),
    _http("too many requests (429), come again at once", 429, headers={"retry-after": "0"}),
    _http("an error of the server (500), nothing done", 500),
    _http("an error of the server (500), all done", 500, effect=True),
    _http(
        "an error of the server (500), all done, and the SDK is told to try again",
        500,
        effect=True,
        headers={"x-should-retry": "true"},
    ),
    _http("a bad gateway's page (502)", 502, body=HTML),
    _http("unavailable (503), come again in seconds", 503, retry_after=2.0),
    _http("a gateway's patience has ended (504), all done", 504, effect=True, body=HTML),
    _http("overloaded (529)", 529),
    _http("cannot be reached from the edge (520), all done", 520, effect=True),
    *(_spoiled(name, spoil) for spoil, name in _USELESS.items()),
]

_CONNECTION = [
    _cut("cut before anything was done", Fault(nth=1, cut="before")),
    _cut("cut after all was done", Fault(nth=1, cut="after")),
    _cut("silence before anything was done", Fault(nth=1, hang="before")),
    _cut("silence after all was done", Fault(nth=1, hang="after")),
    _cut("an answer that comes late", Fault(nth=1, delay_after=0.3)),
    _cut("an answer that drips", Fault(nth=1, bytes_per_second=20_000), "downloads"),
    _cut("an answer cut at its first byte", Fault(nth=1, cut_after_bytes=1), "downloads"),
    _cut("an answer cut in its middle", Fault(nth=1, cut_after_bytes=150), "downloads"),
    _cut(
        "an answer cut in its middle, its length unknown",
        Fault(nth=1, cut_after_bytes=150, close_delimited=True),
        "downloads",
    ),
    _cut(
        "a compressed answer cut in its middle",
        Fault(nth=1, cut_after_bytes=90, gzip=True),
        "downloads",
    ),
    _cut("a compressed answer", Fault(gzip=True), "downloads"),
    _cut("an upload cut at its first byte", Fault(nth=1, cut_after_bytes=1)),
]

_ROWS: dict[RowDamage, str] = {
    "garbage": "a page of HTML for a row",
    "missing": "a row is missing",
    "duplicate": "a row comes twice",
    "foreign": "a row of somebody else's",
    "status_zero": "a row without an outcome",
    "unknown_kind": "a row of an unknown kind",
    "empty_body": "a row with an empty body",
    "invalid_utf8": "a row that is no UTF-8",
    "lone_surrogate": "half a character",
    "missing_id": "a row without an id",
    "nan": "NaN, which is no JSON",
    "huge_int": "a number of 5,000 digits",
    "deep": "100,000 brackets inside each other",
    "truncated_last": "the last row is cut",
    "bom": "a byte order mark",
    "crlf": "Windows' line ends",
    "huge_row": "a row of two megabytes",
}

_TOLD: frozenset[RowDamage] = frozenset({"status_zero", "unknown_kind"})
"""What a vendor says: no connection turns one well-formed row into another."""

_KEPT: frozenset[RowDamage] = frozenset({"missing_id", "unknown_kind"})
"""What loses nothing everywhere: Vertex AI's rows repeat their requests, and a new kind of outcome
is an outcome."""

_CONTENT = [
    FaultKind(
        name=f"{name}, for good" if for_good else f"{name}, on its way",
        group="content",
        strikes="results",
        fault=Fault(nth=1, row=damage, persistent=for_good),
        loses=for_good and damage in LOSING,
    )
    for damage, name in _ROWS.items()
    for for_good in (False, True)
    if damage not in (_KEPT if for_good else _TOLD)
]

_TIME = [
    FaultKind(
        name="batches are not found for a minute",
        group="time",
        strikes="batches.get",
        fault=Fault(not_found_seconds=1.2),
    ),
    FaultKind(
        name="a state that nobody has heard of",
        group="time",
        strikes="batches.get",
        fault=Fault(times=3, quirk="unknown_status"),
    ),
    FaultKind(
        name="counts that go back",
        group="time",
        strikes="batches.get",
        fault=Fault(times=3, quirk="reset_counts"),
    ),
]

FAULT_KINDS: tuple[FaultKind, ...] = (*_HTTP, *_CONNECTION, *_CONTENT, *_TIME)
"""All kinds; their names are unlike."""
