"""The jobs of a home, as the command plans, runs and reads them, with its notes beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from ai_batch.cli.home import NOTES, Home, Notes
from ai_batch.cli.making import general_options, without_key
from ai_batch.core import Estimate, JobRecord, Options, UsageError
from ai_batch.core.jobs import Jobs
from ai_batch.core.remaking import make_processor, recorded_options

__all__ = ["Consent", "Desk", "desk_for", "desk_of", "options_of"]

Consent: TypeAlias = Callable[[Estimate], bool]
"""Asked about a new job before it is on record; whether it is wanted."""

Desk: TypeAlias = Jobs
"""The jobs of one home and one provider."""


def desk_for(
    home: Home,
    provider: str,
    given: Mapping[str, Any],
    *,
    reuse: bool = False,
    max_cost: float | None = None,
    consent: Consent | None = None,
    notes: Notes | None = None,
) -> Desk:
    """What new jobs of a provider are planned and run with."""
    general: dict[str, Any] = {**general_options(given), "reuse": reuse, "max_cost": max_cost}
    general |= {"approve": consent, "home": home.path, "ledger": home.ledger}
    try:
        options = Options(**general)
        workshop = make_processor(provider, given, options).workshop
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        # Text where a number is wanted: options of the command line have no types.
        raise UsageError(f"an option has a value that can't be meant: {error}") from None
    beside = {} if notes is None else {NOTES: msgspec.json.encode(notes)}
    return Jobs(workshop, options, beside)


def options_of(home: Home, record: JobRecord) -> dict[str, Any]:
    """The options with which a job was made, as its record and the command's notes have them."""
    return {**recorded_options(record), **home.notes(record).options}


def desk_of(
    home: Home,
    record: JobRecord,
    given: Mapping[str, Any] | None = None,
    *,
    offline: bool = False,
    consent: Consent | None = None,
    output: str | None = None,
) -> Desk:
    """What a job of an earlier process is read, or gone on with.

    ``given`` replaces options of then; ``offline`` is for reading only, where no key is needed.
    ``output`` is for jobs that are made of this one.
    """
    notes = home.notes(record)
    options = options_of(home, record)
    if offline:
        options = {**without_key(record.provider), **options}
    given = {name: value for name, value in (given or {}).items() if value is not None}
    where = output if output in (None, "-") else str(Path(output).absolute())
    notes = msgspec.structs.replace(notes, output=where)
    return desk_for(home, record.provider, {**options, **given}, consent=consent, notes=notes)
