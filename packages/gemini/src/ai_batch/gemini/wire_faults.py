"""Why one request of a batch failed, as rows tell it: in two places and several shapes.

``error`` or ``status``; a google.rpc.Status, an HTTP error body, or a text with one of them in
it; codes of gRPC (13) or of HTTP (400): googleapis/python-genai#1150, #1341.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import msgspec

from ai_batch.core.errors import mask
from ai_batch.core.messages import JSONObject
from ai_batch.core.results import ItemError
from ai_batch.core.wire_faults import excerpt
from ai_batch.core.wire_json import as_object

__all__ = ["blocked", "code_name", "is_passing", "item_error"]

MAX_MESSAGE = 2000
"""Characters of a vendor's message that are kept."""


class _Code(NamedTuple):
    name: str
    http: int
    passing: bool = False


_GRPC = {
    1: _Code("cancelled", 499),
    2: _Code("unknown", 500, passing=True),
    3: _Code("invalid_argument", 400),
    4: _Code("deadline_exceeded", 504, passing=True),
    5: _Code("not_found", 404),
    6: _Code("already_exists", 409),
    7: _Code("permission_denied", 403),
    8: _Code("resource_exhausted", 429, passing=True),
    9: _Code("failed_precondition", 400),
    10: _Code("aborted", 409, passing=True),
    11: _Code("out_of_range", 400),
    12: _Code("unimplemented", 501),
    13: _Code("internal", 500, passing=True),
    14: _Code("unavailable", 503, passing=True),
    15: _Code("data_loss", 500, passing=True),
    16: _Code("unauthenticated", 401),
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""

_BY_NAME = {code.name: code for code in _GRPC.values()}

_HTTP_NAMES = {400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied"} | {
    404: "not_found",
    408: "deadline_exceeded",
    409: "aborted",
    429: "resource_exhausted",
    500: "internal",
    503: "unavailable",
    504: "deadline_exceeded",
}


def _code(number: object, word: object) -> _Code:
    name = word.lower() if isinstance(word, str) else ""
    if isinstance(number, str) and number.isdecimal() and len(number) <= 3:
        number = int(number)
    if isinstance(number, int) and number in _GRPC:
        return _GRPC[number]
    if isinstance(number, int) and 100 <= number < 1000:
        known = name or _HTTP_NAMES.get(number, f"http_{number}")
        return _Code(known, number, number in {408, 409, 429} or number >= 500)
    return _BY_NAME.get(name, _Code(name or "unknown_error", 0))


def code_name(number: object) -> str:
    """The word for a code of gRPC or HTTP, in lower case."""
    return _code(number, None).name


def is_passing(number: object) -> bool:
    """Whether asking again may help after this code."""
    return _code(number, None).passing


def item_error(detail: object, *, raw: bytes = b"") -> ItemError:
    """The error that a row's ``error`` or ``status`` describes."""
    facts = _facts(detail)
    code = _code(facts.get("code"), facts.get("status"))
    message = facts.get("message")
    if not isinstance(message, str) or not message:
        message = "the vendor gave no reason" if message is None else _text(message)
    return ItemError(
        code=code.name,
        message=mask(message[:MAX_MESSAGE]),
        retryable=code.passing,
        status=code.http or None,
        raw=excerpt(raw),
    )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _facts(detail: object) -> JSONObject:
    if isinstance(detail, str):
        # Vertex AI: 'Bad Request: {"error": {"code": 400, ...}}'.
        found = as_object(detail[max(detail.find("{"), 0) :])
        return _facts(found) if found else {"message": detail, "status": _word_in(detail)}
    if not isinstance(detail, dict):
        return {"message": detail}
    facts = cast("JSONObject", detail)
    inner = facts.get("error")
    return _facts(cast("object", inner)) if inner else facts


def _word_in(text: str) -> str:
    """The name of a code that a text begins with or holds, such as "Internal error"."""
    folded = text.lower().replace(" ", "_")
    return next((name for name in _BY_NAME if name in folded), "")


def blocked(reason: str, message: str | None) -> ItemError:
    """The error of a prompt that was not answered; asking the same again is of no use."""
    told = f": {message}" if message else ""
    code = f"blocked_{reason.lower()}"
    return ItemError(code=code, message=mask(f"the prompt was blocked ({reason}){told}"))
