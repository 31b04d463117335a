"""The versions of the API that are served: https://platform.claude.com/docs/en/api/versioning."""

from __future__ import annotations

from collections.abc import Mapping

from ai_batch.emulator.anthropic.errors import VendorError

_VERSIONS = ("2023-06-01", "2026-10-21")


def version_of(headers: Mapping[str, str]) -> str:
    """Return the version that a call asks for; one must be named."""
    version = headers.get("anthropic-version")
    if version is None:
        raise VendorError("anthropic-version: header is required")
    if version not in _VERSIONS:
        raise VendorError(f'anthropic-version: "{version}" is not a valid version')
    return version


def is_strict(version: str) -> bool:
    """Tell whether a version refuses what the first one took."""
    return version >= _VERSIONS[-1]


def betas_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the betas that a call asks for."""
    named = headers.get("anthropic-beta", "").split(",")
    return tuple(beta.strip() for beta in named if beta.strip())
