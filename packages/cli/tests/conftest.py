"""The command in processes of its own, before an emulator."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ai_batch.emulator import Emulator

MODEL = "gpt-4o-mini"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it wrote for machines."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines that it wrote."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Shell:
    """A folder with files, an environment, and the command."""

    folder: Path
    emulator: Emulator
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def command(self, *arguments: str) -> list[str]:
        """The command as a process is started with it."""
        return [sys.executable, "-W", "error", "-m", "ai_batch.cli", *arguments]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command."""
        given: dict[str, Any] = {
            "cwd": self.folder,
            "env": self.environment,
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen(self.command(*arguments), **{**given, **options})

    def __call__(self, *arguments: str, given: str = "") -> Done:
        """Run the command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(given, timeout=120)
        assert "Traceback" not in err, err
        return Done(process.returncode, out, err)

    def run(self, source: str, *arguments: str, output: str = "out.jsonl", given: str = "") -> Done:
        """Run ``ai-batch run`` with OpenAI, polling quickly."""
        fixed = ["-p", "openai", "-m", MODEL, "-o", output, "-O", "poll_interval=0.1"]
        return self("run", source, *fixed, *arguments, given=given)

    def write(self, name: str, text: str) -> str:
        """A file with this text; its name."""
        (self.folder / name).write_text(text, "utf-8")
        return name

    def table(self, name: str = "in.csv", rows: int = 3) -> str:
        """A CSV file with the columns n and text; its name."""
        with (self.folder / name).open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["n", "text"])
            table.writerows([f"r{number}", f"text {number}"] for number in range(rows))
        return name

    def read(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        """The lines of a JSONL file."""
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8").splitlines()]

    def read_csv(self, name: str = "out.csv") -> list[dict[str, str]]:
        """The rows of a CSV file."""
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def wait_for(self, found: Callable[[], object], seconds: float = 60) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.05)


@pytest.fixture
def make_shell(tmp_path: Path) -> Iterator[Callable[..., Shell]]:
    """Make a shell before an emulator with these options."""
    with ExitStack() as stack:

        def make(**options: Any) -> Shell:
            emulator = stack.enter_context(Emulator(**options))
            folder = tmp_path / "work"
            folder.mkdir()
            home = {"AI_BATCH_HOME": str(tmp_path / "home")}
            return Shell(folder, emulator, {**os.environ, **emulator.environment, **home})

        yield make


@pytest.fixture
def shell(make_shell: Callable[..., Shell]) -> Shell:
    """A shell before an emulator as it comes."""
    return make_shell()


def refuse_bad(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """An answer that is an error for the prompt ``bad``, and the prompt itself for others."""
    if body["messages"][-1]["content"] != "bad":
        return None
    return 400, {"error": {"message": "No bad words.", "code": "bad_word", "param": None}}


@pytest.fixture
def picky(make_shell: Callable[..., Shell]) -> Shell:
    """A shell before an emulator that refuses the prompt ``bad``."""
    return make_shell(answer=refuse_bad)
