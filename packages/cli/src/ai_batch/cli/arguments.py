"""Arguments and options that several commands have, each in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import typer

from ai_batch.cli.suggesting import suggest_jobs, suggest_models, suggest_providers

__all__ = [
    "AsJson",
    "AskAbove",
    "BaseUrl",
    "Embed",
    "Fields",
    "Format",
    "HomeFolder",
    "IdColumn",
    "Input",
    "Job",
    "Keep",
    "LedgerAddress",
    "MaxCost",
    "MaxTokens",
    "Model",
    "OptionalOutput",
    "Output",
    "Place",
    "Prompt",
    "Provider",
    "ProviderOptions",
    "Schema",
    "System",
    "Yes",
]

Input: TypeAlias = Annotated[
    str, typer.Argument(help="JSONL, CSV, TSV, text or Parquet file; - for stdin.", metavar="INPUT")
]
Job: TypeAlias = Annotated[
    str,
    typer.Argument(
        help="A job's id, the beginning of one, or last.",
        metavar="JOB",
        autocompletion=suggest_jobs,
    ),
]
Provider: TypeAlias = Annotated[
    str,
    typer.Option(
        "--provider",
        "-p",
        help="Who answers: openai, anthropic, gemini, vertex.",
        autocompletion=suggest_providers,
    ),
]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="The model; requests may name their own.",
        autocompletion=suggest_models,
    ),
]
Output: TypeAlias = Annotated[
    str, typer.Option("--output", "-o", help="JSONL, CSV, TSV or Parquet file, or - for stdout.")
]
OptionalOutput: TypeAlias = Annotated[
    str | None,
    typer.Option("--output", "-o", help="Where to write the results, if not where run was told."),
]
Format: TypeAlias = Annotated[
    str | None, typer.Option("--format", help="The input's format, if its suffix does not say.")
]
Prompt: TypeAlias = Annotated[
    str | None, typer.Option(help='What to ask of each row, such as "Summarise: {text}".')
]
IdColumn: TypeAlias = Annotated[
    str | None, typer.Option("--id", help="The column that holds the rows' ids.", metavar="COLUMN")
]
Keep: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="A column to copy into the output; repeatable.", metavar="COLUMN"),
]
System: TypeAlias = Annotated[str | None, typer.Option(help="The system message of each request.")]
Embed: TypeAlias = Annotated[bool, typer.Option("--embed", help="Embed the prompts.")]
Schema: TypeAlias = Annotated[
    str | None, typer.Option(help="FILE.json or module:Model that each answer must fit.")
]
Fields: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="A field of each request, such as temperature=0; repeatable."),
]
MaxTokens: TypeAlias = Annotated[int | None, typer.Option(help="The longest answer, in tokens.")]
MaxCost: TypeAlias = Annotated[
    float | None, typer.Option(help="Refuse, in USD, what would cost more.", metavar="USD")
]
AskAbove: TypeAlias = Annotated[
    float, typer.Option(help="Ask, on a terminal, from this many USD on.", metavar="USD")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
BaseUrl: TypeAlias = Annotated[
    str | None, typer.Option(help="Another server that speaks the provider's API.", metavar="URL")
]
ProviderOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-O",
        help="Any other option of the provider, such as location=us-central1; repeatable.",
        metavar="NAME=VALUE",
    ),
]
HomeFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--home", help="Where jobs are kept (else AI_BATCH_HOME).")
]
LedgerAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="A ledger that machines share, such as postgresql://... (else AI_BATCH_LEDGER).",
        metavar="URL",
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON for machines on standard output.")
]


class Place(NamedTuple):
    """Where jobs are kept, as far as the command line says."""

    home: Path | None = None
    ledger: str | None = None
