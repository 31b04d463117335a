"""The commands about jobs that are there: only their arguments, so that help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_batch.cli import arguments as args
from ai_batch.cli.app import app
from ai_batch.cli.failures import leave
from ai_batch.cli.suggesting import suggest_jobs

__all__: list[str] = []


@app.command()
def jobs(
    *,
    number: Annotated[int, typer.Option("-n", help="How many, the newest first; 0 for all.")] = 20,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """List jobs."""
    from ai_batch.cli.listing import list_jobs

    leave(list_jobs(args.Place(home, ledger), number, as_json=as_json))


@app.command()
def show(
    *,
    job: args.Job,
    examples: Annotated[int, typer.Option(help="Failed requests to show per cause.")] = 2,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Show a job: its batches, and what failed, grouped by cause."""
    from ai_batch.cli.showing import show

    leave(show(args.Place(home, ledger), job, examples, as_json=as_json))


@app.command()
def resume(
    *,
    job: args.Job,
    output: args.OptionalOutput = None,
    base_url: args.BaseUrl = None,
    option: args.ProviderOptions = None,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Go on with a job, in whatever state an earlier process left it."""
    from ai_batch.cli.going_on import resume

    given = {"base_url": base_url, "options": option or []}
    leave(resume(args.Place(home, ledger), job, output, given, as_json=as_json))


@app.command()
def work(
    *,
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job",
            help="Work on this job, and end with it; repeatable.",
            metavar="JOB",
            autocompletion=suggest_jobs,
        ),
    ] = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="End once no job is left to be worked on.")
    ] = False,
    max_jobs: Annotated[
        int, typer.Option(min=1, help="How many jobs at once; more take turns.", metavar="N")
    ] = 100,
    option: args.ProviderOptions = None,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Bring all jobs that others have planned to their ends, until stopped."""
    from ai_batch.cli.working import work

    place = args.Place(home, ledger)
    leave(work(place, job or [], option or [], drain=drain, max_jobs=max_jobs, as_json=as_json))


@app.command()
def watch(
    *,
    job: args.Job,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Watch a job that another process works on."""
    from ai_batch.cli.going_on import watch

    leave(watch(args.Place(home, ledger), job, as_json=as_json))


@app.command()
def cancel(
    *,
    job: args.Job,
    yes: args.Yes = False,
    output: args.OptionalOutput = None,
    option: args.ProviderOptions = None,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Cancel a job at the provider, and collect what was finished by then."""
    from ai_batch.cli.going_on import cancel

    given = {"base_url": None, "options": option or []}
    leave(cancel(args.Place(home, ledger), job, output, given, yes=yes, as_json=as_json))


@app.command()
def results(
    *,
    job: args.Job,
    output: args.Output = "-",
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Write the results of a finished job once more; nothing is sent."""
    from ai_batch.cli.going_on import results

    leave(results(args.Place(home, ledger), job, output, as_json=as_json))


@app.command()
def retry(
    *,
    job: args.Job,
    output: args.OptionalOutput = None,
    ask_above: args.AskAbove = 1.0,
    yes: args.Yes = False,
    option: args.ProviderOptions = None,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Ask again, as a new job, what failed in a job."""
    from ai_batch.cli.consent import Question
    from ai_batch.cli.going_on import retry

    question = Question(above=ask_above, assume_yes=yes)
    leave(retry(args.Place(home, ledger), job, output, option or [], question, as_json=as_json))


@app.command()
def prune(
    *,
    older_than: Annotated[
        float, typer.Option(help="Days since a job was finished.", metavar="DAYS")
    ] = 30.0,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="Also jobs whose results were never written.")
    ] = False,
    yes: args.Yes = False,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Delete finished jobs, with their requests and results."""
    from ai_batch.cli.pruning import prune

    leave(
        prune(
            args.Place(home, ledger), older_than, undelivered=undelivered, yes=yes, as_json=as_json
        )
    )


@app.command()
def report(
    *,
    job: args.Job,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="An HTML file, or - for stdout; else JOB.html."),
    ] = None,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
) -> None:
    """Write a job's report, with charts, as one HTML file."""
    from ai_batch.cli.report import write_report

    leave(write_report(args.Place(home, ledger), job, output))


@app.command()
def ui(
    *,
    port: Annotated[int, typer.Option(help="The port; 0 takes any that is free.")] = 0,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only print the link, without opening it.")
    ] = False,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
) -> None:
    """Show jobs in the browser, live, from this machine only."""
    from ai_batch.cli.ui import ui

    leave(ui(args.Place(home, ledger), port, show=not no_open))
