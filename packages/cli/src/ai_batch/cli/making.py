"""Makes the processor of a command, or of a job that an earlier process made."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NoReturn, cast

from ai_batch.core import (
    JobRecord,
    NativeProcessor,
    Options,
    Request,
    UsageError,
    load_provider,
)
from ai_batch.core.processor import DurableProcessor

__all__ = [
    "SECRET",
    "check_provider",
    "how_to_go_on",
    "make_processor",
    "needs_program",
    "read_options",
    "recorded_options",
    "without_key",
]

SECRET = frozenset(
    {"api_key", "extra_headers", "client", "credentials", "home", "ledger", "runtime"}
)
"""Options that can't be given here: keys come from the environment and are written nowhere."""

RENAMED = {"window": "completion_window"}
"""How a job's record calls an option."""

KNOWN_TYPES: dict[str, Callable[[str], object]] = {
    "max_tokens": int,
    "betas": lambda text: text.split(","),
}


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


def parameters_of(name: str) -> set[str]:
    """The options of a provider's own."""
    return set(inspect.signature(_class_of(name)).parameters)


def _class_of(name: str) -> type[DurableProcessor]:
    return cast("type[DurableProcessor]", load_provider(name))


def needs_program(name: str) -> bool:
    """Whether only a program has what answers: a client, and not a vendor's batch API."""
    return not issubclass(_class_of(name), NativeProcessor)


def check_provider(name: str) -> None:
    """Raises ``UsageError`` for a provider that this command can't ask."""
    if needs_program(name):
        raise UsageError(
            f"{name} has no batch API: its jobs need a client, which only a program can give"
        )


def how_to_go_on(record: JobRecord) -> str:
    """What somebody does to have a job worked on."""
    if needs_program(record.provider):
        return "run its program again, which has the client"
    return f"ai-batch resume {record.id}"


def make_processor(name: str, given: Mapping[str, Any], options: Options) -> DurableProcessor:
    """A provider's processor. Raises ``UsageError`` for options that it does not have.

    ``model`` becomes the model of embeddings as well where the provider has these. One that needs
    a client of the user's is made for reading.
    """
    kind = _class_of(name)
    if needs_program(name):
        given = {"chat": _nobody, "embedder": _nobody}
    own = {key: value for key, value in given.items() if value is not None}
    if "model" in own and "embedding_model" in parameters_of(name):
        own.setdefault("embedding_model", own["model"])
    make = cast("Callable[..., DurableProcessor]", kind)
    return make(**own, home=options.home, ledger=options.ledger)


def _nobody(request: Request) -> NoReturn:
    raise UsageError(f"request {request.id!r} needs its program's client")


def general_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that say how a job is run, whoever answers it."""
    names = {field.name for field in fields(Options)}
    return {name: value for name, value in given.items() if name in names}


def recorded_options(record: JobRecord) -> dict[str, Any]:
    """The options with which a job was made, as far as they change what is asked or of whom."""
    known = parameters_of(record.provider)
    found: dict[str, Any] = {}
    for key, value in record.spec.items():
        name = RENAMED.get(key, key)
        if name in known and value not in ("", None):
            convert = KNOWN_TYPES.get(name)
            found[name] = value if convert is None else convert(value)
    return found


def without_key(provider: str) -> dict[str, Any]:
    """Options for planning or reading where nothing is sent: no key needs to be there."""
    known = parameters_of(provider)
    found: dict[str, Any] = {}
    if "api_key" in known:
        found["api_key"] = "unused"
    elif "gcs_uri" in known:
        found["gcs_uri"] = "gs://unused"
    return found
