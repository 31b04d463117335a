"""The commands of ``ai-batch``: their arguments, and nothing that takes long to import."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from typing import Annotated

import typer

from ai_batch.cli import arguments as args
from ai_batch.cli.failures import ExitCode, leave, told

__all__ = ["app", "main"]

app = typer.Typer(
    name="ai-batch",
    help="Files of prompts through the LLM vendors' batch APIs, at half the price.",
    no_args_is_help=True,
    invoke_without_command=True,
    # What draws boxes around the help takes longer to load than all the rest.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # Options of typer's own have no default, which it takes pydantic to find out.
    add_completion=False,
    add_help_option=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


COMPLETE = "_AI_BATCH_COMPLETE"
"""Set where a shell asks what could be typed next."""


def main() -> None:
    """Run the command ``ai-batch``."""
    import ai_batch.cli.job_commands  # noqa: F401  # pyright: ignore[reportUnusedImport]

    # Python ends by looking for garbage in all that was imported, a tenth of a command's time.
    atexit.register(gc.freeze)
    if COMPLETE in os.environ:
        from ai_batch.cli.completing import answer_shells

        answer_shells()
    with told():
        app(prog_name="ai-batch")


@app.callback()
def general_options(
    context: typer.Context,
    *,
    install_completion: Annotated[
        bool,
        typer.Option("--install-completion", help="Install completion for the shell in use."),
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", help="Show what that would install.")
    ] = False,
    show_help: Annotated[
        bool, typer.Option("--help", "-h", help="Show this message and exit.")
    ] = False,
) -> None:
    """Options of the command as a whole."""
    if show_help:
        sys.stdout.write(context.get_help() + "\n")
        leave(ExitCode.OK)
    if install_completion or show_completion:
        from ai_batch.cli.completing import install, show

        leave(install() if install_completion else show(None))


@app.command()
def run(
    *,
    source: args.Input,
    provider: args.Provider,
    output: args.Output,
    model: args.Model = None,
    prompt: args.Prompt = None,
    id: args.IdColumn = None,
    keep: args.Keep = None,
    system: args.System = None,
    embed: args.Embed = False,
    schema: args.Schema = None,
    fields: args.Fields = None,
    max_tokens: args.MaxTokens = None,
    max_cost: args.MaxCost = None,
    ask_above: args.AskAbove = 1.0,
    yes: args.Yes = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask anew what an earlier job has answered already.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Submit, print the job's id, and leave.")
    ] = False,
    base_url: args.BaseUrl = None,
    input_format: args.Format = None,
    option: args.ProviderOptions = None,
    home: args.HomeFolder = None,
    ledger: args.LedgerAddress = None,
    as_json: args.AsJson = False,
) -> None:
    """Answer each row of a file; the same command again continues its job."""
    given = locals()
    from ai_batch.cli.consent import Question
    from ai_batch.cli.running import Wanted, run

    question = Question(above=ask_above, assume_yes=yes)
    how = {"fresh": fresh, "detach": detach, "as_json": as_json}
    leave(run(Wanted.of(given), output, question, max_cost=max_cost, **how))


@app.command()
def estimate(
    *,
    source: args.Input,
    provider: args.Provider,
    model: args.Model = None,
    prompt: args.Prompt = None,
    id: args.IdColumn = None,
    system: args.System = None,
    embed: args.Embed = False,
    schema: args.Schema = None,
    fields: args.Fields = None,
    max_tokens: args.MaxTokens = None,
    base_url: args.BaseUrl = None,
    input_format: args.Format = None,
    option: args.ProviderOptions = None,
    as_json: args.AsJson = False,
) -> None:
    """Count, cut and price what a run would be; nothing is sent and nothing kept."""
    given = locals()
    from ai_batch.cli.checking import estimate
    from ai_batch.cli.running import Wanted

    leave(estimate(Wanted.of(given), as_json=as_json))


@app.command()
def validate(
    *,
    source: args.Input,
    provider: Annotated[
        str | None, typer.Option("--provider", "-p", help="Whose rules must hold as well.")
    ] = None,
    model: args.Model = None,
    prompt: args.Prompt = None,
    id: args.IdColumn = None,
    embed: args.Embed = False,
    schema: args.Schema = None,
    fields: args.Fields = None,
    input_format: args.Format = None,
    option: args.ProviderOptions = None,
    as_json: args.AsJson = False,
) -> None:
    """Check each row of a file, and list the first hundred faults; nothing is sent."""
    given = locals()
    from ai_batch.cli.checking import validate
    from ai_batch.cli.running import Wanted

    leave(validate(Wanted.of(given), as_json=as_json))


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def emulator(context: typer.Context) -> None:
    """Start a local server that speaks the vendors' batch APIs; takes its own options."""
    import importlib

    try:
        found = importlib.import_module("ai_batch.emulator.__main__")
    except ImportError as error:
        sys.stderr.write(
            f"ai-batch: the emulator is not installed ({error}): pip install ai-batch-emulator\n"
        )
        leave(ExitCode.USAGE)
    # It ends by an interrupt, which may come a moment before it waits for one.
    with contextlib.suppress(KeyboardInterrupt):
        found.main(context.args)


@app.command()
def completion(
    *, shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", metavar="SHELL")]
) -> None:
    """Write the script that completes commands, options and jobs in a shell."""
    from ai_batch.cli.completing import show

    leave(show(shell))


@app.command()
def providers(*, as_json: args.AsJson = False) -> None:
    """List the providers that are installed, and where their keys are looked for."""
    from ai_batch.cli.checking import list_providers

    leave(list_providers(as_json=as_json))
