"""What no single package can show: that all of them keep the workspace's rules."""

import ast
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.planted_bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
WITH_CODE = [folder for folder in FOLDERS if (folder / "src").is_dir()]
MODULES = sorted(ROOT.glob("packages/*/src/**/*.py"))

VAGUE = {"base", "common", "helpers", "manager", "misc", "util", "utils"}
LONGEST_FUNCTION = 50
LONGEST_MODULE = 400
# Loading any of these runs what the data say; a vendor's pickled exception also holds the API key.
FORBIDDEN_MODULES = {"dill", "marshal", "pickle", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec"}
# Home folders, and the drives of Windows: they exist on one machine only.
ONE_MACHINE = re.compile(r"(?<![\w.:/])/(?:root|home/\w+|Users/\w+|work)/|\b[A-Z]:\\\\Users")


def read(path: Path) -> dict[str, Any]:
    """A TOML file."""
    return tomllib.loads(path.read_text("utf-8"))


def named(path: Path) -> str:
    """A path as it is shown for a test."""
    return path.relative_to(ROOT).as_posix()


def committed() -> list[Path]:
    """Every file that git knows; a copy without git has none to check."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"],  # noqa: S607  # Wherever git may be.
        capture_output=True,
        text=True,
        check=False,
    )
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nobody_owns_the_namespace() -> None:
    """An __init__.py in ai_batch would hide all the other distributions' sub-packages."""
    assert list(ROOT.glob("packages/*/src/ai_batch/__init__.py")) == []


@pytest.mark.parametrize("folder", WITH_CODE, ids=lambda folder: folder.name)
def test_a_package_ships_one_typed_sub_package(folder: Path) -> None:
    """The folder's name is the sub-package's name, and py.typed says that it has types."""
    shipped = [path.name for path in (folder / "src/ai_batch").iterdir() if path.is_dir()]

    assert [name for name in shipped if name != "__pycache__"] == [folder.name]
    assert (folder / "src/ai_batch" / folder.name / "py.typed").exists()


def test_all_distributions_have_one_version() -> None:
    """Every version and every pin on a sibling is the same; tools/set_version.py moves them."""
    script = ROOT / "tools/set_version.py"

    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_each_distribution_has_the_same_licence() -> None:
    """A wheel cannot reach the root's LICENSE, so each folder has a copy of it."""
    wanted = (ROOT / "LICENSE").read_bytes()

    assert [f.name for f in FOLDERS if (f / "LICENSE").read_bytes() != wanted] == []


def test_every_package_is_listed_where_no_glob_is_taken() -> None:
    """mypy, pyright and the documentation each name every package's sources."""
    wanted = sorted(f"packages/{folder.name}/src" for folder in WITH_CODE)
    tools = read(ROOT / "pyproject.toml")["tool"]
    site = read(ROOT / "zensical.toml")["project"]

    assert tools["mypy"]["mypy_path"] == wanted
    assert tools["pyright"]["extraPaths"] == wanted
    assert site["plugins"]["mkdocstrings"]["handlers"]["python"]["paths"] == wanted


def test_every_folder_with_code_is_type_checked() -> None:
    """A new folder of scripts is not forgotten by the two type checkers."""
    tools = read(ROOT / "pyproject.toml")["tool"]
    found = {path.relative_to(ROOT).parts[0] for path in committed() if path.suffix == ".py"}

    assert found <= set(tools["mypy"]["files"])
    assert found <= set(tools["pyright"]["include"])


def test_every_page_is_in_the_navigation() -> None:
    """Each page of docs/ can be reached, and each entry leads to a page."""
    listed = set(pages(read(ROOT / "zensical.toml")["project"]["nav"]))

    assert {p.relative_to(ROOT / "docs").as_posix() for p in ROOT.glob("docs/**/*.md")} == listed


def pages(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The files that a navigation names, at any depth."""
    for value in (value for entry in entries for value in entry.values()):
        if isinstance(value, str):
            yield value
        else:
            yield from pages(value)


def test_the_meta_distribution_has_an_extra_for_each_package() -> None:
    """`ai-batch[all]` brings everything that there is; the core needs no extra."""
    extras = read(ROOT / "packages/meta/pyproject.toml")["project"]["optional-dependencies"]

    assert {folder.name for folder in WITH_CODE} - {"core"} <= set(extras)
    assert set(re.split(r"[\[\],]", extras["all"][0])[1:-1]) == set(extras) - {"all"}


@pytest.mark.parametrize("folder", WITH_CODE, ids=lambda folder: folder.name)
def test_entry_points_lead_somewhere(folder: Path) -> None:
    """What a distribution registers, a provider or a plug-in, can be loaded."""
    groups = read(folder / "pyproject.toml")["project"].get("entry-points", {})
    for group, entries in groups.items():
        for name, value in entries.items():
            importlib.metadata.EntryPoint(name, value, group).load()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_is(path: Path) -> None:
    """Each module has a docstring, a name that says something, and a size that can be read."""
    text = path.read_text("utf-8")

    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert path.stem.strip("_") not in VAGUE, "a vague name"
    assert text.count("\n") <= LONGEST_MODULE, f"longer than {LONGEST_MODULE} lines"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_functions_are_short(path: Path) -> None:
    """No function is longer than can be seen at once, its docstring not counted."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert {f.name: n for f in functions if (n := length(f)) > LONGEST_FUNCTION} == {}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    text = function.body[0]
    return lines - ((text.end_lineno or text.lineno) - text.lineno + 1)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_nothing_runs_what_data_say(path: Path) -> None:
    """No pickle, no marshal, no eval: what comes from a disk or a vendor stays data."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            used.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            used.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            used.add(f"{node.func.id}()")

    assert used & (FORBIDDEN_MODULES | {f"{name}()" for name in FORBIDDEN_CALLS}) == set()


def test_ignored_types_name_their_error() -> None:
    """A bare `type: ignore` hides also the errors that come later."""
    bare = re.compile(r"#\s*(?:type|pyright):\s*ignore(?!\[)")
    sources = [path for path in committed() if path.suffix == ".py" and path != Path(__file__)]

    assert [named(path) for path in sources if bare.search(path.read_text("utf-8"))] == []


def test_no_committed_file_knows_one_machine() -> None:
    """No path of somebody's own machine is in the repository."""
    wrong: list[str] = []
    for path in committed():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # Not text.
            continue
        wrong += [f"{named(path)}: {match[0]}" for match in ONE_MACHINE.finditer(text)]

    assert wrong == []


@pytest.mark.skipif("EXPECTED_PYTHON" not in os.environ, reason="only in `make matrix`")
def test_the_matrix_runs_the_python_that_it_names() -> None:
    """Environments that share a folder would all run on the first one's Python, and pass."""
    assert "{}.{}".format(*sys.version_info) == os.environ["EXPECTED_PYTHON"]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_to_plant_has_its_place(bug: Bug) -> None:
    """The one place that it changes is there, however the code around it has been rewritten."""
    assert (ROOT / bug.file).read_text("utf-8").count(bug.old) == 1
