"""The pure parts: states over time, lines, schemas, ranges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.emulator.damage import damaged_index
from ai_batch.emulator.durations import Durations
from ai_batch.emulator.openai.lifecycle import (
    TERMINAL,
    moments,
    next_work,
    rows_by,
    status_at,
    work_due_at,
)
from ai_batch.emulator.openai.records import BatchRecord, Executed
from ai_batch.emulator.schema_instance import minimal_instance
from ai_batch.emulator.transfer import requested_range
from ai_batch.emulator.usage import TokenUsage

ORDER = ["validating", "in_progress", "finalizing", "cancelling"]
SECONDS = st.sampled_from([0.0, 1.0, 600.0, 86_399.0, 86_400.0, 200_000.0])


def batch(durations: Durations, **changes: Any) -> BatchRecord:
    """A batch of ten rows, made at second 1000."""
    record: dict[str, Any] = {
        "id": "batch_1",
        "serial": 1,
        "created_at": 1000.0,
        "endpoint": "/v1/embeddings",
        "input_file_id": "file-1",
        "metadata": None,
        "output_expires_after": None,
        "durations": durations,
        "total": 10,
    }
    record |= changes
    return BatchRecord(**record)


def executed(rows: int, lag: float = 0.0) -> Executed:
    """An outcome with so many rows."""
    return Executed(
        rows=rows,
        completed=rows,
        failed=0,
        lag=lag,
        usage=TokenUsage(),
        output_file_id=None,
        error_file_id=None,
    )


@given(
    durations=st.builds(Durations, SECONDS, SECONDS, SECONDS, SECONDS),
    validation=st.sampled_from(["passed", "failed"]),
    cancel=st.none() | st.floats(0, 100_000),
    lag=st.sampled_from([0.0, 5.0]),
)
def test_states_only_go_forward(
    durations: Durations, validation: str, cancel: float | None, lag: float
) -> None:
    """However long things take, a batch ends once, and never goes back."""
    made = batch(durations, validation=validation)
    if cancel is not None and validation == "passed":
        made = batch(durations, validation=validation, cancel_at=1000.0 + cancel)
    if validation == "passed":
        rows = rows_by(made, work_due_at(made))
        made = batch(
            durations, validation=validation, cancel_at=made.cancel_at, executed=executed(rows, lag)
        )
    end = moments(made).end
    assert end is not None
    assert next_work(made) == (end, "announce")
    times = sorted({1000.0, end - 1, end, end + 1, *(1000.0 + n * 10_000 for n in range(60))})
    seen = [status_at(made, now) for now in times if now >= 1000.0]
    final = [status for status in seen if status in TERMINAL]
    assert len(set(final)) == 1
    assert seen[-len(final) :] == final
    assert status_at(made, end) in TERMINAL


@given(
    created=st.floats(1.7e9, 1.9e9), validating=st.floats(0, 100), duration=st.floats(0.001, 80_000)
)
def test_no_row_is_lost_to_rounding(created: float, validating: float, duration: float) -> None:
    """When the work is due, all rows are done, whatever the fractions of seconds."""
    made = batch(Durations(validating, duration, 0, 0), validation="passed", created_at=created)
    assert rows_by(made, work_due_at(made)) == 10


@given(duration=SECONDS, spent=st.floats(0, 300_000))
def test_rows_are_answered_evenly(duration: float, spent: float) -> None:
    """The number of answered rows grows with time, from none to all."""
    made = batch(Durations(0, duration, 0, 0), validation="passed")
    rows = rows_by(made, 1000.0 + spent)
    assert 0 <= rows <= 10
    assert rows <= rows_by(made, 1001.0 + spent)
    assert rows_by(made, 1000.0 + duration) == 10


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, None),
        (True, None),
        ({"const": 5}, 5),
        ({"default": "d"}, "d"),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "string", "format": "uuid"}, "00000000-0000-4000-8000-000000000000"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "boolean"}, False),
        ({"type": "number", "exclusiveMinimum": 2}, 3),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        ({"properties": {"a": {"const": 1}}, "required": ["a"]}, {"a": 1}),
        (
            {
                "allOf": [
                    {"$ref": "#/$defs/a"},
                    {"properties": {"y": {"const": 2}}, "required": ["y"]},
                ],
                "$defs": {
                    "a": {
                        "type": "object",
                        "properties": {"x": {"const": 1}},
                        "required": ["x"],
                    }
                },
            },
            {"x": 1, "y": 2},
        ),
        (
            {
                "$ref": "#/$defs/node",
                "$defs": {
                    "node": {
                        "type": "object",
                        "properties": {
                            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}
                        },
                        "required": ["next"],
                    }
                },
            },
            {"next": None},
        ),
    ],
)
def test_a_schema_has_a_smallest_instance(schema: Any, value: Any) -> None:
    """References, choices and recursion are followed to the least that is valid."""
    assert minimal_instance(schema) == value


def test_a_schema_without_an_end_has_one_here() -> None:
    """A schema that demands itself for ever is cut off."""
    endless: dict[str, Any] = {
        "type": "object",
        "properties": {"a": {"$ref": "#"}},
        "required": ["a"],
    }
    assert isinstance(minimal_instance(endless), dict)


def test_damage_strikes_the_row_that_was_meant() -> None:
    """A row is counted from either end; some damages have their own place."""
    assert damaged_index("garbage", 2, 10, 0) == 2
    assert damaged_index("garbage", -1, 10, 0) == 9
    assert damaged_index("garbage", None, 10, 13) == 3
    assert damaged_index("truncated_last", 2, 10, 0) == 9
    assert damaged_index("bom", 2, 10, 0) == 0


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("bytes=1-2,4-5", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=5-4", (10, 10)),
    ],
)
def test_ranges_are_read(header: str, found: tuple[int, int] | None) -> None:
    """One range of bytes is understood; anything else means the whole file."""
    assert requested_range(header, 10) == found
