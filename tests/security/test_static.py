"""What is nowhere in the library's source: code from data, SQL from text, unproven servers."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))

MODULES = frozenset({"dill", "cloudpickle", "joblib", "marshal", "pickle", "shelve", "yaml"})
"""Modules that make code run by reading data."""

CALLS = frozenset(
    {
        "__import__",
        "asyncio.create_subprocess_shell",
        "compile",
        "eval",
        "exec",
        "mktemp",
        "os.popen",
        "os.system",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "tempfile.mktemp",
        "yaml.load",
    }
)

SWITCHES = frozenset({"check_hostname", "ssl", "verify", "verify_mode", "verify_ssl"})
"""Arguments and attributes that would switch off the proof of who a server is."""

UNPROVEN = frozenset({"CERT_NONE", "_create_unverified_context", "disable_warnings"})


def dotted(node: ast.AST) -> str:
    """The name of what is called: ``os.system``; empty for anything but names."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return node.id if isinstance(node, ast.Name) else ""


def place(path: Path, node: ast.AST) -> str:
    """Where a node is."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def found(wrong: Callable[[ast.AST], bool]) -> list[str]:
    """The places of all nodes that are wrong."""
    places: list[str] = []
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        places += [place(path, node) for node in ast.walk(tree) if wrong(node)]
    return places


def imported(node: ast.AST) -> Iterator[str]:
    """The modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").partition(".")[0]


def test_there_is_source_to_look_at() -> None:
    """All packages are seen."""
    assert len(SOURCES) > 150
    assert len({path.relative_to(ROOT).parts[1] for path in SOURCES}) >= 8


def test_no_data_becomes_code() -> None:
    """Nothing is unpickled, evaluated or loaded by a parser that makes objects."""
    assert found(lambda node: not MODULES.isdisjoint(imported(node))) == []
    assert found(lambda node: isinstance(node, ast.Call) and dotted(node.func) in CALLS) == []


STARTS = frozenset({"Popen", "call", "check_call", "check_output", "run"})


def is_shell(node: ast.AST) -> bool:
    """Whether a process is started through a shell."""
    if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in STARTS:
        return False
    return any(
        keyword.arg == "shell"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        for keyword in node.keywords
    )


def test_no_shell_is_asked() -> None:
    """Programs are started with their arguments, never with a line for a shell."""
    assert found(is_shell) == []


def unproves(node: ast.AST) -> bool:
    """Whether the proof of a server's identity is switched off here, or can be."""
    if isinstance(node, ast.keyword):
        return node.arg in SWITCHES
    if isinstance(node, ast.arg):
        return node.arg in SWITCHES
    if isinstance(node, ast.Assign):
        names = {dotted(target).rpartition(".")[2] for target in node.targets}
        return not names.isdisjoint(SWITCHES)
    return isinstance(node, ast.Attribute) and node.attr in UNPROVEN


def test_servers_always_prove_who_they_are() -> None:
    """No code and no option has a say in how certificates are checked."""
    assert found(unproves) == []


SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|PRAGMA|ATTACH|CREATE|ALTER|DROP)\b")

LOOKED_AT = {
    ("database.py", "how"),  # The one or the other of two checks.
    ("database.py", "pragma"),  # Of a list that stands above it.
    ("leases.py", "_marks(full)"),  # Question marks.
    ("ledger.py", "', '.join(names)"),  # Columns by our own names.
    ("ledger.py", "column"),  # Of a table of constants.
    ("ledger.py", "sets"),  # The names of keyword arguments.
    ("ledger.py", "table"),  # Of a table of constants.
    ("ledger.py", "adopters"),  # A constant condition.
    ("leases.py", "held"),  # Constant conditions.
    ("leases.py", "marks"),  # Question marks.
    ("locks.py", "condition"),  # Constant conditions, of the callers.
    ("database.py", "quoted(self.schema)"),  # An option of the program's own, as an identifier.
    ("migrations.py", "', '.join(columns)"),  # As SQLite gives them.
    ("migrations.py", "table"),  # As SQLite gives it.
    ("statements.py", "', '.join(JOB_COLUMNS)"),  # Constants.
    ("statements.py", "', '.join(SHARD_COLUMNS)"),  # Constants.
    ("statements.py", "', '.join(columns)"),  # Either of these constants.
    ("statements.py", "marks"),  # Question marks.
    ("statements.py", "table"),  # Either of two constants.
    ("statements.py", "sets"),  # The names of keyword arguments.
    ("statements.py", "wanted"),  # Constant conditions.
}
"""What is put into statements beside constants: the file, and what. None of it is data."""


def holes(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What is put into the text of SQL; constants of a module are not."""
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        values = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
        text = "".join(str(part.value) for part in parts[:1] if isinstance(part, ast.Constant))
        sources = [ast.unparse(value) for value in values]
        if SQL.match(text) or any(name.startswith("SELECT") for name in sources[:1]):
            yield from ((node, name) for name in sources if not name.lstrip("_").isupper())
        if isinstance(node, ast.BinOp) and SQL.match(str(getattr(node.left, "value", ""))):
            yield node, ast.unparse(node.right)


def test_values_go_into_sql_as_parameters() -> None:
    """Of what is put into the text of a statement each is known, and is nobody's data."""
    wrong = [
        f"{place(path, node)}: {hole}"
        for path in SOURCES
        for node, hole in holes(ast.parse(path.read_text("utf-8")))
        if (path.name, hole) not in LOOKED_AT
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("db.execute(f'SELECT * FROM job WHERE id = {name}')", True),
        ("sql = f'{SELECT_JOBS} WHERE id = {name!r}'", True),
        ("db.execute('DELETE FROM ' + table)", True),
        ("db.execute('SELECT * FROM job WHERE id = ?', (name,))", False),
        ("print(f'{name} of {SELECT_JOBS}')", False),
    ],
)
def test_the_search_for_sql_finds_something(line: str, caught: bool) -> None:
    """A check that never fails would prove nothing."""
    assert bool(list(holes(ast.parse(line)))) == caught
