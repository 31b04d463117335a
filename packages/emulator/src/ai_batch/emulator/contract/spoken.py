"""Answers of a given text, in every vendor's own words."""

from __future__ import annotations

from collections.abc import Mapping

from ai_batch.emulator.json_types import JsonObject, encode

__all__ = ["TOKENS", "Scripted", "spoken"]

TOKENS = (11, 7)
"""What each of these answers has used: input and output."""


def spoken(endpoint: str, body: JsonObject, text: str) -> JsonObject:
    """The answer to ``body`` that says ``text``."""
    if endpoint == "/v1/messages":
        return _message(body, text)
    if endpoint == "/v1/responses":
        return _response(body, text)
    return _completion(body, text) if endpoint.startswith("/v1/") else _generated(text)


def _completion(body: JsonObject, text: str) -> JsonObject:
    read, written = TOKENS
    message: JsonObject = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-spoken",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def _response(body: JsonObject, text: str) -> JsonObject:
    read, written = TOKENS
    content: JsonObject = {"type": "output_text", "text": text, "annotations": []}
    message: JsonObject = {
        "type": "message",
        "id": "msg_spoken",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    return {
        "id": "resp_spoken",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": body.get("model"),
        "output": [message],
        "usage": {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        },
    }


def _message(body: JsonObject, text: str) -> JsonObject:
    read, written = TOKENS
    return {
        "id": "msg_spoken",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": read, "output_tokens": written},
    }


def _generated(text: str) -> JsonObject:
    read, written = TOKENS
    content: JsonObject = {"parts": [{"text": text}], "role": "model"}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": read,
            "candidatesTokenCount": written,
            "totalTokenCount": read + written,
        },
        "modelVersion": "spoken",
        "responseId": "spoken",
    }


class Scripted:
    """Answers requests that hold certain words with certain texts, one after another.

    The last text is given again and again. What holds none of the words gets the echo.
    """

    def __init__(self, script: Mapping[str, list[str]]) -> None:
        """``script`` gives the texts by the words."""
        self._left = {words: list(texts) for words, texts in script.items()}
        self.asked: list[str] = []

    def __call__(self, endpoint: str, body: JsonObject) -> JsonObject | None:
        """The answer to one request."""
        content = encode(body).decode()
        for words, texts in self._left.items():
            if words in content:
                self.asked.append(words)
                text = texts.pop(0) if len(texts) > 1 else texts[0]
                return spoken(endpoint, body, text)
        return None
