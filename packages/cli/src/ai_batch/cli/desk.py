"""Jobs as the command plans them: it asks before they cost much, and keeps notes beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from ai_batch.cli.home import NOTES, Home, Notes
from ai_batch.cli.making import general_options, make_processor, recorded_options, without_key
from ai_batch.core import Estimate, JobRecord, Options, UsageError
from ai_batch.core.estimate import estimate_plan
from ai_batch.core.jobs import Jobs, Workshop
from ai_batch.core.native import engine_of
from ai_batch.core.planner import Plan
from ai_batch.core.planning import Planning

__all__ = ["Consent", "Desk", "desk_for", "desk_of"]

Consent: TypeAlias = Callable[[Estimate], None]
"""Told what a new job would be, before it is on record. Raises where it is not wanted."""


class _AskingPlanning(Planning):
    """Asks, and writes the notes, at the last moment before a new job is on record."""

    consent: Consent | None = None
    notes: Notes | None = None

    def _check_cost(self, plan: Plan) -> None:
        super()._check_cost(plan)
        if self.consent is not None:
            self.consent(estimate_plan(plan, self._provider))
        if self.notes is not None:
            with self._folder.written(self._folder.path / NOTES) as file:
                file.write(msgspec.json.encode(self.notes))


@dataclass(kw_only=True)
class _Asked:
    consent: Consent | None = None
    notes: Notes | None = None


class Desk(Jobs):
    """The jobs of one home and one provider."""

    def __init__(self, workshop: Workshop, options: Options, asked: _Asked) -> None:
        """``asked`` is what new jobs are planned with."""
        super().__init__(workshop, options)
        self._asked = asked

    def _planning(self, salt: str = "") -> Planning:
        planning = _AskingPlanning(self.provider, self.ledger, self.spool, self._options, salt)
        planning.consent, planning.notes = self._asked.consent, self._asked.notes
        return planning


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
    general |= {"home": home.path, "ledger": home.ledger}
    try:
        options = Options(**general)
        made = make_processor(provider, given, options).provider
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        # Text where a number is wanted: options of the command line have no types.
        raise UsageError(f"an option has a value that can't be meant: {error}") from None
    workshop = Workshop(made, engine_of(made))
    return Desk(workshop, options, _Asked(consent=consent, notes=notes))


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
    options = {**recorded_options(record), **notes.options}
    if offline:
        options = {**without_key(record.provider), **options}
    given = {name: value for name, value in (given or {}).items() if value is not None}
    where = output if output in (None, "-") else str(Path(output).absolute())
    notes = msgspec.structs.replace(notes, output=where)
    return desk_for(home, record.provider, {**options, **given}, consent=consent, notes=notes)
