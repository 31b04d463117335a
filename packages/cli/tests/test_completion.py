"""What a shell is offered, by the protocol of each shell and in a real bash."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packages.cli.tests.screens import Terminal

from ai_batch.core import JobRecord
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.ledger import Ledger

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell

ID = "job_20260101-000000-abcdef01"


@pytest.fixture
def known(shell: Shell) -> Shell:
    """A shell whose home knows two jobs."""
    home = Path(shell.environment["AI_BATCH_HOME"])
    home.mkdir()
    ledger = Ledger(SQLiteDatabase(home / "ledger.db"))
    for number, (id, provider, model) in enumerate(
        [("job_20250101-000000-00000000", "gemini", "gemini-2.5-flash"), (ID, "openai", "gpt-5")]
    ):
        record = JobRecord(
            id=id,
            fingerprint=id,
            provider=provider,
            folder=f"jobs/{id}",
            spec={"model": model},
            created_at=float(number),
        )
        ledger.add_job(record, [])
    ledger.close()
    return shell


@contextmanager
def asked(shell: Shell, name: str, words: str) -> Generator[None, None, None]:
    """The environment in which a shell asks."""
    given = {"_AI_BATCH_COMPLETE": f"complete_{name}"}
    if name == "bash":
        given |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    else:
        given |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    shell.environment.update(given)
    yield
    for key in given:
        del shell.environment[key]


def offered(shell: Shell, words: str, name: str = "bash") -> list[str]:
    """What is offered for the last word."""
    with asked(shell, name, words):
        done = shell()
    assert (done.code, done.err) == (0, "")
    return done.out.split("\n")[:-1]


@pytest.mark.parametrize("command", ["show", "resume", "watch", "cancel", "results", "retry"])
def test_jobs_are_offered_to_each_command_that_takes_one(known: Shell, command: str) -> None:
    """The newest first, and ``last``; what does not begin so is left out."""
    assert offered(known, f"ai-batch {command} job_2026") == [ID]
    assert [*filter(None, offered(known, f"ai-batch {command} "))][:2] == ["last", ID]


def test_each_shell_is_answered_in_its_own_words(known: Shell) -> None:
    """Shells like zsh and fish get a word of explanation with each job."""
    assert offered(known, "ai-batch resume job_2026", "fish") == [f"{ID}\topenai, running"]
    [line] = offered(known, "ai-batch resume job_2026", "zsh")
    assert f'"{ID}":"openai, running"' in line


def test_providers_models_and_options_are_offered(known: Shell) -> None:
    """Models are those of earlier jobs, of the provider that was named."""
    providers = offered(known, "ai-batch run in.csv -p ")
    models = offered(known, "ai-batch run in.csv -p openai -m ")

    assert {"anthropic", "gemini", "openai", "vertex"} <= set(providers)
    assert "concurrent" not in providers
    assert models == ["gpt-5"]
    assert offered(known, "ai-batch run in.csv -m ") == ["gpt-5", "gemini-2.5-flash"]
    assert "--detach" in offered(known, "ai-batch run in.csv --de")
    assert {"resume", "results", "retry"} <= set(offered(known, "ai-batch re"))


def test_another_home_is_looked_into_where_it_was_named(known: Shell) -> None:
    """--home before the job says whose jobs are offered."""
    home = known.environment.pop("AI_BATCH_HOME")

    assert offered(known, f"ai-batch show --home {home} job_2026") == [ID]


def test_asking_makes_nothing(shell: Shell) -> None:
    """Without a home there is nothing to offer, no error, and no home afterwards."""
    assert offered(shell, "ai-batch show job_") in ([], [""])
    assert not Path(shell.environment["AI_BATCH_HOME"]).exists()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_can_be_had(shell: Shell, name: str) -> None:
    """It asks the command, in that shell's way."""
    done = shell("completion", name)

    assert done.code == 0, done.err
    assert f"_AI_BATCH_COMPLETE=complete_{name}" in done.out


def test_a_shell_without_completion_is_told(shell: Shell) -> None:
    """The message names those there are."""
    done = shell("completion", "tcsh")

    assert done.code == 2
    assert "there is completion for bash, zsh, fish, not for 'tcsh'" in done.err


def bash(shell: Shell, *options: str) -> Terminal:
    """A bash on a terminal, in which the command is called ai-batch."""
    folder = shell.folder / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "ai-batch"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ai_batch.cli "$@"\n')
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment = {**shell.environment, "PATH": path, "HOME": str(shell.folder), "PS1": "ready> "}
    return Terminal(["bash", "--noprofile", *options, "-i"], shell.folder, environment)


def test_bash_completes_a_job(known: Shell) -> None:
    """With the script read, the tab key writes the rest of the id."""
    terminal = bash(known, "--norc")
    terminal.expect("ready> ")

    terminal.type('eval "$(ai-batch completion bash)"; echo is" there"\n')
    terminal.expect("is there")
    terminal.type("ai-batch show job_2026\t")
    terminal.expect(f"ai-batch show {ID}")
    terminal.type("\x15exit\n")

    assert terminal.end() == 0, terminal.text


def test_completion_is_installed_where_bash_looks_for_it(known: Shell) -> None:
    """--install-completion makes a new bash complete."""
    first = bash(known, "--norc")
    first.expect("ready> ")
    first.type(
        "ai-batch --show-completion | grep -c complete_bash; ai-batch --install-completion\n"
    )
    first.expect(r"\n1\n")
    first.expect("completion for bash: .*; a new terminal has it")
    first.type("exit\n")
    assert first.end() == 0, first.text

    second = bash(known)
    second.type("ai-batch show job_2026\t")
    second.expect(f"ai-batch show {ID}")
    second.type("\x15exit\n")
    assert second.end() == 0, second.text
