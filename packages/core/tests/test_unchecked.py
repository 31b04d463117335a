"""What is made without validation is what validation would have made."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ai_batch.core import ChatResponse, Usage, user
from ai_batch.core.messages import Message, Text, ToolCall
from ai_batch.core.unchecked import Unchecked
from ai_batch.core.wire_parts import chat_response, usage_of

FIELDS: dict[str, Any] = {
    "content": "a",
    "finish_reason": "length",
    "model": "m",
    "response_id": "x",
    "body": b"{}",
    "body_at": ("a",),
}
"""What every answer has."""

CASES: list[tuple[BaseModel, BaseModel]] = [
    (Unchecked(Text)({"text": "a"}), Text(text="a")),
    (user("a", "é"), Message(role="user", parts=("a", "é"))),
    (user(), Message(role="user", parts=())),
    (
        chat_response((3, 4, 0, 0, 0), {**FIELDS}, {}),
        ChatResponse(**FIELDS, usage=Usage(input_tokens=3, output_tokens=4)),
    ),
    (
        chat_response((3, 4, 1, 0, 2), {**FIELDS}, {"refusal": "no"}),
        ChatResponse(
            **FIELDS,
            refusal="no",
            usage=Usage(
                input_tokens=3,
                output_tokens=4,
                cached_input_tokens=1,
                cache_write_tokens=0,
                reasoning_tokens=2,
            ),
        ),
    ),
]


@pytest.mark.parametrize(("made", "checked"), CASES)
def test_what_is_made_cannot_be_told_from_what_was_checked(
    made: BaseModel, checked: BaseModel
) -> None:
    """Equal, printed, dumped, hashed, copied and pickled alike."""
    assert made == checked
    assert repr(made) == repr(checked)
    assert list(made.model_dump()) == list(checked.model_dump())
    assert made.model_dump_json(exclude_unset=True) == checked.model_dump_json(exclude_unset=True)
    assert made.model_fields_set == checked.model_fields_set
    assert made.__getstate__() == checked.__getstate__()
    assert copy.deepcopy(made) == made.model_copy() == checked
    assert hash(made) == hash(checked)


def test_what_is_made_stays_as_it_is() -> None:
    """A frozen model is frozen, however it came to be."""
    with pytest.raises(ValidationError, match="frozen"):
        user("a").role = "system"


def test_a_changed_copy_has_a_record_of_its_own() -> None:
    """Which fields were given is shared by instances, but never by one and its changed copy."""
    made = usage_of((1, 2, 0, 0, 0))

    changed = made.model_copy(update={"reasoning_tokens": 3})

    assert changed.model_fields_set == {"input_tokens", "output_tokens", "reasoning_tokens"}
    assert made.model_fields_set == {"input_tokens", "output_tokens"}
    assert usage_of((5, 6, 0, 0, 0)).model_fields_set == {"input_tokens", "output_tokens"}


def test_one_instance_has_nothing_of_another() -> None:
    """Defaults are not shared where they could be changed."""
    with pytest.raises(TypeError, match="ToolCall"):
        Unchecked(ToolCall)


def test_parts_that_are_no_strings_are_checked() -> None:
    """Only strings are known to fit."""
    with pytest.raises(ValidationError, match="parts"):
        user("a", 5)  # type: ignore[arg-type]
