"""The reference has all that is public: each package, and each command with its options."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NAMES = sorted(path.parent.name for path in ROOT.glob("packages/*/src/ai_batch/*/__init__.py"))


@pytest.mark.parametrize("name", NAMES)
def test_each_package_has_its_page(name: str) -> None:
    """Whatever can be imported by a public name is explained."""
    package = importlib.import_module(f"ai_batch.{name}")
    text = (REFERENCE / f"{name}.md").read_text("utf-8")

    assert not package.__all__ or f"::: ai_batch.{name}\n" in text


def test_the_commands_are_those_of_the_command() -> None:
    """The page of commands is what its tool makes of the program."""
    tool = ROOT / "tools" / "cli_reference.py"
    script = f"import runpy; print(runpy.run_path({str(tool)!r})['reference'](), end='')"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout

    assert (REFERENCE / "cli.md").read_text("utf-8") == made, "run tools/cli_reference.py"
    assert len(re.findall(r"^## ", made, re.MULTILINE)) > 10
