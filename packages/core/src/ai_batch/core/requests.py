"""What a user asks: chat requests and embedding requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
)

from ai_batch.core.messages import JSONObject, Message, Tool, as_object, user

__all__ = ["ChatRequest", "EmbeddingRequest", "OutputSchema", "Request", "output_schema"]


MessagesLike: TypeAlias = str | Message | Sequence[Message | JSONObject]
"""A string (one user message), a message, or messages."""


class OutputSchema(BaseModel):
    """The JSON schema that an answer must have; ``key`` is its hash."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    json_schema: JSONObject
    key: str

    @classmethod
    def of(cls, name: str, json_schema: JSONObject) -> OutputSchema:
        """The schema with its key computed. Raises ``TypeError`` for what JSON can't hold."""
        try:
            text = json.dumps([name, json_schema], sort_keys=True, ensure_ascii=False)
        except (ValueError, RecursionError) as error:
            raise TypeError(f"output_type can't be written as JSON: {error}") from None
        key = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        return cls(name=name, json_schema=json_schema, key=key)


NO_TYPES: tuple[type, ...] = (str, bytes, int, float, list, tuple, set)


def output_schema(output_type: object) -> OutputSchema:
    """The schema of an ``output_type``: a pydantic model, another type, or a JSON schema.

    Raises ``TypeError`` for what has no JSON schema.
    """
    if isinstance(output_type, OutputSchema):
        return output_type
    if isinstance(output_type, dict):
        given = cast("JSONObject", output_type)
        return OutputSchema.of(str(given.get("title") or "output"), given)
    # Pydantic takes a text for the name of a type, and runs it as Python to find out which: it
    # may come from a file of requests that somebody else has written.
    if isinstance(output_type, NO_TYPES):
        kind: type = type(output_type)
        raise TypeError(
            "output_type must be a pydantic model, another type, or a JSON schema as a dict, "
            f"found {kind.__name__}"
        )
    return _schema_of_type(output_type)


@lru_cache(maxsize=256)
def _schema_of_type(output_type: Hashable) -> OutputSchema:
    try:
        schema = TypeAdapter[object](cast("Any", output_type)).json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation, NameError) as error:
        raise TypeError(f"output_type {output_type!r} has no JSON schema: {error}") from None
    return OutputSchema.of(getattr(output_type, "__name__", "output"), _rooted(schema))


def _rooted(schema: JSONObject) -> JSONObject:
    """The schema with an object at its root, where pydantic refers to one that holds itself.

    Vendors and libraries look there for the properties.
    """
    reference = str(schema.get("$ref", ""))
    found = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
    beside = {name: value for name, value in schema.items() if name != "$ref"}
    return schema if found is None else {**found, **beside}


def _as_messages(value: object) -> object:
    if isinstance(value, str):
        return (user(value),)
    if isinstance(value, Message):
        return (value,)
    return value


def _as_strings(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _dump_output_type(value: object) -> object:
    return None if value is None else output_schema(value).model_dump()


def _load_output_type(value: object) -> object:
    given = as_object(value)
    if given is not None and given.keys() == OutputSchema.model_fields.keys():
        return OutputSchema.model_validate(given)
    if value is not None:
        output_schema(value)
    return value


OutputType: TypeAlias = Annotated[
    Any, BeforeValidator(_load_output_type), PlainSerializer(_dump_output_type, when_used="json")
]


class _Request(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    id: Annotated[str | None, Field(coerce_numbers_to_str=True)] = None
    model: str | None = None
    metadata: dict[str, str] | None = None
    extra: JSONObject | None = None


class ChatRequest(_Request):
    """A question to a chat model. ``messages`` may be a string: one user message.

    ``output_type`` is a pydantic model, another type, or a JSON schema; the answer's ``parsed``
    is then an instance of it. ``metadata`` comes back with the result and is never sent.
    ``extra`` is merged into the vendor's body as it is.
    """

    messages: Annotated[tuple[Message, ...], BeforeValidator(_as_messages)]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: Annotated[tuple[str, ...] | None, BeforeValidator(_as_strings)] = None
    seed: int | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | None = Field(
        default=None, description="auto, none, required, or the name of one tool"
    )
    output_type: OutputType = None
    reasoning_effort: str | None = None

    if TYPE_CHECKING:
        # What may be given is wider than what is kept, which the checkers can't see by themselves.
        def __init__(
            self,
            *,
            messages: MessagesLike,
            id: str | None = None,
            model: str | None = None,
            max_tokens: int | None = None,
            temperature: float | None = None,
            top_p: float | None = None,
            stop: str | Sequence[str] | None = None,
            seed: int | None = None,
            tools: Sequence[Tool] | None = None,
            tool_choice: str | None = None,
            output_type: object = None,
            reasoning_effort: str | None = None,
            metadata: Mapping[str, str] | None = None,
            extra: JSONObject | None = None,
        ) -> None: ...


class EmbeddingRequest(_Request):
    """Texts to embed: one vector per text, in order. A single string is one text.

    ``task`` is what the vectors are for, for vendors that distinguish it.
    """

    texts: Annotated[tuple[str, ...], BeforeValidator(_as_strings)]
    dimensions: int | None = None
    task: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            texts: str | Sequence[str],
            id: str | None = None,
            model: str | None = None,
            dimensions: int | None = None,
            task: str | None = None,
            metadata: Mapping[str, str] | None = None,
            extra: JSONObject | None = None,
        ) -> None: ...


Request: TypeAlias = ChatRequest | EmbeddingRequest
"""What a job consists of."""
