"""How Gemini tells of its quotas: in the body, https://ai.google.dev/gemini-api/docs/rate-limits.

The names of metrics and quotas are those that users have posted.
"""

from __future__ import annotations

import math

from ai_batch.emulator.gemini.dialect import EMBED_CONTENT
from ai_batch.emulator.gemini.errors import GoogleError, exhausted, retry_info
from ai_batch.emulator.gemini.prompts import content_tokens, prompt_tokens
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.rate_limits import Exceeded

REQUESTS = "requests"
TOKENS = "tokens"
_SERVICE = "generativelanguage.googleapis.com"
_QUOTAS = {
    (REQUESTS, False): (
        "generate_requests_per_model",
        "GenerateRequestsPerMinutePerProjectPerModel",
    ),
    (TOKENS, False): (
        "generate_content_paid_tier_input_token_count",
        "GenerateContentPaidTierInputTokensPerModelPerMinute",
    ),
    (REQUESTS, True): ("embed_content_requests", "EmbedContentRequestsPerMinutePerProjectPerModel"),
    (TOKENS, True): ("embed_content_input_token_count", "EmbedContentInputTokensPerModelPerMinute"),
}


def asked_tokens(method: str, body: JsonObject) -> int:
    """Estimate the tokens that count: those of the input."""
    if method == EMBED_CONTENT:
        return content_tokens(body.get("content"))
    return prompt_tokens(body)


def exceeded_error(model: str, method: str, exceeded: Exceeded) -> GoogleError:
    """Return the 429; one that never ends, since the request is too large, says nothing of time."""
    metric, quota = _QUOTAS[exceeded.name, method == EMBED_CONTENT]
    limit = exceeded.level.limit
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n"
        f"* Quota exceeded for metric: {_SERVICE}/{metric}, limit: {limit}, model: {model}"
    )
    violation: JsonObject = {
        "quotaMetric": f"{_SERVICE}/{metric}",
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": str(limit),
    }
    failure: JsonObject = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [violation],
    }
    if math.isinf(exceeded.wait):
        return exhausted(message, [failure])
    message += f"\nPlease retry in {exceeded.wait:.9g}s."
    return exhausted(message, [failure, retry_info(exceeded.wait)])
