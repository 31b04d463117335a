"""Makes the processors again with which recorded jobs were planned; keys are in no record."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ai_batch.core.errors import UsageError
from ai_batch.core.processor import DurableProcessor, NativeProcessor
from ai_batch.core.registry import load_provider

if TYPE_CHECKING:
    from ai_batch.core.options import Options
    from ai_batch.core.records import JobRecord
    from ai_batch.core.requests import Request

__all__ = ["Remaking", "make_processor", "needs_client", "parameters_of", "recorded_options"]

RENAMED = {"window": "completion_window"}
"""How a job's record calls an option."""

KNOWN_TYPES: dict[str, Callable[[str], object]] = {
    "max_tokens": int,
    "betas": lambda text: text.split(","),
}

MOST_KINDS = 256
"""Processors that are kept for jobs to come which are asked in the same way."""


@functools.cache
def _class_of(name: str) -> type[DurableProcessor]:
    return cast("type[DurableProcessor]", load_provider(name))


def parameters_of(name: str) -> set[str]:
    """The options of a provider's own."""
    return set(inspect.signature(_class_of(name)).parameters)


def needs_client(name: str) -> bool:
    """Whether only a program has what answers: a client, and not a vendor's batch API."""
    return not issubclass(_class_of(name), NativeProcessor)


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


def make_processor(name: str, given: Mapping[str, Any], options: Options) -> DurableProcessor:
    """A provider's processor. Raises ``UsageError`` for options that it does not have.

    ``model`` becomes the model of embeddings as well where the provider has these. One that needs
    a client of the user's is made for reading.
    """
    kind = _class_of(name)
    if needs_client(name):
        given = {"chat": _nobody, "embedder": _nobody}
    own = {key: value for key, value in given.items() if value is not None}
    if "model" in own and "embedding_model" in parameters_of(name):
        own.setdefault("embedding_model", own["model"])
    make = cast("Callable[..., DurableProcessor]", kind)
    return make(**own, home=options.home, ledger=options.ledger)


def _nobody(request: Request) -> NoReturn:
    raise UsageError(f"request {request.id!r} needs its program's client")


def _recorded(record: JobRecord) -> dict[str, Any]:
    return recorded_options(record)


class Remaking:
    """Gives each recorded job its processor; jobs that are asked in the same way share one."""

    def __init__(
        self,
        options: Options,
        given: Mapping[str, Any] | None = None,
        recorded: Callable[[JobRecord], Mapping[str, Any]] = _recorded,
    ) -> None:
        """Processors get the home and the ledger of ``options``.

        ``recorded`` reads the options of a job, which ``given`` replaces.
        """
        self._options = options
        self._given = given or {}
        self._recorded = recorded
        self._made: dict[str, DurableProcessor] = {}

    def __call__(self, record: JobRecord) -> DurableProcessor | None:
        """The processor of a job; None where only a program has what answers.

        Raises ``UsageError`` where the provider is not installed, or has no key here.
        """
        if needs_client(record.provider):
            return None
        given = {**self._recorded(record), **self._given}
        kind = json.dumps([record.provider, given], sort_keys=True, default=str)
        made = self._made.pop(kind, None) or self._new(record.provider, given)
        # The latest is the last: those that nobody has asked for go first.
        self._made[kind] = made
        if len(self._made) > MOST_KINDS:
            del self._made[next(iter(self._made))]
        return made

    def _new(self, name: str, given: Mapping[str, Any]) -> DurableProcessor:
        try:
            return make_processor(name, given, self._options)
        except UsageError:
            raise
        except (TypeError, ValueError) as error:
            # Text where a number is wanted: what was written down has no types.
            raise UsageError(f"an option has a value that can't be meant: {error}") from None
