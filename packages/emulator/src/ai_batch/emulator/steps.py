"""What is to be done for each batch, one step after the other, when it is due."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from ai_batch.emulator.agenda import Agenda, Stopwatch
from ai_batch.emulator.clock import Clock

_PATIENCE = 0.25


class Abandoned(Exception):
    """The emulator stops; the step is done again after its next start."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next piece of work; `do` is false if the batch has to wait although it is due."""

    due: float
    do: Callable[[], bool]


class Steps:
    """Does what is due for each batch, and puts the next step on the agenda.

    A step is repeatable: after a crash it is found, and done, again.
    """

    def __init__(
        self, agenda: Agenda, clock: Clock, next_step: Callable[[str], Step | None]
    ) -> None:
        self._agenda = agenda
        self._clock = clock
        self._next_step = next_step

    def resume(self, batch_ids: Iterable[str]) -> None:
        """Put every unfinished batch on the agenda."""
        for batch_id in batch_ids:
            self.plan(batch_id)

    def plan(self, batch_id: str) -> None:
        """Put the next step of a batch on the agenda."""
        step = self._next_step(batch_id)
        if step is not None:
            self.put(batch_id, step.due)

    def put(self, batch_id: str, due: float) -> None:
        """Look at a batch at this time."""
        self._agenda.put(batch_id, due, lambda: self._run(batch_id))

    def _run(self, batch_id: str) -> None:
        while (step := self._next_step(batch_id)) is not None:
            if step.due > self._clock.now():
                self.put(batch_id, step.due)
                return
            try:
                if not step.do():
                    return
            except Abandoned:
                return

    async def settle(self, *batch_ids: str) -> None:
        """Give steps that are due a moment, so that small batches never seem late."""
        stopwatch = Stopwatch()
        for batch_id in batch_ids:
            left = _PATIENCE - stopwatch.seconds()
            if left > 0 and self._agenda.is_due(batch_id):
                await run_in_threadpool(self._agenda.settle, batch_id, left)
