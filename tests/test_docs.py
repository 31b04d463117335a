"""Every Python block of the README and the documentation runs, against the emulator.

A block stands alone, unless its fence says more:

    ```python              runs alone
    ```python continue     runs after the block before it, with its names
    ```python skip-run reason="needs a real key"     is only compiled
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^( *)```python\b(.*)\n((?:.*\n)*?)\1```", re.MULTILINE)
REASON = re.compile(r'reason="[^"]+"')


@dataclass(frozen=True)
class Block:
    """A snippet with all that runs before it, placed so that line numbers are the page's."""

    page: Path
    line: int
    info: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The snippets of a page, in order."""
    text, before = page.read_text("utf-8"), ""
    for match in FENCE.finditer(text):
        indent, info, code = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        before = before if "continue" in info.split() else ""
        before += "\n" * (line - before.count("\n")) + code
        yield Block(page, line, info.strip(), before)


PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")]
BLOCKS = [block for page in sorted(PAGES) if page.exists() for block in blocks(page)]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a reader would have set: a key and a home; and the emulator in the vendor's place."""
    emulator = pytest.importorskip("ai_batch.emulator")
    with emulator.Emulator() as running:
        yield {
            **os.environ,
            **running.environment,
            "AI_BATCH_HOME": str(tmp_path / "home"),
        }


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_snippet_is_python(block: Block) -> None:
    """A snippet compiles, and one that is not run says why."""
    compile(block.code, str(block.page), "exec")

    if "skip-run" in block.info:
        assert REASON.search(block.info), "skip-run needs a reason"


class Runner:
    """Runs snippets in processes that have the slow imports behind them."""

    def __init__(self) -> None:
        program = ROOT / "tests" / "programs" / "snippet_runner.py"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, script: Path, environment: dict[str, str]) -> tuple[int, str]:
        """The exit code of a script, and what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output = script.with_suffix(".txt")
        order = {"script": str(script), "folder": str(script.parent), "output": str(output)}
        self._process.stdin.write(json.dumps({**order, "environment": environment}) + "\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline()
        return int(code), output.read_text("utf-8")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One runner for all snippets."""
    runner = Runner()
    yield runner
    runner.close()


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if "skip-run" not in block.info], ids=str
)
def test_a_snippet_runs(
    block: Block, environment: dict[str, str], tmp_path: Path, runner: Runner
) -> None:
    """A reader who copies the snippet gets what the page says, not an exception."""
    script = tmp_path / "snippet.py"
    script.write_text(block.code, "utf-8")

    code, printed = runner.run(script, environment)

    assert code == 0, printed
