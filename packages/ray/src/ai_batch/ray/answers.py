"""An answer as columns of its row, called as ray.data.llm calls them where it has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ai_batch.core.results import Result

__all__ = ["ERROR", "answer_of", "answer_schema", "answer_table", "error_of"]

ERROR = "__inference_error__"
"""The column of errors: an empty text where there is an answer."""

JSON = frozenset({"parsed", "tool_calls"})
"""The columns that tables hold as JSON text: what is in them may differ from row to row."""


def error_of(result: Result) -> str:
    """Why there is no answer; an empty text where there is one."""
    return "" if result.error is None else f"{result.error.code}: {result.error.message}"


def answer_of(result: Result) -> dict[str, Any]:
    """The columns of an answer, as values of Python; all None where there is none."""
    chat, vectors, usage = result.chat, result.embedding, result.usage
    answer = chat or vectors
    return {
        "request_id": result.id,
        "generated_text": None if chat is None else chat.content,
        "parsed": None if chat is None else chat.parsed,
        "tool_calls": chat and [call.model_dump(mode="json") for call in chat.tool_calls],
        "finish_reason": None if chat is None else chat.finish_reason,
        "embeddings": None if vectors is None else vectors.vectors,
        "response_model": None if answer is None else answer.model,
        "num_input_tokens": None if answer is None else usage.input_tokens,
        "num_generated_tokens": None if answer is None else usage.output_tokens,
    }


def answer_schema() -> Any:
    """The columns' types."""
    import pyarrow

    return pyarrow.schema(
        [
            ("request_id", pyarrow.string()),
            ("generated_text", pyarrow.string()),
            ("parsed", pyarrow.string()),
            ("tool_calls", pyarrow.string()),
            ("finish_reason", pyarrow.string()),
            ("embeddings", pyarrow.list_(pyarrow.list_(pyarrow.float32()))),
            ("response_model", pyarrow.string()),
            ("num_input_tokens", pyarrow.int64()),
            ("num_generated_tokens", pyarrow.int64()),
        ]
    )


def answer_table(results: Sequence[Result], *, errors: bool) -> Any:
    """A table of answers, one row each; with a column of ``errors`` where it is asked for."""
    import pyarrow

    rows = [answer_of(result) for result in results]
    for row in rows:
        row.update({name: _json(row[name]) for name in JSON})
    table = pyarrow.Table.from_pylist(rows, schema=answer_schema())
    if errors:
        texts = pyarrow.array(map(error_of, results), pyarrow.string())
        table = table.append_column(ERROR, texts)
    return table


def _json(value: object) -> str | None:
    return None if value is None or value == [] else msgspec.json.encode(value).decode()


def table_of(rows: Iterable[dict[str, Any]]) -> Any:
    """A table of rows that need not have the same columns."""
    import pyarrow

    known = list(rows)
    names = dict.fromkeys(name for row in known for name in row)
    return pyarrow.table({name: [row.get(name) for row in known] for name in names})
