"""How Anthropic tells of its rate limits: https://platform.claude.com/docs/en/api/rate-limits."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from ai_batch.emulator.anthropic.errors import VendorError
from ai_batch.emulator.anthropic.prompt_tokens import prompt_tokens
from ai_batch.emulator.json_types import JsonObject, as_count, as_object, decode
from ai_batch.emulator.rate_limits import Allowance, Exceeded, Level

REQUESTS = "requests"
INPUT = "input-tokens"
OUTPUT = "output-tokens"
_SPOKEN = {
    REQUESTS: "requests per minute",
    INPUT: "input tokens per minute",
    OUTPUT: "output tokens per minute",
}
_UNLIMITED = {
    REQUESTS: Level(4000, 3999, 0.0),
    INPUT: Level(2_000_000, 2_000_000, 0.0),
    OUTPUT: Level(400_000, 400_000, 0.0),
}


def asked(allowance: Allowance, body: JsonObject) -> dict[str, int]:
    """Return what a request counts; its answer counts when it is there, but there must be room."""
    amounts = {REQUESTS: 1}
    if allowance.counts(INPUT):
        amounts[INPUT] = prompt_tokens(body).total
    if allowance.counts(OUTPUT):
        amounts[OUTPUT] = 1
    return amounts


def settle(allowance: Allowance, answer: bytes) -> None:
    """Count an answer's tokens, and give back those that were read from the cache."""
    if not allowance.counts(INPUT, OUTPUT):
        return
    usage = as_object(as_object(decode(answer)).get("usage"))
    allowance.use(OUTPUT, (as_count(usage.get("output_tokens")) or 0) - 1)
    allowance.use(INPUT, -(as_count(usage.get("cache_read_input_tokens")) or 0))


def limit_headers(allowance: Allowance, now: float) -> dict[str, str]:
    """Return the headers that come with each answer; tokens are told to the nearest thousand."""
    levels = {name: allowance.level(name) or _UNLIMITED[name] for name in _UNLIMITED}
    headers = _trio(REQUESTS, levels[REQUESTS], levels[REQUESTS].left, now)
    for name in (INPUT, OUTPUT):
        headers |= _trio(name, levels[name], round(levels[name].left, -3), now)
    # The limit of all tokens is the one that is nearest to its end.
    tokens = min((levels[INPUT], levels[OUTPUT]), key=lambda level: level.left / (level.limit or 1))
    return headers | _trio("tokens", tokens, round(tokens.left, -3), now)


def _trio(name: str, level: Level, left: int, now: float) -> dict[str, str]:
    start = f"anthropic-ratelimit-{name}"
    return {
        f"{start}-limit": str(level.limit),
        f"{start}-remaining": str(left),
        f"{start}-reset": _written(math.ceil(now + level.reset)),
    }


@lru_cache(maxsize=64)
def _written(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exceeded_error(model: str, exceeded: Exceeded, allowance: Allowance, now: float) -> VendorError:
    """Return the 429; one that never ends, since the request is too large, says nothing of time."""
    message = (
        f"This request would exceed your organization's rate limit of {exceeded.level.limit} "
        f"{_SPOKEN[exceeded.name]} (model: {model}). For details, refer to: "
        "https://platform.claude.com/docs/en/api/rate-limits."
    )
    headers = limit_headers(allowance, now)
    if not math.isinf(exceeded.wait):
        headers["retry-after"] = str(math.ceil(exceeded.wait))
    return VendorError(message, status=429, headers=headers)
