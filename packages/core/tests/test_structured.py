"""Answers against the ``output_type`` of their requests."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from ai_batch.core import ChatRequest, ChatResponse, EmbeddingRequest, ItemError, ToolCall
from ai_batch.core.requests import output_schema
from ai_batch.core.structured import parse_answer


class City(BaseModel):
    name: str
    people: int


TYPES: dict[str, object] = {
    output_schema(City).key: City,
    output_schema(list[City]).key: list[City],
}
ASKED = ChatRequest(messages="a", output_type=City)


def parsed(answer: ChatResponse, request: Any = ASKED, types: Any = None) -> Any:
    """What becomes of an answer."""
    return parse_answer(answer, request, TYPES if types is None else types)


def test_an_answer_becomes_an_instance() -> None:
    """Of the model, or of a type made of models."""
    text = '{"name": "Bonn", "people": 300000}'
    asked = ChatRequest(messages="a", output_type=list[City])

    assert parsed(ChatResponse(content=text)).parsed == City(name="Bonn", people=300_000)
    assert parsed(ChatResponse(content=f"[{text}]"), asked).parsed[0].name == "Bonn"


def test_without_the_type_the_answer_is_plain_data() -> None:
    """Another program that attaches does not have the class."""
    found = parsed(ChatResponse(content='{"name": "Bonn"}'), types={})

    assert found.parsed == {"name": "Bonn"}


@pytest.mark.parametrize(
    "text", ["", "Bonn", '{"name": "Bonn"}', '{"name": "Bonn", "people": "x"}']
)
def test_text_that_does_not_fit_is_an_error_that_keeps_it(text: str) -> None:
    """It was paid for, so it is not thrown away."""
    found = parsed(ChatResponse(content=text))

    assert isinstance(found, ItemError)
    assert (found.code, found.raw, found.retryable) == ("invalid_output", text, False)
    assert found.message.startswith("the answer does not fit City: ")


@pytest.mark.parametrize("types", [{}, None], ids=["plain data", "a model"])
def test_brackets_without_end_are_an_error(types: Any) -> None:
    """Models that repeat themselves write such; the other answers must not suffer."""
    found = parsed(ChatResponse(content="[" * 100_000), types=types)

    assert isinstance(found, ItemError)
    assert found.code == "invalid_output"


class Capital(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return {"Germany": "Berlin"}[name]


def test_a_validator_may_raise_anything() -> None:
    """A mistake in it costs the one answer, which is kept, and not the batch."""
    asked = ChatRequest(messages="a", output_type=Capital)
    types = {output_schema(Capital).key: Capital}
    found = parsed(ChatResponse(content='{"name": "Bonn"}'), asked, types)

    assert isinstance(found, ItemError)
    assert (found.code, found.raw) == ("invalid_output", '{"name": "Bonn"}')
    assert found.message == "the answer does not fit Capital: KeyError: 'Bonn'"


def test_a_cut_answer_says_so() -> None:
    """The cause is max_tokens and not the model."""
    found = parsed(ChatResponse(content='{"name": "Bo', finish_reason="length"))

    assert isinstance(found, ItemError)
    assert found.message == "the answer does not fit City: was cut at max_tokens"


@pytest.mark.parametrize(
    ("answer", "request_"),
    [
        (ChatResponse(content="no", refusal="I must not"), ASKED),
        (ChatResponse(tool_calls=(ToolCall(id="1", name="f"),)), ASKED),
        (ChatResponse(content="free text"), ChatRequest(messages="a")),
        (ChatResponse(content="free text"), EmbeddingRequest(texts="a")),
    ],
    ids=["refusal", "tool call", "no type", "embedding"],
)
def test_other_answers_are_left_as_they_are(answer: ChatResponse, request_: Any) -> None:
    """A refusal and a call of tools are answers too."""
    assert parsed(answer, request_) is answer
