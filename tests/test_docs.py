"""Every Python block of the README and the documentation runs, against the emulator.

A block stands alone, unless its fence says more:

    ```python              runs alone
    ```python continue     runs after the block before it, with its names
    ```python skip-run reason="needs a real key"     is only compiled

What a page says that a snippet prints is what it prints: the comment behind a ``print``, and a
text block right below the snippet. ``...`` stands for anything there.

Shell commands below the comment ``<!-- run -->`` run as well, those of a page one after the other
in one folder. A text block right below them is their standard output.
"""

import ast
import io
import json
import os
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^( *)```python\b(.*)\n((?:.*\n)*?)\1```", re.MULTILINE)
OUTPUT = re.compile(r"\s*\n```text\n((?:.*\n)*?)```")
COMMANDS = re.compile(r"^<!-- run -->\n```sh\n((?:.*\n)*?)```", re.MULTILINE)
SDK_WARNS = "ignore:Inheritance class AiohttpClientSession"
"""What google-genai does to aiohttp's sessions, and is warned of."""

REASON = re.compile(r'reason="[^"]+"')


@dataclass(frozen=True)
class Block:
    """A snippet with all that runs before it, placed so that line numbers are the page's."""

    page: Path
    line: int
    info: str
    code: str
    output: str | None
    """What the page shows right below as the output."""

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
        below = OUTPUT.match(text, match.end())
        yield Block(page, line, info.strip(), before, below and below[1])


PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")]
BLOCKS = [block for page in sorted(PAGES) if page.exists() for block in blocks(page)]

WITH_COMMANDS = [page for page in PAGES if page.exists() and COMMANDS.search(page.read_text())]
BETWEEN = "-- the next commands --"


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


@dataclass(frozen=True)
class Print:
    """What one call of ``print`` printed."""

    line: int
    text: str


class Runner:
    """Runs snippets in processes that have the slow imports behind them."""

    def __init__(self) -> None:
        program = ROOT / "tests" / "programs" / "snippet_runner.py"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-W", SDK_WARNS, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, script: Path, environment: dict[str, str]) -> tuple[int, str, list[Print]]:
        """The exit code of a script, what it wrote, and which line printed what."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output, prints = script.with_suffix(".txt"), script.with_suffix(".jsonl")
        order = {"script": str(script), "folder": str(script.parent)}
        order |= {"output": str(output), "prints": str(prints)}
        self._process.stdin.write(json.dumps({**order, "environment": environment}) + "\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline()
        lines = prints.read_text("utf-8").splitlines() if prints.exists() else []
        return int(code), output.read_text("utf-8"), [Print(**json.loads(one)) for one in lines]

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

    code, written, prints = runner.run(script, environment)

    assert code == 0, written
    for lines, comment in promises(block.code):
        texts = [one.text for one in prints if one.line in lines]
        assert not texts or any(keeps(text, comment) for text in texts), (texts, comment)
    if block.output is not None:
        printed = "\n".join(one.text for one in prints)  # Without what went to standard error.
        shown = block.output.strip()
        assert is_like(written.strip(), shown) or is_like(printed.strip(), shown), written


def promises(code: str) -> Iterator[tuple[range, str]]:
    """The lines of each ``print`` with a comment behind it, and that comment."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        end = node.end_lineno or node.lineno
        if node.func.id == "print" and end in comments:
            yield range(node.lineno, end + 1), comments[end].removeprefix("# ")


def keeps(printed: str, comment: str) -> bool:
    """Whether a comment tells what was printed; behind it may stand a remark."""
    shown, rest = comment[: len(printed)], comment[len(printed) :]
    return (shown == printed and rest[:1] in ("", ",", ":", ";")) or is_like(printed, comment)


def is_like(printed: str, shown: str) -> bool:
    """Whether it was printed as shown, where ``...`` stands for anything."""
    parts = [re.escape(part) for part in shown.split("...")]
    return re.fullmatch(".*".join(parts), printed, re.DOTALL) is not None


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_commands_run(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A reader who types the commands of a page gets what it shows."""
    text = page.read_text("utf-8")
    found = list(COMMANDS.finditer(text))
    script = f"echo {BETWEEN}\n".join(match[1] for match in found)
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    done = subprocess.run(
        ["/bin/sh", "-e", "-c", script],
        env={**environment, "PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for match, written in zip(found, done.stdout.split(f"{BETWEEN}\n"), strict=True):
        shown = OUTPUT.match(text, match.end())
        assert shown is None or is_like(written.strip(), shown[1].strip()), written
