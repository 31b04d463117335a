"""What is asked, and of whom: the options of a processor as the provider takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ai_batch.core.provider import Limits
from ai_batch.gemini.client import ClientSettings

__all__ = ["LIMITS", "VERTEX_LIMITS", "Backend", "GeminiSettings"]

Backend: TypeAlias = Literal["developer", "vertex"]
"""Whose API: that of Google AI Studio's keys, or that of a Google Cloud project."""

LIMITS = Limits(max_requests=50_000, max_bytes=2_000_000_000)
"""2 GB: https://ai.google.dev/gemini-api/docs/batch-api. No number of requests is documented;
ours keeps a batch's results within a download that can be begun anew."""

VERTEX_LIMITS = Limits(max_requests=200_000, max_bytes=1_000_000_000)
"""https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiSettings:
    """What is asked, and of whom."""

    connection: ClientSettings
    model: str | None = None
    embedding_model: str | None = None
    max_tokens: int | None = None
    inline_bytes: int = 0
    gcs_uri: str | None = None
    limits: Limits | None = None
