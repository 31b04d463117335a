"""Finds providers by name through their entry points; imports one only when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_batch.core.errors import ProviderNotInstalled, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from ai_batch.core.processor import Processor

__all__ = ["load_provider", "providers"]

GROUP = "ai_batch.providers"

KNOWN = {
    "anthropic": "ai-batch-anthropic",
    "concurrent": "ai-batch-concurrent",
    "gemini": "ai-batch-gemini",
    "openai": "ai-batch-openai",
    "vertex": "'ai-batch-gemini[vertex]'",
}
"""Providers of this family, and what ``pip`` installs them."""


def _entries() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def providers() -> list[str]:
    """The names of the installed providers."""
    return sorted({entry.name for entry in _entries()})


def load_provider(name: str) -> type[Processor]:
    """The processor class of a provider, such as ``openai``.

    Raises ``ProviderNotInstalled`` with the ``pip install`` that brings it, and ``UsageError``
    for a name that is not known at all.
    """
    for entry in _entries():
        if entry.name == name:
            loaded: type[Processor] = entry.load()
            return loaded
    installed = ", ".join(providers()) or "none"
    if name in KNOWN:
        raise ProviderNotInstalled(
            f"the provider {name!r} is not installed (installed: {installed}): "
            f"pip install {KNOWN[name]}"
        )
    raise UsageError(f"there is no provider {name!r}; installed: {installed}")
