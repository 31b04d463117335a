"""Faults, declared: what goes wrong, on which route, and at which call."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, cast, get_args

from ai_batch.emulator.identity import generator
from ai_batch.emulator.json_types import JsonObject, JsonValue

VendorName: TypeAlias = Literal["openai", "anthropic", "gemini", "vertex", "gcs"]
RowDamage: TypeAlias = Literal[
    "garbage",
    "missing",
    "duplicate",
    "foreign",
    "status_zero",
    "unknown_kind",
    "empty_body",
    "invalid_utf8",
    "lone_surrogate",
    "missing_id",
    "nan",
    "huge_int",
    "deep",
    "truncated_last",
    "bom",
    "crlf",
    "huge_row",
]
Quirk: TypeAlias = Literal[
    "cannot_find_file",
    "empty_string_ids",
    "unknown_status",
    "reset_counts",
    "null_output",
    "empty_without_page_size",
    "failed_job",
    "partially_succeeded",
    "cancelled_output",
    "no_item_metadata",
    "shuffled_inline",
    "several_files",
    "gradual_counts",
    "no_retry_after",
    "escaped_results",
]
Spoil: TypeAlias = Literal["broken_json", "empty", "empty_object", "html", "null"]
RetryAfterForm: TypeAlias = Literal["seconds", "date", "milliseconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    `route` names the calls it strikes and may be a glob: `batches.create`, `files.*`, `*`;
    `vendor` leaves out those of other vendors (`openai`, `anthropic`, `gemini`, `vertex`, `gcs`).
    Of these it strikes the `nth` (once), `every` n-th, each with a `probability`, or all;
    at most `times`. What happens is any combination of the other fields:

    - `delay`, `delay_after`: seconds to wait before or after the effect;
    - `status`, `headers`, `body`: the answer. The call has no effect, unless `effect` is true;
    - `retry_after`: with a `status`, how many seconds the client is asked to wait, as the vendor
      asks: Google in the body, others in a header. `retry_after_as` is its form: whole `"seconds"`
      or a `"date"` of `Retry-After`, or `"milliseconds"` of `retry-after-ms`;
    - `cut`: the connection is cut `"before"` or `"after"` the effect, without an answer;
    - `hang`: there is no answer until the client hangs up, `"before"` or `"after"` the effect;
    - `spoil`: the answer's body is of no use: `"broken_json"` (the first half), `"empty"`, an
      `"empty_object"`, a page of `"html"`, or `"null"`. Its status stays (but a page in
      place of an error comes with 502), its effect has happened;
    - `cut_after_bytes`: on an upload, cut when that many bytes of the request have come (without
      effect); else cut when that many bytes of the answer's body have gone. With
      `close_delimited` the answer has neither length nor chunks, so that its end is the end of the
      connection;
    - `gzip`: the answer is compressed; `bytes_per_second`: the answer is slow;
    - `row`: damages one row (`row_index`, or one by the seed) of a downloaded result file, for this
      download only, or for ever if `persistent`. The row is then counted as lost by the vendor;
    - `hide_seconds`: younger batches are missing from the list;
    - `not_found_seconds`: younger batches answer 404;
    - `quirk`: an oddity of the vendor that was seen in the wild.
    """

    route: str = "*"
    vendor: VendorName | None = None
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    times: int | None = None
    delay: float = 0.0
    delay_after: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: JsonObject | str | None = None
    effect: bool = False
    retry_after: float | None = None
    retry_after_as: RetryAfterForm = "seconds"
    cut: Literal["before", "after"] | None = None
    hang: Literal["before", "after"] | None = None
    spoil: Spoil | None = None
    cut_after_bytes: int | None = None
    close_delimited: bool = False
    gzip: bool = False
    bytes_per_second: int | None = None
    row: RowDamage | None = None
    row_index: int | None = None
    persistent: bool = False
    hide_seconds: float | None = None
    not_found_seconds: float | None = None
    quirk: Quirk | None = None

    def __post_init__(self) -> None:
        if self.vendor is not None and self.vendor not in get_args(VendorName):
            msg = f"there is no vendor {self.vendor!r}; there are {', '.join(get_args(VendorName))}"
            raise ValueError(msg)
        if sum(chosen is not None for chosen in (self.nth, self.every, self.probability)) > 1:
            msg = "a fault strikes the nth call, every n-th, or by probability: give one of them"
            raise ValueError(msg)
        if self.retry_after is not None and (self.status is None or self.retry_after < 0):
            msg = "retry_after goes with a status, and is 0 or more"
            raise ValueError(msg)
        self._check("cut", ("before", "after"))
        self._check("hang", ("before", "after"))
        self._check("spoil", get_args(Spoil))
        self._check("retry_after_as", get_args(RetryAfterForm))
        if self.nth is not None and self.nth < 1:
            msg = f"nth counts from 1, not {self.nth}"
            raise ValueError(msg)
        if self.every is not None and self.every < 1:
            msg = f"every must be 1 or more, not {self.every}"
            raise ValueError(msg)

    def _check(self, name: str, allowed: tuple[str, ...]) -> None:
        value: str | None = getattr(self, name)
        if value is not None and value not in allowed:
            msg = f"{name} must be one of {', '.join(allowed)}, not {value!r}"
            raise ValueError(msg)

    def to_json(self) -> JsonObject:
        """Return the fault as the control API takes it."""
        return cast("JsonObject", asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, JsonValue]) -> Fault:
        """Read what `to_json` gave; raises TypeError on an unknown field."""
        return cls(**data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class _Armed:
    """One fault with what it has seen so far."""

    def __init__(self, fault: Fault, seed: int, number: int) -> None:
        self.fault = fault
        self._seen = 0
        self._struck = 0
        self._random = generator(seed, f"fault:{number}")

    def strikes(self, vendor: VendorName, route: str) -> bool:
        if self.fault.vendor not in {None, vendor}:
            return False
        if not fnmatchcase(route, self.fault.route):
            return False
        if self.fault.times is not None and self._struck >= self.fault.times:
            return False
        self._seen += 1
        chosen = self._chosen()
        self._struck += chosen
        return chosen

    def _chosen(self) -> bool:
        fault = self.fault
        if fault.nth is not None:
            return self._seen == fault.nth
        if fault.every is not None:
            return self._seen % fault.every == 0
        if fault.probability is not None:
            return self._random.random() < fault.probability
        return True


class FaultPlan:
    """All faults that are armed, and their counters. They live in memory only."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._number = 0
        self._armed: list[_Armed] = []
        for fault in faults:
            self.inject(fault)

    def inject(self, fault: Fault) -> Fault:
        """Arm one more fault, and return it."""
        with self._lock:
            self._number += 1
            self._armed.append(_Armed(fault, self._seed, self._number))
        return fault

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    def strike(self, vendor: VendorName, route: str) -> tuple[Fault, ...]:
        """Count a call of this route, and return the faults that strike it."""
        with self._lock:
            return tuple(armed.fault for armed in self._armed if armed.strikes(vendor, route))
