"""Turns rows of a file into requests, and reports all faulty rows together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ai_batch.cli.files import read_rows
from ai_batch.cli.openai_lines import as_object, is_openai_line, read_openai_line
from ai_batch.cli.templates import Template
from ai_batch.core import Problem, UsageError

__all__ = ["Asking", "requests_of"]

MOST_CAUSES = 100

EMBEDDING_FIELDS = frozenset({"dimensions", "task", "extra"})
"""Fields of ``--set`` that a request for vectors takes."""

MESSAGE_FIELDS = frozenset({"messages", "texts"})


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How rows become requests.

    ``id`` and ``keep`` name columns; ``fields`` are set on every chat request that does not set
    them itself, ``output_type`` among them. ``model_given`` says that the models which OpenAI
    batch files name are not wanted, ``keep_extra`` that OpenAI's own parameters can be sent.
    """

    prompt: str | None = None
    id: str | None = None
    keep: tuple[str, ...] = ()
    system: str | None = None
    embed: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    model_given: bool = False
    keep_extra: bool = False


def requests_of(
    name: str,
    kind: str | None,
    asking: Asking,
    on_row: Callable[[int], object] | None = None,
) -> Iterator[dict[str, Any]]:
    """The requests of a file, as dicts for the plan; ``on_row`` is told their number.

    Raises ``UsageError`` at the end when rows were faulty, the first hundred causes.
    """
    maker, faults = _Maker(asking), _Faults()
    for made, (number, row) in enumerate(read_rows(name, kind), 1):
        try:
            yield maker.make(row)
        except _FaultyRow as error:
            faults.add(number, str(error))
        if on_row is not None:
            on_row(made)
    if faults.number:
        rows = "1 row is" if faults.number == 1 else f"{faults.number} rows are"
        problems = faults.problems()
        raise UsageError(f"{name}: {rows} faulty; nothing was sent", problems)


class _FaultyRow(Exception):
    pass


class _Faults:
    """What is wrong with rows, each cause once: a forgotten option is a fault of every row."""

    def __init__(self) -> None:
        self.number = 0
        self._causes: dict[str, tuple[int, int]] = {}

    def add(self, line: int, reason: str) -> None:
        self.number += 1
        first, times = self._causes.get(reason, (line, 0))
        if times or len(self._causes) < MOST_CAUSES:
            self._causes[reason] = (first, times + 1)

    def problems(self) -> list[Problem]:
        return [
            Problem(f"line {line}{_and_more(times - 1)}: {reason}")
            for reason, (line, times) in self._causes.items()
        ]


def _and_more(times: int) -> str:
    return "" if times == 0 else f" and {times} more"


class _Maker:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._template = None if asking.prompt is None else Template(asking.prompt)

    def make(self, row: object) -> dict[str, Any]:
        """The request of a row. Raises ``_FaultyRow``."""
        if isinstance(row, Problem):
            raise _FaultyRow(row.message)
        try:
            request = self._read({"text": row, "prompt": row} if isinstance(row, str) else row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise _FaultyRow(reason) from None
        return self._completed(request)

    def _read(self, row: object) -> dict[str, Any]:
        if not isinstance(row, dict):
            raise TypeError("must be a JSON object, or a string")
        fields = cast("dict[str, Any]", row)
        if self._template is not None:
            return self._of_columns(fields, _filled(self._template, fields))
        if MESSAGE_FIELDS & fields.keys():
            return dict(fields)
        if is_openai_line(fields):
            made = read_openai_line(fields, keep_extra=self._asking.keep_extra)
            if self._asking.model_given:
                made.pop("model", None)
            return made
        if "prompt" not in fields:
            columns = ", ".join(map(repr, fields)) or "nothing"
            raise ValueError(
                f"no messages, texts, body or prompt, but {columns}; "
                "say what to ask with --prompt, such as --prompt 'Summarise: {text}'"
            )
        return self._of_columns(fields, str(fields["prompt"] or ""))

    def _of_columns(self, row: dict[str, Any], text: str) -> dict[str, Any]:
        asking = self._asking
        if not text.strip():
            raise ValueError("the prompt is empty")
        made: dict[str, Any] = {"texts": [text]} if asking.embed else {"messages": text}
        column = asking.id or ("id" if "id" in row else None)
        if column is not None:
            made["id"] = _cell(row, column, "--id")
            if asking.id is not None and not made["id"].strip():
                raise ValueError(f"the column {column!r} is empty, so there is no id")
        if asking.keep:
            made["metadata"] = {name: _cell(row, name, "--keep") for name in asking.keep}
        return made

    def _completed(self, request: dict[str, Any]) -> dict[str, Any]:
        if "texts" in request:
            fitting = EMBEDDING_FIELDS & self._asking.fields.keys()
            return {**{name: self._asking.fields[name] for name in fitting}, **request}
        if self._asking.system is not None:
            request["messages"] = _with_system(request["messages"], self._asking.system)
        return {**self._asking.fields, **request}


def _filled(template: Template, row: Mapping[str, Any]) -> str:
    try:
        return template.fill(row)
    except KeyError as error:
        raise ValueError(_no_column(error.args[0], "--prompt", row)) from None


def _cell(row: Mapping[str, Any], name: str, option: str) -> str:
    if name not in row:
        raise ValueError(_no_column(name, option, row))
    value = row[name]
    return "" if value is None else str(value)


def _no_column(name: str, option: str, row: Mapping[str, Any]) -> str:
    return f"{option} names the column {name!r}; there are {', '.join(map(repr, row))}"


def _with_system(messages: object, text: str) -> object:
    """The messages with the system's in front, unless they bring one themselves."""
    if isinstance(messages, str):
        messages = [{"role": "user", "parts": messages}]
    if not isinstance(messages, list):
        return messages
    turns = cast("list[object]", messages)
    if any(as_object(turn).get("role") == "system" for turn in turns):
        return turns
    return [{"role": "system", "parts": text}, *turns]
