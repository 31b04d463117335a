"""The filters of lists: a small part of https://google.aip.dev/160.

display_name="a" AND (state="JOB_STATE_SUCCEEDED" OR NOT labels.team=b)
display_name:"my_job_*" AND create_time>"2026-01-01T00:00:00Z"
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TypeAlias

from ai_batch.emulator.gemini.errors import GoogleError
from ai_batch.emulator.json_types import JsonObject, as_object, as_text

Predicate: TypeAlias = Callable[[JsonObject], bool]

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<operator><=|>=|!=|[=:<>()])|(?P<word>[^\s"=:<>()!]+))'
)
_FIELDS = {
    "display_name": "displayName",
    "model_display_name": "modelDisplayName",
    "state": "state",
    "create_time": "createTime",
    "name": "name",
}
_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
}
_ORDERS: dict[str, Callable[[datetime, datetime], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def parse_filter(text: str) -> Predicate:
    """Return whether a job passes; an empty filter lets all pass. Raises the vendor's 400."""
    return _Parser(text).whole() if text.strip() else _passes


def _passes(job: JsonObject) -> bool:  # noqa: ARG001 - a predicate like the others
    return True


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0

    def _split(self, text: str) -> list[str]:
        tokens: list[str] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error()
            tokens.append(match[0].strip())
            position = match.end()
        return tokens

    def whole(self) -> Predicate:
        found = self._any()
        if self._next < len(self._tokens):
            raise self._error()
        return found

    def _any(self) -> Predicate:
        found = [self._all()]
        while self._take("OR"):
            found.append(self._all())
        return found[0] if len(found) == 1 else lambda job: any(each(job) for each in found)

    def _all(self) -> Predicate:
        found = [self._one()]
        while self._take("AND"):
            found.append(self._one())
        return found[0] if len(found) == 1 else lambda job: all(each(job) for each in found)

    def _one(self) -> Predicate:
        if self._take("NOT"):
            inner = self._one()
            return lambda job: not inner(job)
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise self._error()
            return inner
        return self._comparison(self._word(), self._word(), self._word())

    def _comparison(self, field: str, compare: str, value: str) -> Predicate:
        value = _unquoted(value)
        if field.startswith("labels."):
            return self._text_comparison(compare, value, _label(field.removeprefix("labels.")))
        if field == "labels" and compare == ":":
            return lambda job: value in as_object(job.get("labels"))
        name = _FIELDS.get(field)
        if name is None:
            raise self._error()
        if field == "create_time":
            return self._time_comparison(compare, value)
        return self._text_comparison(compare, value, lambda job: as_text(job.get(name)))

    def _text_comparison(
        self, compare: str, value: str, found: Callable[[JsonObject], str]
    ) -> Predicate:
        if compare == ":":
            return lambda job: found(job) != "" and fnmatchcase(found(job), value)
        matches = _COMPARISONS.get(compare)
        if matches is None:
            raise self._error()
        return lambda job: matches(found(job), value)

    def _time_comparison(self, compare: str, value: str) -> Predicate:
        compares = _ORDERS.get(compare)
        try:
            wanted = datetime.fromisoformat(value)
        except ValueError:
            raise self._error() from None
        if compares is None or wanted.tzinfo is None:
            raise self._error()
        return lambda job: compares(datetime.fromisoformat(as_text(job.get("createTime"))), wanted)

    def _take(self, token: str) -> bool:
        taken = self._next < len(self._tokens) and self._tokens[self._next] == token
        self._next += taken
        return taken

    def _word(self) -> str:
        if self._next >= len(self._tokens):
            raise self._error()
        self._next += 1
        return self._tokens[self._next - 1]

    def _error(self) -> GoogleError:
        return GoogleError(f"Invalid filter: {self._text}")


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])


def _label(name: str) -> Callable[[JsonObject], str]:
    return lambda job: as_text(as_object(job.get("labels")).get(name))
