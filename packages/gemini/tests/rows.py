"""Rows as the Developer API and Vertex AI write them."""

from __future__ import annotations

import json
from typing import Any

from ai_batch.core.provider import Route

__all__ = ["CHAT", "EMBEDDING", "KEY", "PREDICT", "VERTEX", "answered", "labelled", "row"]

KEY = "abcdefghijklmnop-17"

CHAT = Route("chat", "batchGenerateContent", "gemini-2.5-flash")
VERTEX = Route("chat", "generateContent", "gemini-2.5-flash")
EMBEDDING = Route("embedding", "asyncBatchEmbedContent", "gemini-embedding-001")
PREDICT = Route("embedding", "predict", "text-embedding-005")

USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}


def row(**fields: Any) -> bytes:
    """A row with a key, as of a file of results."""
    return json.dumps({**fields, "key": KEY}).encode()


def labelled(**fields: Any) -> bytes:
    """A row of Vertex AI that has no key, but a label in the request that it repeats."""
    request: dict[str, Any] = {"contents": [], "labels": {"team": "search", "ai_batch_key": KEY}}
    head: dict[str, Any] = {
        "status": "",
        "processed_time": "2026-09-19T21:29:47.352+00:00",
        "request": request,
    }
    return json.dumps({**head, **fields}).encode()


def answered(*parts: dict[str, Any], finish: str | None = "STOP", **body: Any) -> dict[str, Any]:
    """A ``GenerateContentResponse`` with one candidate."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-2.5-flash-001",
        "responseId": "r-1",
        **body,
    }
