"""What a user may hand in as requests, turned into requests one by one."""

from __future__ import annotations

import difflib
import os
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from pydantic import BaseModel, ValidationError

from ai_batch.core.errors import Problem, UsageError, mask
from ai_batch.core.messages import JSONObject, Media
from ai_batch.core.plain_lines import PlainRequest, read_plain_fields, read_plain_line
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.core.wire_json import value_of

__all__ = [
    "RequestLike",
    "Requests",
    "SyncRequests",
    "items_of",
    "load_media",
    "read_plain_item",
    "read_request",
]

RequestLike: TypeAlias = Request | dict[str, Any] | str
"""A request, its fields as a dict, or a string: one user message."""

SyncRequests: TypeAlias = Iterable[RequestLike] | str | os.PathLike[str]

Requests: TypeAlias = SyncRequests | AsyncIterable[RequestLike]
"""An iterable or async iterable of requests, or the path of a JSONL file. It is read once."""

FOUND_LENGTH = 60

_REQUESTS = (ChatRequest, EmbeddingRequest)


def items_of(requests: SyncRequests) -> Iterator[object]:
    """The raw items: lines of the file (bytes) where a path is given, else what is iterated."""
    if not isinstance(requests, str | os.PathLike):
        yield from _iterate(requests)
        return
    path = Path(requests)
    try:
        file = path.open("rb", buffering=1 << 18)
    except OSError as error:
        raise UsageError(
            f"the requests file {str(path)!r} cannot be read: {error.strerror}; a string is taken "
            "as the path of a JSONL file - for one prompt give a list of it"
        ) from None
    with file:
        for line in file:
            if line.strip():
                yield line


def _iterate(requests: object) -> Iterable[object]:
    if isinstance(requests, ChatRequest | EmbeddingRequest | dict):
        raise UsageError("requests must be a list or another iterable, not a single request")
    if not isinstance(requests, Iterable):
        kind = type(requests).__name__
        raise UsageError(f"requests must be iterable, or the path of a JSONL file, not {kind}")
    return cast("Iterable[object]", requests)


def read_plain_item(item: object) -> PlainRequest | None:
    """The request of an item that holds nothing but texts and numbers.

    None for all others, and for whatever ``read_request`` would have to look at more closely.
    """
    if type(item) is bytes:
        return read_plain_line(item)
    if type(item) is str:
        return PlainRequest(item)
    return read_plain_fields(cast("JSONObject", item)) if type(item) is dict else None


def read_request(item: object, index: int) -> Request | list[Problem]:
    """The request of an item, or what is wrong with it."""
    if isinstance(item, _REQUESTS):
        return item
    if isinstance(item, str):
        return ChatRequest(messages=item)
    if isinstance(item, bytes):
        return _read_line(item, index)
    if isinstance(item, dict):
        return _read_fields(cast("JSONObject", item), index)
    found = type(item).__name__
    return [Problem(f"a request is a ChatRequest, an EmbeddingRequest, a dict or a string, "
                    f"not {found}", index=index)]  # fmt: skip


def _read_line(line: bytes, index: int) -> Request | list[Problem]:
    if (plain := read_plain_line(line)) is not None:
        return plain.request()
    try:
        fields: object = value_of(line)
    except ValueError as error:
        found = mask(line[:FOUND_LENGTH].decode("utf-8", "replace").strip())
        return [Problem(f"the line is not JSON ({error}): {found!r}", index=index)]
    if not isinstance(fields, dict):
        return [Problem("the line must be a JSON object", index=index)]
    return _read_fields(cast("JSONObject", fields), index)


def _read_fields(fields: JSONObject, index: int) -> Request | list[Problem]:
    id = fields.get("id")
    if "texts" not in fields and "messages" not in fields:
        message = "a request needs messages (chat) or texts (embedding)"
        return [Problem(message, id=_text(id), index=index)]
    kind = EmbeddingRequest if "texts" in fields else ChatRequest
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        return [
            Problem(_message(fault, kind), id=_text(id), index=index, field=_place(fault["loc"]))
            for fault in error.errors(include_url=False, include_context=False)
        ]
    except TypeError as error:  # Of what has no JSON schema; pydantic lets it through.
        return [Problem(str(error), id=_text(id), index=index, field="output_type")]


def _message(fault: Mapping[str, Any], kind: type[BaseModel]) -> str:
    if fault["type"] != "extra_forbidden":
        return f"{fault['msg']}, found {_short(fault['input'])}"
    near = difflib.get_close_matches(str(fault["loc"][-1]), kind.model_fields, 1)
    hint = f"did you mean {near[0]}" if near else "extra= takes the vendor's own parameters"
    return f"there is no such field; {hint}"


def _place(path: tuple[int | str, ...]) -> str:
    """``messages[0].role`` for ``("messages", 0, "role")``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _short(value: object) -> str:
    text = mask(repr(value))
    return text if len(text) <= FOUND_LENGTH else f"{text[:FOUND_LENGTH]}..."


def load_media(request: Request) -> Request | Problem:
    """The request with the files that its parts name read in: the job must not depend on them."""
    if not isinstance(request, ChatRequest):
        return request
    if all(message.only_text for message in request.messages):
        return request
    try:
        messages = tuple(
            message.model_copy(
                update={
                    "parts": tuple(
                        part.loaded() if isinstance(part, Media) else part for part in message.parts
                    )
                }
            )
            for message in request.messages
        )
    except OSError as error:
        return Problem(f"the file cannot be read: {error}", field="messages")
    return request.model_copy(update={"messages": messages})
