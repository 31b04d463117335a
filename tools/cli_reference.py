"""Writes docs/reference/cli.md: every command of ``ai-batch`` with its arguments and options."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from ai_batch.cli.app import app

__all__ = ["PAGE", "reference"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"

HEAD = """\
# ai-batch

Every command with its arguments and options. [Command line](../cli.md) tells how they are used.
"""


def reference() -> str:
    """The page."""
    importlib.import_module("ai_batch.cli.job_commands")
    group: Any = typer.main.get_command(app)
    parts = [HEAD, *(section(name, command) for name, command in group.commands.items())]
    return "\n".join(parts)


def section(name: str, command: Any) -> str:
    """A command: what it does, and a table of what it takes."""
    lines = [f"## {name}", "", " ".join(str(command.help).split()), ""]
    params = [param for param in command.params if not getattr(param, "hidden", False)]
    if params:
        lines += ["| argument, option | default | what it is |", "|---|---|---|"]
        lines += [f"| {' | '.join(cells(param))} |" for param in params]
        lines += [""]
    return "\n".join(lines)


def cells(param: Any) -> Iterator[str]:
    """One row of the table."""
    if param.param_type_name == "argument":
        yield f"`{param.metavar or param.name.upper()}`"
    else:
        names = sorted(param.opts, key=len)
        value = f" {param.metavar}" if param.metavar and not param.is_flag else ""
        yield ", ".join(f"`{one}`" for one in [*names[:-1], names[-1] + value])
    yield default(param)
    yield " ".join((param.help or "").split()).replace("|", "\\|")


def default(param: Any) -> str:
    """What holds where it is not given."""
    if param.required:
        return "needed"
    if getattr(param, "is_flag", False):
        return "on" if param.default else "off"
    return "none" if param.default in (None, ()) else f"`{param.default}`"


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
