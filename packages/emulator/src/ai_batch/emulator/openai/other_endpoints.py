"""Answers of the remaining endpoints: completions, moderations, images and videos."""

from __future__ import annotations

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_text, encode
from ai_batch.emulator.texts import cut_to_tokens, positive, tokens_of

_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def text_completion(body: JsonObject, identity: str, created: int) -> JsonObject:
    """Return a `text_completion` that repeats the prompt."""
    prompt = body.get("prompt")
    text = prompt if isinstance(prompt, str) else encode(prompt).decode()
    limit = positive(body, "max_tokens") or 16
    cut = tokens_of(text) > limit
    answer = cut_to_tokens(text, limit)
    choice: JsonObject = {
        "index": 0,
        "text": answer,
        "logprobs": None,
        "finish_reason": "length" if cut else "stop",
    }
    return {
        "id": f"cmpl-{identity}",
        "object": "text_completion",
        "created": created,
        "model": as_text(body.get("model")),
        "choices": [choice],
        "usage": {
            "prompt_tokens": tokens_of(text),
            "completion_tokens": tokens_of(answer),
            "total_tokens": tokens_of(text) + tokens_of(answer),
        },
    }


def moderation(body: JsonObject, identity: str) -> JsonObject:
    """Return a moderation that flags texts with the word "flagged"."""
    value = body.get("input")
    texts: list[JsonValue] = as_list(value) if isinstance(value, list) else [value]
    results: list[JsonValue] = [_verdict(encode(text).decode()) for text in texts]
    return {
        "id": f"modr-{identity}",
        "model": as_text(body.get("model")) or "omni-moderation-latest",
        "results": results,
    }


def _verdict(text: str) -> JsonObject:
    flagged = "flagged" in text
    categories: JsonObject = {name: flagged and name == "violence" for name in _CATEGORIES}
    scores: JsonObject = {name: 0.9 if hit else 0.001 for name, hit in categories.items()}
    return {"flagged": flagged, "categories": categories, "category_scores": scores}


def images(body: JsonObject, created: int) -> JsonObject:
    """Return images of one pixel."""
    count = positive(body, "n") or 1
    read = tokens_of(as_text(body.get("prompt")))
    data: list[JsonValue] = [{"b64_json": _PIXEL} for _ in range(count)]
    return {
        "created": created,
        "data": data,
        "usage": {"input_tokens": read, "output_tokens": count, "total_tokens": read + count},
    }


def video(body: JsonObject, identity: str, created: int) -> JsonObject:
    """Return a video job, which in a batch has always ended."""
    return {
        "id": f"video_{identity}",
        "object": "video",
        "created_at": created,
        "completed_at": created,
        "expires_at": created + 86_400,
        "model": as_text(body.get("model")),
        "prompt": body.get("prompt"),
        "progress": 100,
        "seconds": body.get("seconds", "4"),
        "size": body.get("size", "720x1280"),
        "status": "completed",
        "error": None,
        "remixed_from_video_id": None,
    }
