"""The commands that go on with a job: ``resume``, ``watch``, ``cancel``, ``results``, ``retry``."""

from __future__ import annotations

import json
import sys
from typing import Any

from ai_batch.cli.arguments import Place
from ai_batch.cli.conclude import conclude, deliver
from ai_batch.cli.consent import Question, is_yes
from ai_batch.cli.desk import Desk, desk_of
from ai_batch.cli.display import choose_display
from ai_batch.cli.failures import Declined, ExitCode
from ai_batch.cli.follow import follow
from ai_batch.cli.follow import watch as look_on
from ai_batch.cli.home import Home
from ai_batch.cli.making import how_to_go_on, read_options
from ai_batch.cli.outputs import check_output
from ai_batch.cli.texts import count, plural
from ai_batch.core import JobRecord, UsageError
from ai_batch.core.job import Job
from ai_batch.core.remaking import needs_client

__all__ = ["cancel", "results", "resume", "retry", "watch"]


def resume(
    place: Place,
    wanted: str,
    output: str | None,
    given: dict[str, Any],
    *,
    as_json: bool,
) -> ExitCode:
    """Work on a job to its end, and write its results where they were wanted."""
    home = Home(*place)
    record = home.find(wanted)
    if not record.finished:
        _check_own(record, "go on with")
    target = output or home.notes(record).output
    _check_target(target, as_json=as_json)
    options = {"base_url": given["base_url"], **read_options(given["options"])}
    desk = desk_of(home, record, options, offline=record.finished)
    try:
        return _to_the_end(home, desk, _attached(home, desk, record), target, as_json=as_json)
    finally:
        desk.close()


def _check_own(record: JobRecord, what: str) -> None:
    """Raises ``UsageError`` for a job that needs the client of the program that made it."""
    if needs_client(record.provider):
        raise UsageError(
            f"{record.id} is a job of live calls: only its program can {what} it, since it has "
            "the client; `ai-batch show` and `ai-batch results` read it"
        )


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


def watch(place: Place, wanted: str, *, as_json: bool) -> ExitCode:
    """Show a job to its end; the work is done by another process."""
    home = Home(*place)
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
    sys.stderr.write(f"no process seems to work on it: {how_to_go_on(record)}\n")


def cancel(
    place: Place,
    wanted: str,
    output: str | None,
    given: dict[str, Any],
    *,
    yes: bool,
    as_json: bool,
) -> ExitCode:
    """Cancel a job and collect what was finished. Raises ``Declined`` when the user says no."""
    home = Home(*place)
    record = home.find(wanted)
    if record.finished:
        sys.stderr.write(f"{record.id} is {record.state} already\n")
        if as_json:
            line = {"type": record.state, "job": record.id}
            sys.stdout.write(json.dumps(line) + "\n")
        return ExitCode.OK
    asked = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if asked and not is_yes(f"Cancel {record.id}, {plural(record.total, 'request')}?"):
        raise Declined(f"{record.id} goes on")
    _check_target(output, as_json=as_json)
    if needs_client(record.provider):
        return _cancel_of_program(home, record, as_json=as_json)
    desk = desk_of(home, record, read_options(given["options"]))
    try:
        home.ledger.cancel_job(record.id)
        code = _to_the_end(home, desk, _attached(home, desk, record), output, as_json=as_json)
    finally:
        desk.close()
    # That it was cancelled is what was asked for.
    return ExitCode.OK if code is ExitCode.DECLINED else code


def _cancel_of_program(home: Home, record: JobRecord, *, as_json: bool) -> ExitCode:
    """Whoever works on the job stops asking; where nobody does, nothing is asked anyway."""
    state = home.ledger.cancel_job(record.id).state
    if as_json:
        sys.stdout.write(json.dumps({"type": "cancelling", "job": record.id}) + "\n")
    sys.stderr.write(
        f"{record.id} is {state}: its program asks nothing any more, and ends it; if that does "
        "not run now, it does when it is run again\n"
    )
    return ExitCode.OK


def results(place: Place, wanted: str, output: str, *, as_json: bool) -> ExitCode:
    """Write the results of a finished job."""
    home = Home(*place)
    record = home.find(wanted)
    if not record.finished:
        return _unfinished(home, record, as_json=as_json)
    _check_target(output, as_json=as_json)
    desk = desk_of(home, record, offline=True)
    try:
        response = _attached(home, desk, record).join()
        deliver(home, response, output)
    finally:
        desk.close()
    if as_json:
        counts = {"completed": response.completed, "failed": response.failed}
        line = {"type": "results", "job": record.id, **counts, "output": output}
        sys.stdout.write(json.dumps(line) + "\n")
    elif output != "-":
        sys.stderr.write(f"{plural(response.total, 'result')}: {output}\n")
    return ExitCode.SOME_FAILED if response.failed else ExitCode.OK


def _unfinished(home: Home, record: JobRecord, *, as_json: bool) -> ExitCode:
    totals = home.ledger.totals(record.id)
    done = totals.completed + totals.failed
    text = (
        f"{record.id} is {record.state}, {count(done)} of {count(record.total)} requests are done: "
        f"{how_to_go_on(record)}"
    )
    sys.stderr.write(f"ai-batch: {text}\n")
    if as_json:
        line = {"type": "error", "message": text, "exit_code": int(ExitCode.UNFINISHED)}
        sys.stdout.write(json.dumps(line) + "\n")
    return ExitCode.UNFINISHED


def retry(
    place: Place,
    wanted: str,
    output: str | None,
    options: list[str],
    question: Question,
    *,
    as_json: bool,
) -> ExitCode:
    """Ask again what failed, and write the answers."""
    home = Home(*place)
    record = home.find(wanted)
    if not record.finished:
        raise UsageError(f"{record.id} is not finished: {how_to_go_on(record)}")
    _check_own(record, "ask again in")
    _check_target(output, as_json=as_json)
    desk = desk_of(home, record, read_options(options), consent=question, output=output)
    try:
        job = _attached(home, desk, record).retry_failed()
        sys.stderr.write(f"{job.id}: {plural(job.total, 'request')} asked again\n")
        return _to_the_end(home, desk, job, output, as_json=as_json)
    finally:
        desk.close()
