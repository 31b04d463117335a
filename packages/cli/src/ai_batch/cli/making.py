"""Reads the options of processors, as the command line and its notes have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from ai_batch.core import JobRecord, Options, UsageError
from ai_batch.core.remaking import needs_client, parameters_of

__all__ = [
    "SECRET",
    "check_provider",
    "general_options",
    "how_to_go_on",
    "read_options",
    "without_key",
]

SECRET = frozenset(
    {"api_key", "extra_headers", "client", "credentials", "home", "ledger", "runtime"}
)
"""Options that can't be given here: keys come from the environment and are written nowhere."""


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as options: values are JSON where they can be, else text.

    Raises ``UsageError`` for what is no such pair, and for keys.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"{text!r} must be NAME=VALUE")
        if name in SECRET:
            raise UsageError(f"{name} can't be given here: keys come from the environment")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def check_provider(name: str) -> None:
    """Raises ``UsageError`` for a provider that this command can't ask."""
    if needs_client(name):
        raise UsageError(
            f"{name} has no batch API: its jobs need a client, which only a program can give"
        )


def how_to_go_on(record: JobRecord) -> str:
    """What somebody does to have a job worked on."""
    if needs_client(record.provider):
        return "run its program again, which has the client"
    return f"ai-batch resume {record.id}"


def general_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that say how a job is run, whoever answers it."""
    names = {field.name for field in fields(Options)}
    return {name: value for name, value in given.items() if name in names}


def without_key(provider: str) -> dict[str, Any]:
    """Options for planning or reading where nothing is sent: no key needs to be there."""
    known = parameters_of(provider)
    found: dict[str, Any] = {}
    if "api_key" in known:
        found["api_key"] = "unused"
    elif "gcs_uri" in known:
        found["gcs_uri"] = "gs://unused"
    return found
