"""Joins the answers to the rows, part by part and with flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from ai_batch.core.errors import LedgerError, UsageError
from ai_batch.core.ledger import Ledger
from ai_batch.core.ledgers import open_ledger
from ai_batch.core.results import Result
from ai_batch.ray import cluster
from ai_batch.ray.answers import (
    ERROR,
    answer_of,
    answer_table,
    error_of,
    table_of,
)
from ai_batch.ray.asking import Row
from ai_batch.ray.chunks import REQUEST, read_rows
from ai_batch.ray.config import BatchAPIProcessorConfig
from ai_batch.ray.failures import RowsFailed, plainly
from ai_batch.ray.folder import JobFiles, Manifest
from ai_batch.ray.making import processor_of

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["Postprocess", "collect"]

Postprocess: TypeAlias = Callable[[Row], Row]
"""Gives the row of the output for a row with its answer."""


def collect(
    config: BatchAPIProcessorConfig,
    postprocess: Postprocess | None = None,
    *,
    partial: bool = False,
) -> Dataset:
    """The rows of a planned job in order, each with its answer; nothing is asked or paid.

    ``postprocess`` gives the row of the output; rows with an error do not go through it. With
    ``partial``, the parts that are done are given where others are not. May be called any number
    of times, and needs no key.

    Raises ``UsageError`` where the job is not planned or not done, ``RowsFailed`` where rows have
    no answer and ``should_continue_on_error`` is off.
    """
    cluster.machines()
    config = config.settled()
    manifest = JobFiles(config).planned()
    ledger = open_ledger(config.ledger, config.home_path)
    try:
        done = _done(manifest, ledger, partial=partial)
        if not config.should_continue_on_error:
            _check_answers(config, manifest, done, ledger)
    finally:
        ledger.close()
    if not done:
        return cluster.dataset_of(_no_rows(config))
    arguments = {"config": config, "postprocess": postprocess}
    return cluster.read_parts(done, join_part, arguments, at_once=config.tasks)


def _done(manifest: Manifest, ledger: Ledger, *, partial: bool) -> list[int]:
    finished = {job.id for job in ledger.jobs() if job.finished}
    done = [number for number, part in enumerate(manifest.parts) if part.job_id in finished]
    if len(done) < len(manifest.parts) and not partial:
        raise UsageError(
            f"{len(manifest.parts) - len(done)} of {len(manifest.parts)} parts of the job "
            f"{manifest.job!r} are not done: work() on it, or collect(..., partial=True) what is"
        )
    return done


def _check_answers(
    config: BatchAPIProcessorConfig, manifest: Manifest, done: Sequence[int], ledger: Ledger
) -> None:
    failed = {number: ledger.totals(manifest.parts[number].job_id).failed for number in done}
    total = sum(failed.values())
    if not total:
        return
    number = next(number for number in done if failed[number])
    with processor_of(config, reading=True) as processor:
        results = processor.attach(manifest.parts[number].job_id).results()
        first = next(result for result in results if not result.ok)
    place = manifest.parts[number].first + first.index
    raise RowsFailed(
        f"{total} of {manifest.total} rows have no answer; the first is row {place} "
        f"({first.id!r}): {error_of(first)}. All other answers are kept: with "
        "should_continue_on_error=True, collect() gives them for nothing"
    )


def _no_rows(config: BatchAPIProcessorConfig) -> Any:
    return answer_table([], errors=config.should_continue_on_error)


def join_part(
    numbers: Any, config: BatchAPIProcessorConfig, postprocess: Postprocess | None
) -> Iterator[Any]:
    """Tables of the rows of a part with their answers: what a task on some machine does."""
    (number,) = numbers.column("part").to_pylist()
    for rows, results in _plain_pieces(config, number):
        if postprocess is None:
            yield _joined(rows, results, errors=config.should_continue_on_error)
        else:
            yield table_of(_processed(rows, results, config, postprocess))


def _plain_pieces(
    config: BatchAPIProcessorConfig, number: int
) -> Iterator[tuple[Any, list[Result]]]:
    # What postprocess raises is its author's to read as it is.
    with plainly(f"collecting part {number} of {config.job}"):
        yield from _pieces(config, number)


def _pieces(config: BatchAPIProcessorConfig, number: int) -> Iterator[tuple[Any, list[Result]]]:
    files = JobFiles(config)
    index, part = files.index(), files.part(number)
    if index is None or part is None:
        raise UsageError(
            f"{files.rows} is not there on every machine of the cluster: home must be a folder "
            "that all of them see"
        )
    with processor_of(config, reading=True) as processor:
        # Not to their end: that would be to say that nobody needs them any more.
        results = processor.attach(part.job_id).results()
        for batch in read_rows(files.rows, index, part.first, part.rows):
            answers = list(islice(results, batch.num_rows))
            if len(answers) < batch.num_rows:
                raise LedgerError(f"{part.job_id} has fewer answers than the part has rows")
            yield batch, answers


def _joined(rows: Any, results: list[Result], *, errors: bool) -> Any:
    """The rows' columns and the answers'; where both have one, the answers'."""
    import pyarrow

    answers = answer_table(results, errors=errors)
    taken = {REQUEST, *answers.column_names}
    table = pyarrow.Table.from_batches([rows])
    table = table.select([name for name in table.column_names if name not in taken])
    for name in answers.column_names:
        table = table.append_column(name, answers.column(name))
    return table


def _processed(
    rows: Any, results: list[Result], config: BatchAPIProcessorConfig, postprocess: Postprocess
) -> Iterator[Row]:
    for row, result in zip(rows.to_pylist(), results, strict=True):
        del row[REQUEST]
        if not result.ok:
            yield {**row, "request_id": result.id, ERROR: error_of(result)}
            continue
        made = postprocess({**row, **answer_of(result)})
        yield {**made, ERROR: ""} if config.should_continue_on_error else made
