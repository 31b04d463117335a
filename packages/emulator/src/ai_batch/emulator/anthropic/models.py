"""The models of the vendor: their names, their dated names, and what each of them takes.

Source: https://platform.claude.com/docs/en/about-claude/models/overview
"""

from __future__ import annotations

import re

from ai_batch.emulator.json_types import JsonObject

DATED = {
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
}
MODELS = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    *DATED.values(),
)
LEAST_MAX_OUTPUT = 64_000
LONG_OUTPUT = "output-300k-2026-03-24"
_ADAPTIVE_ONLY = re.compile(r"claude-[a-z]+-(4-[7-9]|[5-9]|mythos)")
_SMALL = re.compile(r"claude-(haiku|(opus|sonnet)-4-5|3)")


def resolved(model: str) -> str:
    """Return the dated name that answers carry."""
    return DATED.get(model, model)


def is_adaptive_only(model: str) -> bool:
    """Tell whether a model takes neither sampling parameters, nor a budget of thinking."""
    return _ADAPTIVE_ONLY.match(model) is not None


def max_output(model: str, *, long_output: bool = False) -> int:
    """Return the largest `max_tokens` of a model."""
    if _SMALL.match(model):
        return LEAST_MAX_OUTPUT
    return 300_000 if long_output else 128_000


def model_info(model: str) -> JsonObject:
    """Return a model as the list shows it."""
    words = resolved(model).removeprefix("claude-").split("-")
    words = [word for word in words if len(word) < 8 or not word.isdecimal()]
    numbers = ".".join(word for word in words if word.isdecimal())
    names = " ".join(word.title() for word in words if not word.isdecimal())
    return {
        "type": "model",
        "id": resolved(model),
        "display_name": f"Claude {names} {numbers}".strip(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": max_output(model),
    }
