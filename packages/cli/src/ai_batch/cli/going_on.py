"""The commands that go on with a job: ``resume``, ``watch``, ``cancel``, ``results``, ``retry``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ai_batch.cli.conclude import conclude, deliver
from ai_batch.cli.consent import Question, is_yes
from ai_batch.cli.desk import Desk, desk_of
from ai_batch.cli.display import choose_display
from ai_batch.cli.failures import Declined, ExitCode
from ai_batch.cli.follow import follow
from ai_batch.cli.follow import watch as look_on
from ai_batch.cli.home import Home
from ai_batch.cli.making import read_options
from ai_batch.cli.outputs import check_output
from ai_batch.cli.texts import count, plural
from ai_batch.core import JobRecord, UsageError
from ai_batch.core.job import Job

__all__ = ["cancel", "results", "resume", "retry", "watch"]


def resume(
    folder: Path | None,
    wanted: str,
    output: str | None,
    given: dict[str, Any],
    *,
    as_json: bool,
) -> ExitCode:
    """Work on a job to its end, and write its results where they were wanted."""
    home = Home(folder)
    record = home.find(wanted)
    target = output or home.notes(record).output
    _check_target(target, as_json=as_json)
    options = {"base_url": given["base_url"], **read_options(given["options"])}
    desk = desk_of(home, record, options, offline=record.finished)
    try:
        return _to_the_end(home, desk, _attached(home, desk, record), target, as_json=as_json)
    finally:
        desk.close()


def _check_target(target: str | None, *, as_json: bool) -> None:
    if target is not None:
        check_output(target)
    if as_json and target == "-":
        raise UsageError("--json and -o - both want standard output: name a file with -o")


def _attached(home: Home, desk: Desk, record: JobRecord) -> Job:
    """The job, with the classes of its answers where they can be imported again."""
    name = home.notes(record).schema
    if name is None or name.endswith(".json"):
        return desk.attach(record.id)
    from ai_batch.cli.schemas import load_schema

    try:
        kind = load_schema(name)
    except UsageError as error:
        sys.stderr.write(f"ai-batch: {error}; answers are not checked against it\n")
        return desk.attach(record.id)
    return desk.attach(record.id, [kind] if isinstance(kind, type) else [])


def _to_the_end(home: Home, desk: Desk, job: Job, output: str | None, *, as_json: bool) -> ExitCode:
    response = follow(desk, job, choose_display(as_json=as_json))
    return conclude(home, desk, response, output, as_json=as_json)


def watch(folder: Path | None, wanted: str, *, as_json: bool) -> ExitCode:
    """Show a job to its end; the work is done by another process."""
    home = Home(folder)
    record = home.find(wanted)
    desk = desk_of(home, record, offline=True)
    display = choose_display(as_json=as_json)
    try:
        look_on(desk, record, display, lambda: _nobody(record))
    except KeyboardInterrupt:
        # Nothing of ours is at work: there is nothing to let go of.
        return ExitCode.INTERRUPTED
    finally:
        display.close()
        desk.close()
    ended = home.ledger.job(record.id)
    failed = home.ledger.totals(record.id).failed
    sys.stderr.write(f"{ended.state}, {count(failed)} failed\n")
    if ended.state != "completed":
        return ExitCode.DECLINED
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _nobody(record: JobRecord) -> None:
    sys.stderr.write(f"no process seems to work on it: ai-batch resume {record.id}\n")


def cancel(
    folder: Path | None,
    wanted: str,
    output: str | None,
    given: dict[str, Any],
    *,
    yes: bool,
    as_json: bool,
) -> ExitCode:
    """Cancel a job and collect what was finished. Raises ``Declined`` when the user says no."""
    home = Home(folder)
    record = home.find(wanted)
    if record.finished:
        sys.stderr.write(f"{record.id} is {record.state} already\n")
        return ExitCode.OK
    asked = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if asked and not is_yes(f"Cancel {record.id}, {plural(record.total, 'request')}?"):
        raise Declined(f"{record.id} goes on")
    _check_target(output, as_json=as_json)
    desk = desk_of(home, record, read_options(given["options"]))
    try:
        home.ledger.cancel_job(record.id)
        code = _to_the_end(home, desk, _attached(home, desk, record), output, as_json=as_json)
    finally:
        desk.close()
    # That it was cancelled is what was asked for.
    return ExitCode.OK if code is ExitCode.DECLINED else code


def results(folder: Path | None, wanted: str, output: str) -> ExitCode:
    """Write the results of a finished job."""
    home = Home(folder)
    record = home.find(wanted)
    if not record.finished:
        done = home.ledger.totals(record.id)
        sys.stderr.write(
            f"ai-batch: {record.id} is {record.state}, {count(done.completed + done.failed)} of "
            f"{count(record.total)} requests are done: ai-batch resume {record.id}\n"
        )
        return ExitCode.UNFINISHED
    check_output(output)
    desk = desk_of(home, record, offline=True)
    try:
        response = _attached(home, desk, record).join()
        deliver(home, response, output)
    finally:
        desk.close()
    if output != "-":
        sys.stderr.write(f"{plural(response.total, 'result')}: {output}\n")
    return ExitCode.SOME_FAILED if response.failed else ExitCode.OK


def retry(
    folder: Path | None,
    wanted: str,
    output: str | None,
    options: list[str],
    question: Question,
    *,
    as_json: bool,
) -> ExitCode:
    """Ask again what failed, and write the answers."""
    home = Home(folder)
    record = home.find(wanted)
    if not record.finished:
        raise UsageError(f"{record.id} is not finished: ai-batch resume {record.id}")
    _check_target(output, as_json=as_json)
    desk = desk_of(home, record, read_options(options), consent=question, output=output)
    try:
        job = _attached(home, desk, record).retry_failed()
        sys.stderr.write(f"{job.id}: {plural(job.total, 'request')} asked again\n")
        return _to_the_end(home, desk, job, output, as_json=as_json)
    finally:
        desk.close()
