"""Anthropic's wire formats: requests as items of a batch, rows of its results as answers.

Pure: nothing here calls anybody. Only schemas need the vendor's SDK, and only then is it
imported.
"""

from __future__ import annotations

import msgspec

from ai_batch.anthropic.wire_chat import chat_params
from ai_batch.anthropic.wire_check import NO_EMBEDDINGS, check
from ai_batch.anthropic.wire_rows import decode, decode_body, scan
from ai_batch.core.provider import Route
from ai_batch.core.requests import ChatRequest

__all__ = ["NO_EMBEDDINGS", "check", "decode", "decode_body", "encode", "encode_params", "scan"]

_ENCODER = msgspec.json.Encoder()


def encode(request: ChatRequest, route: Route, wire_id: str, *, max_tokens: int) -> bytes:
    """One item of the batch, without spaces or a line's end.

    ``max_tokens`` is for requests that do not set their own. The user's ``metadata`` is not sent.
    """
    params = chat_params(request, route.model, max_tokens=max_tokens)
    return _ENCODER.encode({"custom_id": wire_id, "params": params})


def encode_params(request: ChatRequest, model: str, *, max_tokens: int) -> bytes:
    """Only the body, for a call that is answered at once."""
    return _ENCODER.encode(chat_params(request, model, max_tokens=max_tokens))
