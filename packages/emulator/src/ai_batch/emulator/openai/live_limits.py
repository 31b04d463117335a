"""How OpenAI tells of its rate limits: https://platform.openai.com/docs/guides/rate-limits."""

from __future__ import annotations

import math

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_text
from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.openai.work import ORGANIZATION
from ai_batch.emulator.rate_limits import Allowance, Exceeded, Level
from ai_batch.emulator.texts import positive, prompt_tokens, tokens_of

REQUESTS = "requests"
TOKENS = "tokens"
_NAMES = {REQUESTS: "requests per min (RPM)", TOKENS: "tokens per min (TPM)"}
_UNLIMITED = {REQUESTS: Level(10_000, 9_999, 0.006), TOKENS: Level(2_000_000, 1_999_000, 0.03)}


def asked_tokens(body: JsonObject) -> int:
    """Estimate what a request counts: its prompt, or its `max_tokens` if that is more."""
    read = prompt_tokens(_messages(body)) + tokens_of(as_text(body.get("instructions")))
    most = positive(body, "max_completion_tokens", "max_output_tokens", "max_tokens") or 0
    return max(read, most)


def _messages(body: JsonObject) -> JsonValue:
    said = body.get("messages", body.get("input", body.get("prompt")))
    texts = as_list(said) if isinstance(said, list) else [said]
    return [{"content": text} if isinstance(text, str) else text for text in texts]


def limit_headers(allowance: Allowance) -> dict[str, str]:
    """Return the headers that come with each answer."""
    headers: dict[str, str] = {}
    for name, unlimited in _UNLIMITED.items():
        level = allowance.level(name) or unlimited
        headers[f"x-ratelimit-limit-{name}"] = str(level.limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(level.left)
        headers[f"x-ratelimit-reset-{name}"] = duration(level.reset)
    return headers


def duration(seconds: float) -> str:
    """Write seconds as the vendor does: `20ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        text = f"{hours}h{text}" if hours else text
    return text


def exceeded_error(model: str, exceeded: Exceeded, allowance: Allowance) -> VendorError:
    """Return the 429; one that never ends, since the request is too large, says nothing of time."""
    headers = limit_headers(allowance)
    limit = exceeded.level.limit
    where = f"for {model} in organization {ORGANIZATION} on {_NAMES[exceeded.name]}"
    if math.isinf(exceeded.wait):
        message = f"Request too large {where}: Limit {limit}, Requested {exceeded.asked}."
    else:
        used = limit - exceeded.level.left
        message = (
            f"Rate limit reached {where}: Limit {limit}, Used {used}, Requested {exceeded.asked}. "
            f"Please try again in {duration(exceeded.wait)}."
        )
        headers["retry-after"] = str(math.ceil(exceeded.wait))
        headers["retry-after-ms"] = str(math.ceil(exceeded.wait * 1000))
    return VendorError(
        message, status=429, type=exceeded.name, code="rate_limit_exceeded", headers=headers
    )
