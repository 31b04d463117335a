"""Embedding requests, one text per line, and their vectors.

The Developer API takes the options beside the content, Vertex AI in an object of their own, and
its older models a text alone:
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/embeddings/batch-prediction-genai-embeddings
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.requests import EmbeddingRequest
from ai_batch.core.results import EmbeddingResponse, ItemError, pack_vector
from ai_batch.core.wire_faults import invalid
from ai_batch.core.wire_json import merged
from ai_batch.core.wire_parts import usage_of

__all__ = [
    "TASKS",
    "EmbeddingBody",
    "PredictionBody",
    "VectorBody",
    "embedding_answer",
    "embedding_fault",
    "embedding_tokens",
    "instances",
    "joined_vectors",
    "task_type",
]

TASKS = (
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
"""https://ai.google.dev/gemini-api/docs/embeddings#supported-task-types"""

_SYNONYMS = {
    "QUERY": "RETRIEVAL_QUERY",
    "SEARCH_QUERY": "RETRIEVAL_QUERY",
    "DOCUMENT": "RETRIEVAL_DOCUMENT",
    "SEARCH_DOCUMENT": "RETRIEVAL_DOCUMENT",
    "PASSAGE": "RETRIEVAL_DOCUMENT",
    "SIMILARITY": "SEMANTIC_SIMILARITY",
    "CODE": "CODE_RETRIEVAL_QUERY",
}
"""What other vendors call the same."""


def task_type(task: str) -> str | None:
    """Google's name for a task, in any spelling; None for a task that it does not have."""
    name = task.strip().upper().replace("-", "_").replace(" ", "_")
    name = _SYNONYMS.get(name, name)
    return name if name in TASKS else None


def instances(request: EmbeddingRequest, form: str) -> list[JSONObject]:
    """What stands for each text in a line: ``form`` is developer, vertex or predict.

    ``request.extra`` is merged in last, ``{"title": "..."}`` for one.
    """
    task = None if request.task is None else task_type(request.task)
    if form == "predict":
        given: JSONObject = {"task_type": task} if task else {}
        return [merged({"content": text, **given}, request.extra or {}) for text in request.texts]
    options: JSONObject = {}
    if task:
        options["taskType" if form == "developer" else "task_type"] = task
    if request.dimensions is not None:
        name = "outputDimensionality" if form == "developer" else "output_dimensionality"
        options[name] = request.dimensions
    if request.extra:
        options = merged(options, request.extra)
    if form == "vertex":
        options = {"embed_content_config": options} if options else {}
    return [{"content": {"parts": [{"text": text}]}, **options} for text in request.texts]


Numbers: TypeAlias = tuple[float, ...]
"""No list: of a list that is read tolerantly, numbers that are none are left out."""


class _Vector(msgspec.Struct, gc=False):
    values: Numbers | None = None


class _Usage(msgspec.Struct, rename="camel", gc=False):
    prompt_token_count: int | None = None
    total_token_count: int | None = None


def _count(tokens: str | int | None, usage: _Usage | None) -> int:
    """Input tokens; an int64 is a string in Google's JSON."""
    if tokens is not None:
        return int(tokens) if str(tokens).isdecimal() else 0
    return (usage.prompt_token_count or usage.total_token_count or 0) if usage else 0


class EmbeddingBody(msgspec.Struct, rename="camel", gc=False):
    """An ``EmbedContentResponse``."""

    embedding: _Vector | None = None
    token_count: str | int | None = None
    usage_metadata: _Usage | None = None

    def vector(self) -> Numbers | None:
        """The numbers."""
        return self.embedding.values if self.embedding else None

    def tokens(self) -> int:
        """Input tokens."""
        return _count(self.token_count, self.usage_metadata)


class _SomeVector(msgspec.Struct, gc=False):
    values: msgspec.Raw


class VectorBody(msgspec.Struct, rename="camel", gc=False):
    """An ``EmbedContentResponse`` with something that may be a vector, as nearly all have."""

    embedding: _SomeVector
    token_count: str | int | None = None
    usage_metadata: _Usage | None = None

    def is_certain(self) -> bool:
        """Whether it is a vector for certain, without reading its numbers.

        What is JSON and consists of these bytes is a list of numbers. One that is too large for
        a float has an exponent above zero: whether it can be read, reading it has to tell.
        """
        data = bytes(self.embedding.values)
        if data.translate(None, b"0123456789.-, ") != b"[]":
            bare = data.translate(None, b"0123456789.-, e")
            if bare != b"[]" or data.count(b"e") != data.count(b"e-"):
                return False
        return bool(data[1:-1].strip())

    def tokens(self) -> int:
        """Input tokens."""
        return _count(self.token_count, self.usage_metadata)


class _Statistics(msgspec.Struct, gc=False):
    token_count: int | None = None


class _Embeddings(msgspec.Struct, gc=False):
    values: Numbers | None = None
    statistics: _Statistics | None = None


class PredictionBody(msgspec.Struct, gc=False):
    """One prediction of an older text embedding model."""

    embeddings: _Embeddings | None = None

    def vector(self) -> Numbers | None:
        """The numbers."""
        return self.embeddings.values if self.embeddings else None

    def tokens(self) -> int:
        """Input tokens."""
        statistics = self.embeddings.statistics if self.embeddings else None
        return (statistics.token_count or 0) if statistics else 0


AnyVector = EmbeddingBody | PredictionBody


def embedding_fault(body: AnyVector) -> ItemError | None:
    """Why a body holds no vector; None where it does."""
    return None if body.vector() else invalid("the vendor's answer has no vector")


def embedding_tokens(body: AnyVector | VectorBody) -> tuple[int, int, int, int, int]:
    """Tokens in the order of ``Usage``'s fields."""
    return (body.tokens(), 0, 0, 0, 0)


def embedding_answer(body: AnyVector, raw: bytes) -> EmbeddingResponse:
    """The vector of one text."""
    vector = body.vector() or ()
    return EmbeddingResponse(
        data=pack_vector(vector),
        count=1,
        dimensions=len(vector),
        usage=usage_of(embedding_tokens(body)),
        body=raw,
    )


def joined_vectors(answers: list[EmbeddingResponse]) -> EmbeddingResponse | ItemError:
    """The vectors of a request with several texts, in the order of the texts."""
    sizes = {answer.dimensions for answer in answers}
    if len(sizes) > 1:
        return invalid(f"the vectors are of different lengths: {sorted(sizes)}")
    usage: Any = answers[0].usage
    for answer in answers[1:]:
        usage = usage + answer.usage
    return EmbeddingResponse(
        data=b"".join(answer.data for answer in answers),
        count=len(answers),
        dimensions=answers[0].dimensions,
        usage=usage,
        body=b'{"responses":[' + b",".join(answer.body for answer in answers) + b"]}",
    )
