"""How much a model is to think, which each family of models is told in its own way."""

from __future__ import annotations

import re
from functools import lru_cache

from ai_batch.core.messages import JSONObject

__all__ = ["effort_problem", "thinking_config"]

BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Tokens for thoughts; https://ai.google.dev/gemini-api/docs/openai has the same."""

LEVELS = ("minimal", "low", "medium", "high")
"""https://ai.google.dev/gemini-api/docs/thinking: from Gemini 3 on."""

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


@lru_cache(maxsize=256)
def _version(model: str) -> tuple[int, int] | None:
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def _is_budgeted(model: str) -> bool:
    version = _version(model)
    return version is not None and version < (3, 0)


def thinking_config(effort: str, model: str) -> JSONObject:
    """The ``thinkingConfig``: a budget for Gemini 2.5, a level for all later or unknown models."""
    if _is_budgeted(model):
        return {"thinkingBudget": BUDGETS[effort]}
    return {"thinkingLevel": effort}


def effort_problem(effort: str, model: str) -> str | None:
    """What is wrong with an effort for this model; None where nothing is."""
    version = _version(model)
    if version is not None and version < (2, 5):
        return f"{model} does not think; leave it out"
    allowed = tuple(BUDGETS) if _is_budgeted(model) else LEVELS
    if effort not in allowed:
        return f"{effort!r} is not one of {', '.join(allowed)}, which {model} knows"
    if effort == "none" and "pro" in model:
        return f"{model} can't do without thoughts; use minimal"
    return None
