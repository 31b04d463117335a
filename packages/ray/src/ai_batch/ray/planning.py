"""Plans a dataset's job: its rows are fixed first, then each part becomes a job of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ai_batch.core.errors import LedgerError, Problem, UsageError
from ai_batch.core.ledgers import open_ledger
from ai_batch.core.requestlog import dump_request
from ai_batch.ray import cluster
from ai_batch.ray.asking import Preprocess, StoreNote, request_of, store_rows
from ai_batch.ray.chunks import REQUEST, PartRange, parts_of, read_rows
from ai_batch.ray.config import BatchAPIProcessorConfig
from ai_batch.ray.failures import placed, plainly
from ai_batch.ray.folder import Chunk, Index, JobFiles, Manifest, PlannedPart
from ai_batch.ray.making import processor_of

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["plan"]


def plan(
    dataset: Dataset, config: BatchAPIProcessorConfig, preprocess: Preprocess | None = None
) -> Manifest:
    """Have every row's request written and on record; nothing is sent.

    ``preprocess`` gives the request of a row, as a dict of its fields. Planning the same job again
    gives what is there, and goes on where an earlier call was killed. Parts that the vendor
    refused as a whole, for which nothing was paid, are planned anew.

    Raises ``UsageError`` for faults of the rows' requests, before anything is on record, and
    where the job's name belongs to other requests; ``StepFailed`` where a task failed for good.
    """
    machines = cluster.machines()
    config = config.settled()
    _check_ledger(config, machines)
    files = JobFiles(config)
    files.make()
    index = files.index()
    if index is None:
        index = _store(dataset, config, files, preprocess)
    _check_same(index, dataset, config)
    _check_requests(index, files, preprocess)
    files.sweep()
    known = files.manifest()
    parts = _plan_parts(config, files, index, known)
    manifest = Manifest(
        job=config.job,
        provider=config.provider,
        model=config.model,
        total=index.total,
        parts=tuple(parts),
    )
    if manifest != known:
        files.keep_manifest(manifest)
    return manifest


def _check_ledger(config: BatchAPIProcessorConfig, machines: int) -> None:
    if machines > 1 and not config.shares_ledger:
        raise UsageError(
            f"the cluster has {machines} machines, and a ledger in a file is for one: give "
            "ledger='postgresql://...' (pip install ai-batch-postgres), or set AI_BATCH_LEDGER"
        )


# -- rows -----------------------------------------------------------------------------------------


def _store(
    dataset: Dataset,
    config: BatchAPIProcessorConfig,
    files: JobFiles,
    preprocess: Preprocess | None,
) -> Index:
    """Have the rows and their requests written, once and for ever."""
    source = cluster.source_of(dataset)
    with files.writing_rows() as folder:
        arguments = {"config": config, "folder": str(folder), "preprocess": preprocess}
        lines = cluster.notes_of(dataset, store_rows, arguments)
        notes = [msgspec.json.decode(line, type=StoreNote) for line in lines]
        _check_notes(notes)
        chunks = tuple(Chunk(name=note.name, rows=note.rows) for note in notes if note.rows)
        _drop_others(folder, chunks)
        return files.keep_rows(
            folder, Index(identity=config.identity, source=source, chunks=chunks)
        )


def _check_notes(notes: Sequence[StoreNote]) -> None:
    """Raises ``UsageError`` with the faults of all rows, and their places over all."""
    for note in notes:
        if note.refused is not None:
            raise UsageError(note.refused)
    faults, total, problems = sum(note.faults for note in notes), 0, list[Problem]()
    for note in notes:
        for fields in note.problems:
            index = total + fields["index"]
            problems.append(
                Problem(fields["message"], fields["id"] or f"req_{index}", index, fields["field"])
            )
        total += note.rows
    if faults:
        raise UsageError(
            f"{faults} problem{'s' if faults > 1 else ''} in {total} "
            f"row{'s' if total > 1 else ''}; nothing was sent",
            problems,
            total=faults,
        )


def _drop_others(folder: Path, chunks: Sequence[Chunk]) -> None:
    """Delete what tasks have left that Ray began again."""
    wanted = {chunk.name for chunk in chunks}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def _check_same(index: Index, dataset: Dataset, config: BatchAPIProcessorConfig) -> None:
    """Raises ``UsageError`` where the job of this name is, as far as is known, another one."""
    found = cluster.source_of(dataset)
    pairs = [
        *((name, index.identity.get(name), value) for name, value in config.identity.items()),
        *((name, index.source[name], found[name]) for name in found.keys() & index.source.keys()),
    ]
    other = [name for name, before, now in pairs if before != now]
    if other:
        raise UsageError(
            f"the job {config.job!r} is there already, with other {' and '.join(sorted(other))}: "
            "give this one another name, or collect() the answers of that one"
        )


def _check_requests(index: Index, files: JobFiles, preprocess: Preprocess | None) -> None:
    """Raises ``UsageError`` where the first row gives another request than it did."""
    for batch in read_rows(files.rows, index, 0, 1):
        (row,) = batch.to_pylist()
        before = row.pop(REQUEST)
        request = request_of(row, preprocess, 0)
        if isinstance(request, list) or dump_request(request) != before:
            raise UsageError(
                f"the job {files.job!r} is there already, and preprocess gives another request for "
                "its first row than it did then: give this one another name, or collect() the "
                "answers of that one"
            )


# -- parts ----------------------------------------------------------------------------------------


def _plan_parts(
    config: BatchAPIProcessorConfig, files: JobFiles, index: Index, known: Manifest | None
) -> list[PlannedPart]:
    numbers = range(len(parts_of(index, config.batch_size)))
    found = dict(enumerate(known.parts)) if known else _recorded(files, numbers)
    for number in _refused(config, found):
        del found[number]
    missing = [(config, number) for number in numbers if number not in found]
    if missing and config.limits.max_cost is not None:
        _check_cost(config, missing)
    for number, part in cluster.run_tasks(plan_part, missing, at_once=config.tasks):
        found[number] = part
    return [found[number] for number in numbers]


def _recorded(files: JobFiles, numbers: Sequence[int]) -> dict[int, PlannedPart]:
    parts = {number: files.part(number) for number in numbers}
    return {number: part for number, part in parts.items() if part is not None}


def _refused(config: BatchAPIProcessorConfig, parts: dict[int, PlannedPart]) -> list[int]:
    """The parts whose jobs the vendor refused as a whole, so that nothing was paid.

    Raises ``LedgerError`` where a job is gone: to plan it anew might be to pay for it twice.
    """
    if not parts:
        return []
    ledger = open_ledger(config.ledger, config.home_path)
    try:
        states = {job.id: job.state for job in ledger.jobs()}
    finally:
        ledger.close()
    for part in parts.values():
        if part.job_id not in states:
            raise LedgerError(
                f"the ledger does not know {part.job_id} of the job {config.job!r} any more: it is "
                "another ledger, or the job was deleted; give a new job another name"
            )
    return [number for number, part in parts.items() if states[part.job_id] == "refused"]


def _check_cost(config: BatchAPIProcessorConfig, calls: Sequence[tuple[Any, int]]) -> None:
    costs = list(cluster.run_tasks(estimate_part, calls, at_once=config.tasks))
    limit = config.limits.max_cost or 0.0
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        raise UsageError(
            f"max_cost={limit} can't be checked: the price of {config.model} is not known; install "
            '"ai-batch-core[prices]" on all machines, name a known model, or leave max_cost out'
        )
    if sum(known) > limit:
        raise UsageError(
            f"the job would cost about {sum(known):.3g} USD, more than max_cost={limit}; nothing "
            "was sent"
        )


# -- tasks, on whichever machine ------------------------------------------------------------------


def plan_part(config: BatchAPIProcessorConfig, number: int) -> tuple[int, PlannedPart]:
    """Put a part's job on record, or find it: a task that is begun again pays for nothing twice."""
    with plainly(f"planning part {number} of {config.job}"):
        files = JobFiles(config)
        index, part = _here(files, config, number)
        with processor_of(config) as processor:
            requests = _requests(files, index, part)
            try:
                job = processor.plan(requests, salt=f"ray {config.job} part {number}")
            except UsageError as error:
                raise placed(error, part.first) from None
        planned = PlannedPart(job_id=job.id, first=part.first, rows=part.rows)
        files.keep_part(number, planned)
        return number, planned


def estimate_part(config: BatchAPIProcessorConfig, number: int) -> float | None:
    """What a part will cost, in USD; None where the price is not known."""
    with plainly(f"estimating part {number} of {config.job}"):
        files = JobFiles(config)
        index, part = _here(files, config, number)
        with processor_of(config) as processor:
            try:
                return processor.estimate(_requests(files, index, part)).batch_cost
            except UsageError as error:
                raise placed(error, part.first) from None


def _here(files: JobFiles, config: BatchAPIProcessorConfig, number: int) -> tuple[Index, PartRange]:
    index = files.index()
    if index is None:
        raise UsageError(
            f"{files.rows} is not there on every machine of the cluster: home must be a folder "
            "that all of them see"
        )
    return index, parts_of(index, config.batch_size)[number]


def _requests(files: JobFiles, index: Index, part: PartRange) -> Iterator[dict[str, Any]]:
    """The requests of a part; those without an id are called by their place over all."""
    place = part.first
    for batch in read_rows(files.rows, index, part.first, part.rows, [REQUEST]):
        for line in batch.column(0).to_pylist():
            yield {"id": f"req_{place}", **msgspec.json.decode(line)}
            place += 1
