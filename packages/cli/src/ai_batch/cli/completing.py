"""The scripts with which shells complete the command."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from ai_batch.cli.failures import ExitCode

__all__ = ["answer_shells", "install", "show"]

NAME = "ai-batch"
VARIABLE = "_AI_BATCH_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def _typer() -> Any:
    # Without types: its functions are documented, but not exported.
    return importlib.import_module("typer.completion")


def answer_shells() -> None:
    """Have what a shell asks answered in that shell's way."""
    _typer().completion_init()


def show(shell: str | None) -> ExitCode:
    """Write the script of a shell, or of the one in use, to standard output.

    Raises ``UsageError`` for a shell that is not known.
    """
    named = _known(shell or _in_use())
    script: str = _typer().get_completion_script(prog_name=NAME, complete_var=VARIABLE, shell=named)
    sys.stdout.write(f"{script}\n")
    return ExitCode.OK


def install() -> ExitCode:
    """Put the script of the shell in use where that shell looks for it."""
    shell, path = _typer().install(shell=_known(_in_use()), prog_name=NAME, complete_var=VARIABLE)
    sys.stderr.write(f"completion for {shell}: {path}; a new terminal has it\n")
    return ExitCode.OK


def _in_use() -> str:
    """The shell that runs this command; else the user's own."""
    shells: Any = importlib.import_module("shellingham")
    try:
        name = str(shells.detect_shell()[0])
    except shells.ShellDetectionFailure:
        name = ""
    return name if name in SHELLS else Path(os.environ.get("SHELL", "")).name


def _known(shell: str) -> str:
    if shell not in SHELLS:
        # Only now: a shell that asks must not wait for it.
        from ai_batch.core import UsageError

        names = ", ".join(SHELLS)
        raise UsageError(f"there is completion for {names}, not for {shell or 'no shell'!r}")
    return shell
