"""What happens when a job has come to its end: results are written, and the end is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, cast

from ai_batch.cli.columns import columns_of
from ai_batch.cli.failures import ExitCode
from ai_batch.cli.outputs import write_results
from ai_batch.cli.snapshot import progress_fields
from ai_batch.cli.texts import age, count, money
from ai_batch.core import BatchResponse, JobRecord, Result
from ai_batch.core.progress import read_progress

if TYPE_CHECKING:
    from ai_batch.cli.desk import Desk
    from ai_batch.cli.home import Home

__all__ = ["conclude", "deliver"]

EXAMPLES = 3
"""Failed requests that are shown at the end."""


def deliver(home: Home, response: BatchResponse, output: str) -> None:
    """Write the results, and only then count the job as delivered."""
    # The last result but not the end: reading to the end marks the job by itself, and a full
    # disk may yet keep the file from its place.
    rows = cast("Generator[Result, None, None]", iter(response))
    with closing(rows):
        write_results(output, islice(rows, len(response)), columns_of(response))
    home.mark_delivered(response.job_id)


def conclude(
    home: Home,
    desk: Desk,
    response: BatchResponse,
    output: str | None,
    *,
    as_json: bool = False,
) -> ExitCode:
    """Write the results where they were asked for, and tell how it ended."""
    if output is not None:
        deliver(home, response, output)
    record = home.ledger.job(response.job_id)
    if as_json:
        _tell_json(desk, record, output)
    else:
        _tell(desk, record, response, output)
    if record.state == "cancelled":
        return ExitCode.DECLINED
    return ExitCode.SOME_FAILED if response.failed else ExitCode.OK


def _tell_json(desk: Desk, record: JobRecord, output: str | None) -> None:
    progress = read_progress(desk.ledger, desk.provider, record.id)
    line = {"type": "complete", **progress_fields(progress), "output": output}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _tell(desk: Desk, record: JobRecord, response: BatchResponse, output: str | None) -> None:
    progress = read_progress(desk.ledger, desk.provider, record.id)
    usage = progress.usage
    answered = f"{count(response.completed)} of {count(response.total)} requests answered"
    tokens = f"{count(usage.input_tokens)} tokens in, {count(usage.output_tokens)} out"
    counts = f"{answered} in {age(progress.elapsed)}, {count(response.failed)} failed"
    lines = [f"{record.state}: {counts}; {tokens}, {money(progress.cost)}"]
    if response.failed:
        lines += [f"  {result.id}: {result.error}" for result in islice(response.errors, EXAMPLES)]
        lines += [f"  see them with: ai-batch show {record.id}"]
        lines += [f"  ask again with: ai-batch retry {record.id}"]
    if output is None:
        lines.append(f"write the results with: ai-batch results {record.id} -o FILE")
    elif output != "-":
        lines.append(f"results: {output}")
    sys.stderr.write("\n".join(lines) + "\n")
