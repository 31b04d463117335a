"""What is in the way is told in one message that says what to do; nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell


def test_a_wrong_key_is_mended_and_the_job_resumed(make_shell: Callable[..., Shell]) -> None:
    """A key that is refused names the variable's place; with the right one, resume goes on."""
    shell = make_shell(api_keys=["sk-right"])
    shell.environment["OPENAI_API_KEY"] = "sk-wrong-and-secret"

    wrong = shell.run(shell.table(), "--prompt", "{text}")
    shell.environment["OPENAI_API_KEY"] = "sk-right"
    right = shell("resume", "last")

    assert wrong.code == 3
    assert "Set the right key in the environment" in wrong.err
    assert "ai-batch resume" in wrong.err
    assert "secret" not in wrong.err
    assert right.code == 0, right.err
    assert len(shell.read()) == 3


def test_a_missing_key_is_told_before_anything_else(shell: Shell) -> None:
    """Without a key, there is no job, and the message names the variable."""
    del shell.environment["OPENAI_API_KEY"], shell.environment["OPENAI_BASE_URL"]

    done = shell.run(shell.table(), "--prompt", "{text}")

    assert done.code == 2
    assert "set OPENAI_API_KEY" in done.err


def test_a_wrong_model_costs_nothing_and_says_so(shell: Shell) -> None:
    """A batch that is refused as a whole shows what the provider said."""
    done = shell.run(shell.table(), "--prompt", "{text}", "-m", "no-such-model")

    assert done.code == 3
    assert "model_not_found" in done.err
    assert "nothing was executed or billed" in done.err
    assert shell.emulator.stats.items_billed == 0


def test_a_provider_that_is_not_installed_names_what_brings_it(shell: Shell) -> None:
    """An unknown provider lists those there are; the concurrent runner needs a program."""
    unknown = shell("run", "-", "-p", "openia", "-o", "out.csv")
    concurrent = shell("run", "-", "-p", "concurrent", "-o", "out.csv")

    assert (unknown.code, concurrent.code) == (2, 2)
    assert "there is no provider 'openia'; installed: anthropic" in unknown.err
    assert "concurrent has no batch API: its jobs need a client" in concurrent.err


def test_an_output_without_room_is_written_once_there_is_some(shell: Shell) -> None:
    """A full disk below the output loses nothing: results are written elsewhere, for nothing."""
    (shell.folder / "full.csv").symlink_to("/dev/full")

    full = shell.run(shell.table(), "--prompt", "{text}", output="full.csv")
    again = shell.run(shell.table(), "--prompt", "{text}", output="out.csv")

    assert full.code == 4
    assert "no room left on the disk" in full.err
    assert Path("/dev/full").is_char_device()
    assert again.code == 0, again.err
    assert len(shell.read_csv()) == 3
    assert shell.emulator.stats.items_billed == 3


def limited(command: list[str]) -> list[str]:
    """A command that can't write files of more than 200 kB, as if its disk were full."""
    program = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", program, *command]


def test_a_home_without_room_is_told_and_leaves_no_job(shell: Shell) -> None:
    """A disk that is full while the requests are written ends in one message, without a job."""
    arguments = (
        "run", shell.table(rows=2000), "--prompt", "{text}", "-p", "openai",
        "-m", "gpt-4o-mini", "-o", "out.csv", "-O", "poll_interval=0.1",
    )  # fmt: skip

    full = subprocess.run(
        limited(shell.command(*arguments)),
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    done = shell(*arguments)

    assert full.returncode == 4, full.stderr
    assert "may not grow further" in full.stderr
    assert "Traceback" not in full.stderr
    assert done.code == 0, done.err
    assert len(shell.read_csv()) == 2000


@pytest.mark.parametrize("command", ["jobs", "run"])
def test_a_home_that_can_not_be_made_is_told(shell: Shell, command: str) -> None:
    """Where no home can be, the message says how to choose another."""
    shell.environment["AI_BATCH_HOME"] = f"{os.devnull}/home"

    done = shell("jobs") if command == "jobs" else shell.run(shell.table(), "--prompt", "{text}")

    assert done.code == 4
    assert "Choose another place with --home" in done.err


def test_a_reader_that_has_seen_enough_is_no_error(shell: Shell) -> None:
    """`ai-batch results | head` ends quietly."""
    shell.run(shell.table(rows=3000), "--prompt", "{text}")
    process = shell.start("results", "last")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()

    assert (process.wait(), err) == (0, "")


def test_machines_get_errors_as_json(shell: Shell) -> None:
    """With --json, an error is a line on standard output as well."""
    done = shell.run(shell.table(), "--prompt", "{nothing}", "--json")

    [line] = done.lines
    assert (line["type"], line["exit_code"], done.code) == ("error", 2, 2)
    assert "there are 'n', 'text'" in line["message"]
