"""Structured output: an answer's text against the ``output_type`` of its request."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, cast

import msgspec
from pydantic import TypeAdapter, ValidationError

from ai_batch.core.requests import ChatRequest, OutputSchema, Request, output_schema
from ai_batch.core.results import ChatResponse, ItemError

__all__ = ["parse_answer"]


@lru_cache(maxsize=256)
def _adapter(output_type: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", output_type))


def parse_answer(
    answer: ChatResponse, request: Request, types: Mapping[str, object]
) -> ChatResponse | ItemError:
    """The answer with ``parsed`` set where its request has an ``output_type``.

    ``types`` gives Python types by the schema's key; without one, ``parsed`` is plain JSON data.
    Text that does not fit is an error (``invalid_output``) that keeps the text in ``raw``, and so
    is text over which a validator of the type's stumbles; a refusal or a call of tools is left
    as it is.
    """
    wanted = request.output_type if isinstance(request, ChatRequest) else None
    if wanted is None or answer.refusal is not None or answer.tool_calls:
        return answer
    schema: OutputSchema = output_schema(wanted)
    try:
        parsed = _parse(answer.content, types.get(schema.key))
    except Exception as error:  # noqa: BLE001 - see _reason
        reason = "was cut at max_tokens" if answer.finish_reason == "length" else _reason(error)
        return ItemError(
            code="invalid_output",
            message=f"the answer does not fit {schema.name}: {reason}",
            raw=answer.content,
        )
    return answer.model_copy(update={"parsed": parsed})


def _reason(error: Exception) -> str:
    # Models that repeat themselves write brackets without end; and a validator of the user's may
    # raise anything. Neither may cost the other answers of the batch.
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    known = isinstance(error, ValidationError | msgspec.DecodeError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _parse(text: str, output_type: object) -> object:
    if output_type is None:
        return msgspec.json.decode(text)
    return _adapter(output_type).validate_json(text)
