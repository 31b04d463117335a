"""The command ``run``: a file of prompts in, a file of answers out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ai_batch.cli.consent import Question
from ai_batch.cli.desk import Consent, Desk, desk_for
from ai_batch.cli.display import choose_display
from ai_batch.cli.failures import ExitCode, leave
from ai_batch.cli.home import Home, Notes
from ai_batch.cli.making import check_provider, read_options, without_key
from ai_batch.cli.outputs import check_output
from ai_batch.cli.requests import Asking, requests_of
from ai_batch.cli.texts import age, count, plural
from ai_batch.core import UsageError
from ai_batch.core.job import Job
from ai_batch.core.remaking import parameters_of
from ai_batch.core.state import ShardState

__all__ = ["Wanted", "run"]

READING_ROWS = 5000
"""Rows after which a terminal is told how far the reading has come."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for on the command line, about an input and who answers it."""

    source: str
    provider: str = ""
    input_format: str | None = None
    model: str | None = None
    prompt: str | None = None
    id: str | None = None
    keep: list[str] = field(default_factory=list[str])
    system: str | None = None
    embed: bool = False
    schema: str | None = None
    fields: list[str] = field(default_factory=list[str])
    max_tokens: int | None = None
    base_url: str | None = None
    option: list[str] = field(default_factory=list[str])
    home: Path | None = None
    ledger: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Wanted:
        """What a command was given, by the names of its parameters."""
        names = {field.name for field in fields(cls)} & given.keys()
        return cls(**{name: given[name] for name in names if given[name] is not None})

    def given(self) -> dict[str, Any]:
        """The options of the processor. Raises ``UsageError`` for what the provider has not."""
        given = {"model": self.model, "max_tokens": self.max_tokens, "base_url": self.base_url}
        if self.embed and "embedding_model" not in parameters_of(self.provider):
            raise UsageError(f"{self.provider} has no embeddings: leave --embed out")
        return {**given, **read_options(self.option)}

    def requests(self) -> Iterator[dict[str, Any]]:
        """The input's requests, read once."""
        settings = read_options(self.fields)
        if self.schema is not None:
            from ai_batch.cli.schemas import load_schema

            settings["output_type"] = load_schema(self.schema)
        asking = Asking(
            prompt=self.prompt,
            id=self.id,
            keep=tuple(self.keep),
            system=self.system,
            embed=self.embed,
            fields=settings,
            model_given=self.model is not None,
            keep_extra=self.provider == "openai",
        )
        on_row = _tell_row if sys.stderr.isatty() else None
        yield from requests_of(self.source, self.input_format, asking, on_row)
        if on_row is not None:
            sys.stderr.write("\r\033[K")

    def notes(self, output: str | None) -> Notes:
        """What a later ``resume`` has to know."""
        where = output if output in (None, "-") else str(Path(output).absolute())
        kept = read_options(self.option)
        return Notes(input=self.source, output=where, schema=self.schema, options=kept)

    def desk(self, home: Home, consent: Consent | None = None, **options: Any) -> Desk:
        """What the job is planned and run with."""
        check_provider(self.provider)
        return desk_for(home, self.provider, self.given(), consent=consent, **options)

    def offline_desk(self, home: Home) -> Desk:
        """What can only plan: no key needs to be there."""
        check_provider(self.provider)
        return desk_for(home, self.provider, {**without_key(self.provider), **self.given()})


def _tell_row(number: int) -> None:
    if number % READING_ROWS == 0:
        sys.stderr.write(f"\r\033[Kreading: {count(number)} rows")
        sys.stderr.flush()


def run(
    wanted: Wanted,
    output: str,
    question: Question,
    *,
    max_cost: float | None,
    fresh: bool,
    detach: bool,
    as_json: bool,
) -> ExitCode:
    """Plan the job, or find it, and bring it to its end unless ``detach``."""
    check_output(output)
    if as_json and output == "-":
        raise UsageError("--json and -o - both want standard output: name a file")
    home = Home(wanted.home, wanted.ledger)
    notes = wanted.notes(output)
    desk = wanted.desk(home, question, reuse=not fresh, max_cost=max_cost, notes=notes)
    try:
        job = _planned(desk, wanted, detach=detach)
        if job is None:
            raise UsageError(f"{wanted.source} holds no requests; nothing was sent")
        _tell_found(home, job, notes, is_new=question.asked)
        return _finish(home, desk, job, output, detach=detach, as_json=as_json)
    finally:
        desk.close()


def _planned(desk: Desk, wanted: Wanted, *, detach: bool) -> Job | None:
    requests = wanted.requests()
    try:
        return desk.submit(requests) if detach else desk.planned(requests)
    except KeyboardInterrupt:
        doing = "submitting; the same command goes on" if detach else "reading; nothing was sent"
        sys.stderr.write(f"\nai-batch: interrupted while {doing}\n")
        leave(ExitCode.INTERRUPTED)


def _tell_found(home: Home, job: Job, notes: Notes, *, is_new: bool) -> None:
    """Say which job it is; one of before is told where its results are wanted now."""
    record = home.ledger.job(job.id)
    since = home.ledger.now() - record.created_at
    if home.notes(record) != notes:
        home.note(record, notes)
    if record.finished and not is_new:
        again = "--fresh asks anew" if record.state == "completed" else "retry asks for the rest"
        text = f"{job.id} has answered these requests {age(since)} ago, nothing is sent; {again}"
    elif is_new:
        text = f"{job.id}: {plural(job.total, 'request')}"
    else:
        text = f"{job.id} goes on; it began {age(since)} ago"
    sys.stderr.write(f"{text}\n")


def _finish(
    home: Home, desk: Desk, job: Job, output: str, *, detach: bool, as_json: bool
) -> ExitCode:
    from ai_batch.cli.conclude import conclude
    from ai_batch.cli.follow import follow

    if detach:
        return _detached(desk, job, as_json=as_json)
    response = follow(desk, job, choose_display(as_json=as_json))
    return conclude(home, desk, response, output, as_json=as_json)


def _detached(desk: Desk, job: Job, *, as_json: bool) -> ExitCode:
    from ai_batch.cli.follow import detach

    hint = detach(job)
    shards = desk.ledger.shards(job.id)
    waiting = sum(shard.state is ShardState.PLANNED for shard in shards)
    if waiting:
        batches = plural(waiting, "batch")
        sys.stderr.write(f"{batches} still to be sent, when there is room: resume sends them\n")
    sys.stderr.write(f"Detached; {hint}\n")
    line = json.dumps({"type": "detached", "job": job.id}) if as_json else job.id
    sys.stdout.write(f"{line}\n")
    return ExitCode.OK
