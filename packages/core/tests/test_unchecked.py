"""What is made without validation is what validation would have made."""

from __future__ import annotations

import copy

import pytest
from pydantic import BaseModel, ValidationError

from ai_batch.core import ChatResponse, Usage, user
from ai_batch.core.messages import Message, Text, ToolCall
from ai_batch.core.unchecked import Unchecked
from ai_batch.core.wire_parts import chat_response

CASES: list[tuple[BaseModel, BaseModel]] = [
    (Unchecked(Text)({"text": "a"}), Text(text="a")),
    (user("a", "é"), Message(role="user", parts=("a", "é"))),
    (user(), Message(role="user", parts=())),
    (
        chat_response((3, 4, 0, 0, 0), {"content": "a", "body": b"{}"}),
        ChatResponse(content="a", body=b"{}", usage=Usage(input_tokens=3, output_tokens=4)),
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


def test_one_instance_has_nothing_of_another() -> None:
    """Defaults are not shared where they could be changed."""
    with pytest.raises(TypeError, match="ToolCall"):
        Unchecked(ToolCall)


def test_parts_that_are_no_strings_are_checked() -> None:
    """Only strings are known to fit."""
    with pytest.raises(ValidationError, match="parts"):
        user("a", 5)  # type: ignore[arg-type]
