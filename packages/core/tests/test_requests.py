"""Requests and the schemas of their answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ai_batch.core import ChatRequest, EmbeddingRequest, OutputSchema, user
from ai_batch.core.requestlog import dump_request, load_request
from ai_batch.core.requests import output_schema
from ai_batch.core.tokens import estimate_tokens


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("messages", ["hello", user("hello"), [user("hello")], (user("hello"),)])
def test_messages_may_be_written_in_many_ways(messages: Any) -> None:
    """A string is one user message; one message needs no list."""
    assert ChatRequest(messages=messages).messages == (user("hello"),)


def test_single_strings_are_lists_of_one() -> None:
    """Texts and stop sequences may be given alone."""
    assert EmbeddingRequest(texts="a").texts == ("a",)
    assert ChatRequest(messages="a", stop="END").stop == ("END",)


def test_numbers_are_taken_as_ids() -> None:
    """Rows of a table often have numbers."""
    assert ChatRequest.model_validate({"id": 7, "messages": "a"}).id == "7"


def test_unknown_fields_are_refused_without_showing_the_prompt() -> None:
    """The message names the field, and does not print what was asked."""
    with pytest.raises(ValidationError) as caught:
        ChatRequest.model_validate({"messages": "my secret prompt", "max_token": 5})

    assert "max_token" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        ChatRequest(id="a", messages="hello \u2028 world"),
        ChatRequest(id="a", messages=[user("a")], stop=["x"], temperature=0.5, seed=3),
        ChatRequest(id="a", messages="a", output_type={"type": "object"}, metadata={"k": "v"}),
        ChatRequest(id="a", messages="a", extra={"nested": {"list": [1, None]}}),
        EmbeddingRequest(id="a", texts=["a", "b"], dimensions=3, task="query"),
    ],
)
def test_requests_survive_the_disk(request_: ChatRequest | EmbeddingRequest) -> None:
    """What is read from the job's folder equals what was planned, in one line."""
    line = dump_request(request_)

    assert b"\n" not in line
    again = load_request(line)
    if isinstance(request_, ChatRequest) and request_.output_type is not None:
        assert isinstance(again, ChatRequest)
        assert again.output_type == output_schema(request_.output_type)
        request_ = request_.model_copy(update={"output_type": again.output_type})
    assert again == request_


def test_an_output_type_travels_as_its_schema() -> None:
    """A pydantic model is a class of this process: on disk is its schema, under the same key."""
    request = ChatRequest(id="a", messages="a", output_type=City)

    again = load_request(dump_request(request))

    assert isinstance(again, ChatRequest)
    assert again.output_type == output_schema(City)
    assert again.output_type.name == "City"
    assert set(again.output_type.json_schema["properties"]) == {"name", "people"}


@pytest.mark.parametrize("kind", [City, list[City], dict[str, int], int | None])
def test_any_type_with_a_schema_will_do(kind: Any) -> None:
    """Not only models: lists, dicts and unions of them as well."""
    assert isinstance(output_schema(kind), OutputSchema)


def test_a_json_schema_is_taken_as_it_is() -> None:
    """Its title is the name."""
    schema = {"title": "Answer", "type": "object"}

    assert output_schema(schema).json_schema == schema
    assert output_schema(schema).name == "Answer"
    assert output_schema({"type": "object"}).name == "output"


def test_schemas_are_told_apart_by_name_and_content() -> None:
    """The key is the same for the same schema only, whatever the order of its fields."""
    one = OutputSchema.of("a", {"type": "object", "title": "x"})

    assert one.key == OutputSchema.of("a", {"title": "x", "type": "object"}).key
    assert one.key != OutputSchema.of("b", {"type": "object", "title": "x"}).key
    assert one.key != OutputSchema.of("a", {"type": "array", "title": "x"}).key


def test_an_output_type_without_a_schema_is_refused() -> None:
    """A class that is no type of data is an error at once."""

    class Plain:
        pass

    with pytest.raises((TypeError, ValidationError), match="has no JSON schema"):
        ChatRequest(messages="a", output_type=Plain)


@pytest.mark.parametrize("given", ["City", "print('run')", b"x", 5, [], ["City"], ()])
def test_an_output_type_is_no_plain_data(given: object) -> None:
    """A file of requests may hold anything there; a text is not looked up, let alone run."""
    with pytest.raises(TypeError, match=f"as a dict, found {type(given).__name__}"):
        ChatRequest(messages="a", output_type=given)


def test_a_schema_must_be_writable() -> None:
    """Also where it is too deep, or holds itself."""
    endless: dict[str, Any] = {"type": "object"}
    endless["properties"] = endless

    with pytest.raises(TypeError, match="output_type can't be written as JSON"):
        OutputSchema.of("a", endless)


def test_tokens_are_estimated_from_bytes_rather_too_high() -> None:
    """Other scripts take more bytes and more tokens; each message and text adds some."""
    english = estimate_tokens(ChatRequest(messages="word " * 100))

    assert 125 <= english <= 160
    assert estimate_tokens(ChatRequest(messages="\u65e5\u672c" * 100)) > 150
    assert estimate_tokens(EmbeddingRequest(texts=["a", "b", "c"])) == 3


class Node(BaseModel):
    """A type that holds itself."""

    children: list[Node]


def test_the_schema_of_a_type_that_holds_itself_begins_with_an_object() -> None:
    """Pydantic begins with a reference, and libraries look for the properties there."""
    schema = output_schema(Node).json_schema
    assert (schema["type"], list(schema["properties"])) == ("object", ["children"])
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert schema["$defs"]["Node"]["properties"] == schema["properties"]
