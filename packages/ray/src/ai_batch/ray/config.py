"""What is asked, of whom, and where its records are: the same on all machines, and without keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from ai_batch.core.errors import UsageError, mask
from ai_batch.core.options import Options

__all__ = ["BatchAPIProcessorConfig", "QueueLimits"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a job may be called: its folder is called the same."""

OWN = {"model", "home", "ledger", "max_batches_in_flight", "max_enqueued_tokens", "max_cost"}
"""Options of processors that have a field of their own here."""

NOT_HERE = {"client", "credentials", "runtime", "on_progress", "progress", "approve", "reuse"}
"""Options of processors that can't be sent to other machines, or mean nothing there."""

KEY_LIKE = re.compile(r"(?i)key|secret|password|credential|authorization|cookie|(?<!max_)\btoken\b")
"""Names of what nobody but the machine that needs it should have."""


class QueueLimits(BaseModel):
    """How much may stand in the vendor's queue at once, over all machines on the ledger.

    ``max_cost`` is in USD, for the whole job: planning refuses more, before anything is sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_batches_in_flight: int | None = Field(default=None, ge=1)
    max_enqueued_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, ge=0)


class BatchAPIProcessorConfig(BaseModel):
    """How the rows of a dataset are answered through a vendor's batch API.

    ``job`` names the job: who plans it again gets the job that is there. ``batch_size`` is how
    many rows one job of the ledger holds at most, which is best no smaller than the vendor's
    batches. ``options`` are further options of the provider's processor. ``docs/guides/ray.md``
    explains all of it.

    Raises ``UsageError`` for values that can't be meant, and for keys: those are read from the
    environment of the machine that needs them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    provider: str
    model: str
    job: str
    # An address may hold a password.
    ledger: str | None = Field(default=None, repr=False)
    home: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    batch_size: int = Field(default=100_000, ge=1)
    concurrency: int | tuple[int, int] | None = None
    should_continue_on_error: bool = False
    limits: QueueLimits = QueueLimits()

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            provider: str,
            model: str,
            job: str,
            ledger: str | Path | None = None,
            home: str | Path | None = None,
            options: Mapping[str, Any] | None = None,
            batch_size: int = 100_000,
            concurrency: int | tuple[int, int] | None = None,
            should_continue_on_error: bool = False,
            limits: QueueLimits | Mapping[str, Any] | None = None,
        ) -> None: ...

    else:

        def __init__(self, **given: Any) -> None:
            _refuse_keys(given)
            given = {name: value for name, value in given.items() if value is not None}
            try:
                super().__init__(**given)
            except ValidationError as error:
                # Pydantic's own holds what was given.
                raise UsageError(_complaint(error)) from None

    @field_validator("ledger", "home", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @field_validator("job")
    @classmethod
    def _is_name(cls, job: str) -> str:
        if not NAME.fullmatch(job):
            raise ValueError("must be letters, digits, '.', '_' and '-', at most 100")
        return job

    @field_validator("concurrency")
    @classmethod
    def _is_number(cls, concurrency: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        least, most = concurrency if isinstance(concurrency, tuple) else (1, concurrency)
        if least < 1 or (most is not None and most < least):
            raise ValueError("must be a positive number, or two of which the first is no larger")
        return concurrency

    @property
    def tasks(self) -> int | None:
        """How many tasks plan or collect at once; None for as many as the cluster has room for."""
        return self.concurrency[1] if isinstance(self.concurrency, tuple) else self.concurrency

    @property
    def home_path(self) -> Path:
        """``home``, else ``AI_BATCH_HOME``, else the user's state directory of this machine."""
        return Options(home=self.home).home_path

    @property
    def identity(self) -> dict[str, JsonValue]:
        """What decides which requests are asked of whom, and how rows are shared out among jobs."""
        how_it_runs = {field.name for field in fields(Options)}
        asked = {name: value for name, value in self.options.items() if name not in how_it_runs}
        return {
            "provider": self.provider,
            "model": self.model,
            "batch_size": self.batch_size,
            "options": cast("JsonValue", asked),
        }

    @property
    def shares_ledger(self) -> bool:
        """Whether the ledger has an address, so that several machines can use it."""
        return "://" in (self.ledger or os.environ.get("AI_BATCH_LEDGER") or "")

    def settled(self) -> BatchAPIProcessorConfig:
        """The same with this machine's home and ledger named, as others are to find them."""
        ledger = self.ledger or os.environ.get("AI_BATCH_LEDGER")
        if ledger and "://" not in ledger:
            ledger = str(Path(ledger).expanduser().absolute())
        return self.model_copy(update={"home": str(self.home_path), "ledger": ledger})


def _complaint(error: ValidationError) -> str:
    lines = [
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return mask(f"BatchAPIProcessorConfig: {'; '.join(lines)}")


def _refuse_keys(given: Mapping[str, Any]) -> None:
    """Raises ``UsageError`` for options that are keys, hold one, or can't be sent elsewhere."""
    options = cast("Mapping[str, Any]", given.get("options") or {})
    if not isinstance(options, Mapping):
        return
    for name in {*given, *options} & {"api_key", *NOT_HERE}:
        raise UsageError(
            f"{name} can't be given here: a config is sent to other machines, which read keys from "
            "their own environment, and has no room for what belongs to one process"
        )
    for name in OWN & options.keys():
        raise UsageError(f"options[{name!r}] is a field of the config's own: give {name}=, "
                         "or limits=")  # fmt: skip
    for path, value in _leaves("options", options):
        if KEY_LIKE.search(path) or mask(value) != value:
            raise UsageError(
                f"{path} looks like a key: a config is sent to other machines, which read keys "
                "from their own environment"
            )


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each text within, and where it is."""
    if isinstance(value, Mapping):
        for name, item in cast("Mapping[object, Any]", value).items():
            yield from _leaves(f"{path}.{name}", item)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(f"{path}[{place}]", item)
    elif isinstance(value, str):
        yield path, value
