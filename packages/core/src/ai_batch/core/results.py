"""What a user gets for each request: an answer, or the error in its place."""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ai_batch.core.messages import JSONObject, Thinking, ToolCall, as_object
from ai_batch.core.requests import Request

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

__all__ = [
    "ChatResponse",
    "EmbeddingResponse",
    "FinishReason",
    "ItemError",
    "Outcome",
    "Result",
    "Usage",
    "pack_vector",
]

FinishReason: TypeAlias = Literal[
    "stop",
    "length",
    "tool_calls",
    "refusal",
    "content_filter",
    "stop_sequence",
    "pause",
    "other",
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Usage(_Value):
    """Tokens that were used; ``+`` adds.

    Cached input and cache writes are part of ``input_tokens``, reasoning of ``output_tokens``.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """The sum, field by field."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )


class ItemError(_Value):
    """Why one request has no answer. ``retryable`` tells whether asking again may help."""

    code: str
    message: str
    retryable: bool = False
    status: int | None = None
    request_id: str | None = None
    raw: str | None = Field(default=None, repr=False)

    def __str__(self) -> str:
        """The code and the message."""
        return f"[{self.code}] {self.message}"


class ChatResponse(_Value):
    """A chat model's answer. ``raw`` is the vendor's body as a dict, decoded when asked for.

    It stands in ``body``, which is JSON: under the names of ``body_at``, where there are any.
    """

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    refusal: str | None = None
    thinking: str | None = None
    thoughts: tuple[Thinking, ...] = Field(default=(), repr=False)
    parsed: Any = None
    usage: Usage = Usage()
    model: str | None = None
    response_id: str | None = None
    body: bytes = Field(default=b"", repr=False, exclude=True)
    body_at: tuple[str, ...] = Field(default=(), repr=False, exclude=True)

    @property
    def raw(self) -> JSONObject:
        """The vendor's body as a dict; empty where there was none."""
        return _decode_body(self.body, self.body_at)


class EmbeddingResponse(_Value):
    """Vectors, one per text and in the order of the texts.

    They are kept as packed little-endian float32 (``data``, row by row): 4 bytes per number
    instead of the 32 of a list. May also be built with ``vectors=[[...], ...]``.
    """

    data: bytes = Field(repr=False)
    count: int
    dimensions: int
    usage: Usage = Usage()
    model: str | None = None
    response_id: str | None = None
    body: bytes = Field(default=b"", repr=False, exclude=True)
    body_at: tuple[str, ...] = Field(default=(), repr=False, exclude=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            vectors: Sequence[Sequence[float]] = (),
            data: bytes = b"",
            count: int = 0,
            dimensions: int = 0,
            usage: Usage = ...,
            model: str | None = None,
            response_id: str | None = None,
            body: bytes = b"",
            body_at: tuple[str, ...] = (),
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _pack(cls, value: object) -> object:
        given = as_object(value)
        if given is None or "vectors" not in given:
            return value
        fields = dict(given)
        vectors = cast("Sequence[Sequence[float]]", fields.pop("vectors"))
        dimensions = len(vectors[0]) if len(vectors) else 0
        if any(len(vector) != dimensions for vector in vectors):
            raise ValueError("all vectors must have the same number of dimensions")
        packed = b"".join(pack_vector(vector) for vector in vectors)
        return {**fields, "data": packed, "count": len(vectors), "dimensions": dimensions}

    @property
    def vectors(self) -> list[list[float]]:
        """The vectors as lists of floats."""
        numbers = _unpack(self.data)
        size = self.dimensions
        return [numbers[start * size : (start + 1) * size] for start in range(self.count)]

    @property
    def array(self) -> NDArray[numpy.float32]:
        """The vectors as a read-only numpy array, float32, shape (texts, dimensions).

        Needs numpy: ``pip install "ai-batch-core[numpy]"``.
        """
        import numpy

        shape = (self.count, self.dimensions)
        return numpy.frombuffer(self.data, dtype="<f4").reshape(shape)

    @property
    def raw(self) -> JSONObject:
        """The vendor's body as a dict; empty where there was none."""
        return _decode_body(self.body, self.body_at)


def _decode_body(body: bytes, place: tuple[str, ...]) -> JSONObject:
    try:
        found = cast("JSONObject", msgspec.json.decode(body)) if body else {}
    except msgspec.ValidationError:
        # A number beyond floats, in a field that nobody reads: it becomes infinite.
        found = cast("JSONObject", json.loads(body))
    for name in place:
        found = cast("JSONObject", found[name])
    return found


def pack_vector(vector: Sequence[float]) -> bytes:
    """Numbers as packed little-endian float32."""
    try:
        # Twice as fast as an array, but refuses numbers that are too large.
        return struct.pack(f"<{len(vector)}f", *vector)
    except (OverflowError, struct.error):
        numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _unpack(data: bytes) -> list[float]:
    numbers = array("f")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


Outcome: TypeAlias = ChatResponse | EmbeddingResponse | ItemError
"""How one request ended."""


class Result:
    """How one request ended: exactly one of ``chat``, ``embedding`` and ``error`` is set.

    ``index`` is the request's place in the input, from 0; ``attempts`` counts how often it was
    sent to the provider.
    """

    __slots__ = ("_metadata", "_request", "attempts", "chat", "embedding", "error", "id", "index")

    def __init__(
        self,
        *,
        id: str,
        index: int,
        outcome: Outcome,
        request: Request | Callable[[], Request],
        attempts: int = 1,
        metadata: Mapping[str, str] | EllipsisType | None = ...,
    ) -> None:
        """``request`` may be a function that reads the request when it is asked for.

        ``metadata`` is the request's, where it is known without reading that.
        """
        self.id = id
        self.index = index
        self.attempts = attempts
        self.chat: ChatResponse | None = None
        self.embedding: EmbeddingResponse | None = None
        self.error: ItemError | None = None
        # In this order: isinstance is slow for pydantic's classes where it does not hold.
        if isinstance(outcome, ChatResponse):
            self.chat = outcome
        elif isinstance(outcome, EmbeddingResponse):
            self.embedding = outcome
        else:
            self.error = outcome
        self._request = request
        self._metadata = metadata

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.error is None

    @property
    def request(self) -> Request:
        """The request as it was planned; read from the job's folder when first asked for."""
        if callable(self._request):
            self._request = self._request()
        return self._request

    @property
    def metadata(self) -> Mapping[str, str] | None:
        """What the request carried for its sender's own use."""
        return self.request.metadata if self._metadata is ... else self._metadata

    @property
    def outcome(self) -> Outcome:
        """Whichever of ``chat``, ``embedding`` and ``error`` is set."""
        return cast("Outcome", self.chat or self.embedding or self.error)

    @property
    def usage(self) -> Usage:
        """The tokens of the answer; nothing for an error."""
        return Usage() if isinstance(self.outcome, ItemError) else self.outcome.usage

    def __eq__(self, other: object) -> bool:
        """Results are equal when place, attempts and outcome are."""
        if not isinstance(other, Result):
            return NotImplemented
        mine = (self.id, self.index, self.attempts, self.outcome)
        return mine == (other.id, other.index, other.attempts, other.outcome)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The id, the index and how it ended."""
        return f"Result(id={self.id!r}, index={self.index}, {self.outcome!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled result carries its request with it."""
        return _rebuild_result, (self.id, self.index, self.outcome, self.request, self.attempts)


def _rebuild_result(
    id: str,
    index: int,
    outcome: Outcome,
    request: Request,
    attempts: int,
) -> Result:
    return Result(id=id, index=index, outcome=outcome, request=request, attempts=attempts)
