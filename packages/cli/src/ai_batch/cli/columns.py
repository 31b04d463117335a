"""What stands in the output: the fields of a JSONL line, and the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import msgspec
from pydantic import BaseModel

from ai_batch.core import (
    BatchResponse,
    ChatRequest,
    EmbeddingRequest,
    OutputSchema,
    Request,
    Result,
)

__all__ = ["Columns", "columns_of", "fields_of"]

CHAT = ("content", "finish_reason")
ENDS = ("model", "input_tokens", "output_tokens", "error_code", "error")
NUMBERS = frozenset({"input_tokens", "output_tokens"})
VECTORS = "embedding"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a table, known from the job's first request.

    ``kept`` are the columns of the input that were asked to come along, ``parsed`` the fields of
    the answers' schema; each by its name in the table.
    """

    kept: dict[str, str]
    parsed: dict[str, str]
    embeds: bool

    @property
    def names(self) -> list[str]:
        """The header."""
        answer = [VECTORS] if self.embeds else [*CHAT[:1], *self.parsed, *CHAT[1:]]
        return ["id", *self.kept, *answer, *ENDS]

    def type_of(self, name: str) -> type:
        """The type of a column's values: text, whole numbers, or lists of vectors."""
        if name in NUMBERS:
            return int
        return list if self.embeds and name == VECTORS else str

    def values(self, result: Result) -> list[Any]:
        """A row; None where there is nothing."""
        chat, embedding, error = result.chat, result.embedding, result.error
        row: dict[str, Any] = {"id": result.id}
        if self.kept:
            metadata = result.request.metadata or {}
            row |= {name: metadata.get(key) for name, key in self.kept.items()}
        if chat is not None:
            row |= {"content": chat.content or chat.refusal, "finish_reason": chat.finish_reason}
            row |= self._parsed(chat.parsed)
        if embedding is not None:
            row[VECTORS] = embedding.vectors
        answer = chat or embedding
        if answer is not None:
            usage = answer.usage
            row |= {"model": answer.model, "input_tokens": usage.input_tokens}
            row["output_tokens"] = usage.output_tokens
        if error is not None:
            row |= {"error_code": error.code, "error": error.message}
        return [row.get(name) for name in self.names]

    def cells(self, result: Result) -> list[object]:
        """A row as CSV has it: one vector as a JSON array, several as an array of arrays."""
        values = self.values(result)
        if self.embeds and result.embedding is not None:
            place = self.names.index(VECTORS)
            vectors = values[place]
            shown = vectors[0] if len(vectors) == 1 else vectors
            values[place] = msgspec.json.encode(shown).decode()
        return values

    def _parsed(self, parsed: object) -> dict[str, str | None]:
        given = _plain(parsed)
        if not isinstance(given, dict):
            return {}
        fields = cast("dict[str, object]", given)
        return {name: _text(fields.get(key)) for name, key in self.parsed.items()}


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _plain(parsed: object) -> object:
    return parsed.model_dump(mode="json") if isinstance(parsed, BaseModel) else parsed


def columns_of(response: BatchResponse) -> Columns:
    """The columns of a job's results."""
    request = response[0].request
    taken = {"id", *CHAT, *ENDS, VECTORS}
    kept = _named(list(request.metadata or {}), "input", taken)
    parsed = _named(_schema_fields(request), "parsed", taken | kept.keys())
    return Columns(kept=kept, parsed=parsed, embeds=isinstance(request, EmbeddingRequest))


def _named(keys: list[str], prefix: str, taken: set[str]) -> dict[str, str]:
    """Each key by a name that no other column has."""
    return {f"{prefix}.{key}" if key in taken else key: key for key in keys}


def _schema_fields(request: Request) -> list[str]:
    wanted = request.output_type if isinstance(request, ChatRequest) else None
    if not isinstance(wanted, OutputSchema):
        return []
    return list(wanted.json_schema.get("properties") or {})


def fields_of(result: Result, columns: Columns) -> dict[str, Any]:
    """A result as a line of JSONL; fields that are empty are left out, ``error`` apart."""
    made: dict[str, Any] = {"id": result.id, "index": result.index}
    if columns.kept:
        made["metadata"] = result.request.metadata
    chat, embedding, error = result.chat, result.embedding, result.error
    if chat is not None:
        made["content"] = chat.content
        made |= {"parsed": _plain(chat.parsed), "refusal": chat.refusal}
        made |= {"thinking": chat.thinking, "finish_reason": chat.finish_reason}
        made["tool_calls"] = [call.model_dump(mode="json") for call in chat.tool_calls] or None
    if embedding is not None:
        vectors = embedding.vectors
        several = embedding.count != 1
        made |= {"embeddings": vectors} if several else {"embedding": vectors[0]}
    answer = chat or embedding
    if answer is not None:
        made |= {"model": answer.model, "usage": answer.usage.model_dump(exclude_defaults=True)}
    made["attempts"] = result.attempts
    kept = {key: value for key, value in made.items() if value is not None}
    if error is None:
        return {**kept, "error": None}
    told = error.model_dump(exclude_none=True, exclude={"raw"})
    return {**kept, "error": told, **({} if error.raw is None else {"raw": error.raw})}
