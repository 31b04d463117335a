"""Where things stand in a line of predictions: for the faults that damage it."""

from __future__ import annotations

from ai_batch.emulator.damage import RowShape

PREDICTION_SHAPE = RowShape(
    id_path=("key",),
    body_path=("response",),
    without_status={"status": None, "response": None},
    of_unknown_kind={"status": "", "response": {}, "novelty": {"unheard_of": True}},
)
