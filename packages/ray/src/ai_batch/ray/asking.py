"""From rows to requests: each is made once, checked, and kept beside its row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec

from ai_batch.core.checks import check_request
from ai_batch.core.errors import MAX_PROBLEMS, AIBatchError, Problem, UsageError
from ai_batch.core.intake import read_request
from ai_batch.core.provider import Formats
from ai_batch.core.requestlog import dump_request
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.ray.chunks import REQUEST, RowWriter, slices
from ai_batch.ray.config import BatchAPIProcessorConfig
from ai_batch.ray.making import processor_of

__all__ = ["Preprocess", "Row", "StoreNote", "request_of", "store_rows"]

Row: TypeAlias = dict[str, Any]
"""A row of a dataset, by column."""

Preprocess: TypeAlias = Callable[[Row], Any]
"""Gives a row's request: its fields as a dict, or a request."""

FIELDS = frozenset(ChatRequest.model_fields) | frozenset(EmbeddingRequest.model_fields)


class StoreNote(msgspec.Struct, kw_only=True):
    """What the driver needs to know of a block whose rows were kept, or were not."""

    name: str = ""
    rows: int = 0
    faults: int = 0
    problems: list[dict[str, Any]] = []
    refused: str | None = None


def store_rows(table: Any, config: BatchAPIProcessorConfig, folder: str, preprocess: Any) -> Any:
    """Keep the rows of a block with their requests; a table with one note, for the driver."""
    import pyarrow

    note = _store(table, config, Path(folder), preprocess)
    return pyarrow.table({"note": [msgspec.json.encode(note).decode()]})


def _store(
    table: Any, config: BatchAPIProcessorConfig, folder: Path, preprocess: Preprocess | None
) -> StoreNote:
    if not folder.is_dir():
        return StoreNote(
            refused=f"{folder} is not there on every machine of the cluster: home must be a folder "
            "that all of them see"
        )
    if REQUEST in table.column_names:
        return StoreNote(refused=f"a column can't be called {REQUEST!r}")
    try:
        formats = processor_of(config).workshop.formats
    except AIBatchError as error:
        return StoreNote(refused=str(error))
    asker = Asker(formats, preprocess)
    chunk = RowWriter(folder).write(asker.ask(table))
    return StoreNote(name=chunk.name, rows=chunk.rows, faults=asker.faults, problems=asker.problems)


@dataclass(slots=True)
class Asker:
    """Makes the requests of a block's rows, and remembers what is wrong with them."""

    formats: Formats
    preprocess: Preprocess | None
    faults: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _at: int = 0

    def ask(self, table: Any) -> Iterator[tuple[Any, Sequence[bytes]]]:
        """The table in pieces, with the request of each row."""
        for piece in slices(table):
            yield piece, [self._line(row) for row in piece.to_pylist()]

    def _line(self, row: Row) -> bytes:
        request = request_of(row, self.preprocess, self._at)
        if isinstance(request, list):
            self._report(request, None)
        else:
            self._report(self._check(request), request.id)
        self._at += 1
        return b"" if isinstance(request, list) else dump_request(request)

    def _check(self, request: Request) -> Sequence[Problem]:
        if isinstance(request, ChatRequest) and not all(m.only_text for m in request.messages):
            # Planning reads the files that are named in it, and checks it then.
            return []
        return check_request(request) or self.formats.check(request)

    def _report(self, problems: Sequence[Problem], identity: str | None) -> None:
        self.faults += len(problems)
        for problem in problems[: MAX_PROBLEMS - len(self.problems)]:
            fields = {"message": problem.message, "id": problem.id or identity}
            self.problems.append({**fields, "field": problem.field, "index": self._at})


def request_of(row: Row, preprocess: Preprocess | None, place: int) -> Request | list[Problem]:
    """The request of a row, or what is wrong with it; ``place`` is the row's in its block.

    Without ``preprocess`` those columns are taken that are called as a request's fields.
    """
    if preprocess is None:
        made: Any = {name: row[name] for name in row if name in {*FIELDS, "sampling_params"}}
    else:
        made = preprocess(dict(row))
    if isinstance(made, Mapping):
        try:
            made = _fields(cast("Mapping[str, Any]", made))
        except UsageError as error:
            return [Problem(error.message, index=place)]
    return read_request(made, place)


def _fields(given: Mapping[str, Any]) -> Row:
    """The fields of a request as JSON has them, with ``sampling_params`` among them."""
    fields = cast("Row", _plain(given))
    sampling = fields.pop("sampling_params", None)
    if sampling is not None and not isinstance(sampling, dict):
        raise UsageError("sampling_params must be a dict")
    for name, value in cast("Row", sampling or {}).items():
        if fields.get(name) is not None and value is not None:
            raise UsageError(f"{name} is given twice, also in sampling_params")
        if name not in FIELDS:
            raise UsageError(
                f"sampling_params has no {name!r} here; extra= takes the vendor's own parameters"
            )
        fields[name] = value
    if isinstance(fields.get("messages"), list):
        fields["messages"] = _without_nulls(fields["messages"])
    return {name: value for name, value in fields.items() if value is not None}


def _plain(value: Any) -> Any:
    """The value without numpy's numbers and arrays, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[Any]", value)]
    return _plain(value.tolist()) if hasattr(value, "tolist") else value


def _without_nulls(value: Any) -> Any:
    """Arrow gives each dict of a column the keys of all of them."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in cast("Sequence[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("Row", value).items()
    return {name: _without_nulls(item) for name, item in items if item is not None}
