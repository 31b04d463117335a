"""Runs the rows of a batch: input file in, two result files out, with flat memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from ai_batch.emulator.answers import Answered, Answerer
from ai_batch.emulator.identity import generator
from ai_batch.emulator.items import item_number, marked
from ai_batch.emulator.json_types import JsonObject, as_object, decode
from ai_batch.emulator.openai.answering import UsageSum
from ai_batch.emulator.openai.records import TokenUsage

_BLOCK = 512

NOT_EXECUTED = {
    "batch_expired": "This request could not be executed before the completion window expired.",
    "batch_cancelled": "This request was not executed because the batch was cancelled.",
}


class _Line(msgspec.Struct):
    custom_id: msgspec.Raw
    body: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be run. `rows` of `total` are; the others get a row that says why not."""

    batch_id: str
    endpoint: str
    source: Path
    output: Path
    errors: Path
    rows: int
    seed: int
    key: str
    track_items: bool


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    rows: int = 0
    completed: int = 0
    failed: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)
    items: array[int] = field(default_factory=lambda: array("Q"))


class Execution:
    """One run of one batch."""

    def __init__(self, job: Job, answerer: Answerer, proceed: Callable[[Outcome], bool]) -> None:
        self._job = job
        self._answerer = answerer
        self._proceed = proceed
        self._outcome = Outcome()
        self._usage = UsageSum()
        self._decoder = msgspec.json.Decoder(_Line)
        self._offsets = line_offsets(job.source)
        self._order = row_order(job, len(self._offsets) - 1)

    def run(self, why_not: Callable[[], str]) -> Outcome:
        """Run the rows, as long as `proceed` says so before each block; then explain the rest."""
        job = self._job
        with ExitStack() as stack:
            source = stack.enter_context(job.source.open("rb", buffering=0))
            output = stack.enter_context(job.output.open("wb"))
            errors = stack.enter_context(job.errors.open("wb"))
            pool = None
            if self._answerer.concurrency > 1:
                pool = stack.enter_context(ThreadPoolExecutor(self._answerer.concurrency))
            for block in self._blocks(self._order[: job.rows]):
                if not self._proceed(self._outcome):
                    break
                self._run_block(block, source, output, errors, pool)
            self._proceed(self._outcome)
            self._outcome.usage = self._usage.total()
            rest = self._order[self._outcome.rows :]
            if rest:
                self._explain(rest, why_not(), source, errors)
        return self._outcome

    def _blocks(self, order: Sequence[int]) -> Iterator[Sequence[int]]:
        size = _BLOCK if self._answerer.concurrency == 1 else 2 * self._answerer.concurrency
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def _read(self, source: BinaryIO, index: int) -> _Line:
        start = self._offsets[index]
        source.seek(start)
        return self._decoder.decode(source.read(self._offsets[index + 1] - start))

    def _run_block(
        self,
        block: Sequence[int],
        source: BinaryIO,
        output: BinaryIO,
        errors: BinaryIO,
        pool: Executor | None,
    ) -> None:
        lines = [self._read(source, index) for index in block]
        bodies = [as_object(decode(line.body)) for line in lines]
        answers = map(self._answer, bodies) if pool is None else pool.map(self._answer, bodies)
        good: list[bytes] = []
        bad: list[bytes] = []
        for index, line, body, answered in zip(block, lines, bodies, answers, strict=True):
            row = self._row(index, bytes(line.custom_id), answered)
            (good if answered.ok else bad).append(row)
            self._count(body, answered)
        output.write(b"".join(good))
        errors.write(b"".join(bad))

    def _answer(self, body: JsonObject) -> Answered:
        return self._answerer.answer(self._job.endpoint, body, self._job.key)

    def _count(self, body: JsonObject, answered: Answered) -> None:
        outcome = self._outcome
        outcome.rows += 1
        if answered.ok:
            outcome.completed += 1
            self._usage.add(answered.body)
        else:
            outcome.failed += 1
        if self._job.track_items:
            number = item_number(self._job.endpoint, body)
            outcome.items.append(marked(number, billed=answered.ok))

    def _row(self, index: int, custom_id: bytes, answered: Answered) -> bytes:
        prefix = self._job.batch_id[-24:].encode()
        return (
            b'{"id":"batch_req_%b%08x","custom_id":%b,"response":{"status_code":%d,'
            b'"request_id":"%b%08x","body":%b},"error":null}\n'
        ) % (prefix, index, custom_id, answered.status, prefix, index, answered.body)

    def _explain(self, rest: Sequence[int], code: str, source: BinaryIO, errors: BinaryIO) -> None:
        prefix = self._job.batch_id[-24:].encode()
        tail = b'"response":null,"error":{"code":"%b","message":"%b"}}\n' % (
            code.encode(),
            NOT_EXECUTED[code].encode(),
        )
        errors.writelines(
            b"".join(
                b'{"id":"batch_req_%b%08x","custom_id":%b,%b'
                % (prefix, index, bytes(self._read(source, index).custom_id), tail)
                for index in block
            )
            for block in self._blocks(rest)
        )


def line_offsets(path: Path) -> array[int]:
    """Return where each line starts, and the end of the file."""
    offsets = array("Q", [0])
    position = 0
    with path.open("rb") as source:
        for line in source:
            position += len(line)
            offsets.append(position)
    return offsets


def row_order(job: Job, total: int) -> Sequence[int]:
    """Return the order in which rows are run and written: shuffled, by the seed."""
    order = array("Q", range(total))
    generator(job.seed, f"order:{job.batch_id}").shuffle(order)
    return order
