"""OpenAI's wire formats: requests as lines of a batch file, rows of its results as answers.

Pure: nothing here calls anybody, and nothing imports the vendor's SDK. The formats themselves
are in ``wire_chat``, ``wire_responses`` and ``wire_embeddings``; this module picks one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from ai_batch.core.messages import JSONObject
from ai_batch.core.provider import Route, Scan
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.results import Outcome
from ai_batch.core.wire_faults import fault, invalid
from ai_batch.openai.settings import TokenParameter
from ai_batch.openai.wire_chat import CHAT, chat_body
from ai_batch.openai.wire_check import check
from ai_batch.openai.wire_embeddings import EMBEDDINGS, embedding_body
from ai_batch.openai.wire_responses import RESPONSES, responses_body
from ai_batch.openai.wire_rows import Format

__all__ = [
    "TokenParameter",
    "check",
    "decode",
    "decode_body",
    "encode",
    "encode_body",
    "fault",
    "readable",
    "scan",
    "token_parameter",
]

_ENCODER = msgspec.json.Encoder()

# A vendor's prefix (openai/gpt-5) may stand in front. gpt-35 is Azure's name for gpt-3.5.
_REASONING = re.compile(r"(?:^|[/:])(?:o[1-9](?![A-Za-z0-9])|gpt-(?:[5-9]|[12]\d)(?![0-9]))")


@lru_cache(maxsize=256)
def token_parameter(model: str, base_is_openai: bool) -> TokenParameter:  # noqa: FBT001
    """What ``max_tokens`` has to be called in a chat completion of ``model``.

    OpenAI itself takes ``max_completion_tokens`` for all of its models, and reasoning models
    take nothing else wherever they run. Other servers, older ones above all, may know only
    ``max_tokens``.
    """
    if base_is_openai or _REASONING.search(model):
        return "max_completion_tokens"
    return "max_tokens"


def encode(
    request: Request,
    route: Route,
    wire_id: str,
    *,
    max_tokens: int | None,
    token_parameter: TokenParameter,
) -> bytes:
    """One line of the input file, without the line's end.

    ``max_tokens`` is for requests that do not set their own. The user's ``metadata`` is not sent.
    """
    body = _body(request, route, max_tokens, token_parameter)
    line = {"custom_id": wire_id, "method": "POST", "url": route.endpoint, "body": body}
    return _ENCODER.encode(line)


def encode_body(
    request: Request,
    route: Route,
    *,
    max_tokens: int | None = None,
    token_parameter: TokenParameter = "max_completion_tokens",  # noqa: S107 - no secret
) -> bytes:
    """Only the body, for a call that is answered at once."""
    return _ENCODER.encode(_body(request, route, max_tokens, token_parameter))


def _body(
    request: Request, route: Route, max_tokens: int | None, token_parameter: TokenParameter
) -> JSONObject:
    if not isinstance(request, ChatRequest):
        return embedding_body(request, route.model)
    if route.endpoint.endswith("/responses"):
        return responses_body(request, route.model, max_tokens=max_tokens)
    return chat_body(request, route.model, max_tokens=max_tokens, token_parameter=token_parameter)


def scan(row: bytes, route: Route) -> Scan:
    """Whose row it is, how it ended and its tokens.

    Agrees with ``decode`` on every row. Raises ``ValueError`` where it can't be told whose row
    it is, and then nothing of it can be used.
    """
    return _format(route).scan(row)


def decode(row: bytes, route: Route) -> tuple[str, Outcome]:
    """The wire id and the answer, or the error of this one request. Raises ``ValueError``."""
    return _format(route).decode(row)


def decode_body(body: bytes, route: Route) -> Outcome:
    """The answer in the body of a call that was answered at once, with status 2xx."""
    try:
        body.decode()
    except ValueError as error:
        return invalid(f"the vendor's answer can't be read: {error}")
    return _format(route).decode_body(body)


def readable(body: bytes) -> JSONObject:
    """An encoded body as it was before."""
    return msgspec.json.decode(body, type=dict[str, Any])


def _format(route: Route) -> Format[Any]:
    if route.kind == "embedding":
        return EMBEDDINGS
    return RESPONSES if route.endpoint.endswith("/responses") else CHAT
