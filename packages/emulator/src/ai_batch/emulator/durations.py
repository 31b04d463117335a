"""How long one batch stays in each state, drawn from what the emulator was told."""

from __future__ import annotations

import msgspec

from ai_batch.emulator.identity import generator
from ai_batch.emulator.options import Options, Seconds


class Durations(msgspec.Struct, frozen=True):
    """How long one batch stays in each state."""

    validating: float
    in_progress: float
    finalizing: float
    cancelling: float


def drawn_durations(options: Options, batch_id: str) -> Durations:
    """Draw the durations of a batch, by the seed and its id."""
    draw = generator(options.seed, f"timing:{batch_id}")

    def drawn(seconds: Seconds) -> float:
        return draw.uniform(*seconds) if isinstance(seconds, tuple) else seconds

    timing = options.timing
    return Durations(
        drawn(timing.validating),
        drawn(timing.in_progress),
        drawn(timing.finalizing),
        drawn(timing.cancelling),
    )
