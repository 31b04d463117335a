"""Who may import whom: imports point one way, and a vendor's SDK is imported when it is used."""

import ast
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

# The core, from the bottom up. A module imports only from the rows above its own, or from the
# modules to the left of it in its row. What only the type checker imports is free.
CORE_LAYERS = [
    [
        "errors",
        "disk",
        "privacy",
        "unchecked",
        "messages",
        "requests",
        "tables",
        "export",
        "results",
        "response",
        "events",
        "provider",
        "clients",
    ],
    [
        "connections",
        "direct_calls",
        "guards",
        "listing",
        "vendor_calls",
        "transfers",
        "vendor_errors",
        "wire_json",
        "wire_faults",
        "wire_parts",
        "wire_schemas",
    ],
    ["places", "seals", "state", "plan", "schedule", "tokens", "prices"],
    ["rows", "structured", "duplicates", "runtime", "checks", "plain_lines", "intake", "telemetry"],
    ["live"],
    ["patience", "policy", "options", "estimate", "owners"],
    ["database", "records", "migrations", "statements", "budget", "locks", "permits", "leases"],
    ["ledger", "delivery", "ledgers"],
    [
        "spool",
        "requestlog",
        "parts",
        "templates",
        "inputs",
        "planner",
        "planning",
        "accounting",
        "reader",
        "shardfiles",
        "checkup",
    ],
    ["closing", "submission", "collect", "repair", "steps", "advance", "polling"],
    ["engine"],
    ["inbox", "tail", "display", "progress", "run", "native", "job", "deletion", "jobs"],
    ["processor"],
    ["remaking", "work", "worker"],
]
# Stand beside the layers: any module may import them, and they only what is named here.
CORE_FREE: dict[str, set[str]] = {
    "blocking": set(),
    "registry": {"errors"},
    "virtual": {"runtime"},
    "fakes": {"errors", "messages", "provider", "requests", "results", "rows"},
    "testing": {"fakes", "errors", "messages", "provider", "requests", "results", "virtual"},
}

# What a provider may import from the core beside the public names of `ai_batch.core`.
OPEN_TO_PROVIDERS = {
    "clients",
    "connections",
    "direct_calls",
    "errors",
    "guards",
    "listing",
    "live",
    "messages",
    "options",
    "prices",
    "processor",
    "provider",
    "requests",
    "results",
    "transfers",
    "vendor_calls",
    "vendor_errors",
    "wire_faults",
    "wire_json",
    "wire_parts",
    "wire_schemas",
}

# Each takes from a tenth of a second to nine seconds to import.
SLOW = {
    "anthropic",
    "genai_prices",
    "google",
    "httpx2",
    "numpy",
    "openai",
    "opentelemetry",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "ray",
    "rich",
    "tqdm",
    "voyageai",
}
# Distributions that are no providers: a runner, a server and its tests, and what users start.
NO_PROVIDERS = {"core", "concurrent", "emulator", "cli", "postgres", "ray"}


class When(Enum):
    """What has to happen for an import to be carried out."""

    IMPORT = "its module is imported"
    CALL = "a function is called"
    TYPES = "types are checked"


class Import(NamedTuple):
    """One imported module: by which file and line, its name, and when."""

    path: Path
    line: int
    module: str
    when: When

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.module}"


def sources(package: str) -> list[Path]:
    """All modules of a package."""
    return sorted((ROOT / "packages" / package / "src").rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    """All imports of a module."""
    pending: list[tuple[ast.AST, When]] = [(ast.parse(path.read_text("utf-8")), When.IMPORT)]
    while pending:
        node, when = pending.pop()
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name, when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(path, node.lineno, name, when) for name in _from(node))
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += [(child, When.TYPES) for child in node.body]
            pending += [(child, when) for child in node.orelse]
            continue
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            when = When.CALL if when is When.IMPORT else when
        pending += [(child, when) for child in ast.iter_child_nodes(node)]


def _from(node: ast.ImportFrom) -> list[str]:
    module = node.module or ""
    if module == "ai_batch":
        return [f"ai_batch.{alias.name}" for alias in node.names]
    if module == "ai_batch.core":
        # Either a module or a public name; both are told apart by the existing files.
        folder = ROOT / "packages/core/src/ai_batch/core"
        return [
            f"{module}.{alias.name}" if (folder / f"{alias.name}.py").exists() else module
            for alias in node.names
        ]
    return [module]


PACKAGES = sorted(p.parent.name for p in ROOT.glob("packages/*/src"))
CORE = [path for path in sources("core") if path.name != "__init__.py"]


def below(module: str) -> set[str]:
    """The modules of the core that this one may import."""
    if module in CORE_FREE:
        return CORE_FREE[module]
    allowed = set(CORE_FREE)
    for layer in CORE_LAYERS:
        if module in layer:
            return allowed | set(layer[: layer.index(module)])
        allowed.update(layer)
    pytest.fail(f"ai_batch.core.{module} has no place in CORE_LAYERS yet")


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_core_imports_point_one_way(path: Path) -> None:
    """A module of the core imports only from the modules that come before it."""
    allowed = {f"ai_batch.core.{name}" for name in below(path.stem.removeprefix("_"))}

    ours = [i for i in imports(path) if i.module.startswith("ai_batch")]
    wrong = [i for i in ours if i.when is not When.TYPES and i.module not in allowed]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_a_sibling_other_than_the_core(package: str) -> None:
    """Each distribution stands on the core alone, so a user installs one without the others."""
    ours = {f"ai_batch.{package}", "ai_batch.core"}

    wrong = [
        i
        for path in sources(package)
        for i in imports(path)
        if i.module.split(".")[0] == "ai_batch" and ".".join(i.module.split(".")[:2]) not in ours
    ]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - NO_PROVIDERS))
def test_providers_know_only_the_open_part_of_the_core(package: str) -> None:
    """A provider uses public names and the contract, never the engine, the ledger or the spool."""
    open_modules = {"ai_batch.core", *(f"ai_batch.core.{name}" for name in OPEN_TO_PROVIDERS)}

    wrong = [
        i
        for path in sources(package)
        for i in imports(path)
        if i.module.startswith("ai_batch.core") and i.module not in open_modules
    ]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - {"emulator", "postgres"}))
def test_slow_libraries_are_imported_when_used(package: str) -> None:
    """No module imports a vendor's SDK, or another slow library, when it is itself imported.

    Nobody imports the ledger of PostgreSQL before an address of its kind is opened.
    """
    wrong = [
        i
        for path in sources(package)
        for i in imports(path)
        if i.when is When.IMPORT and i.module.split(".")[0] in SLOW
    ]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("package", PACKAGES)
def test_dependencies_are_declared_and_used(package: str) -> None:
    """A wheel declares each library that it imports, and none that it does not."""
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text("utf-8"))
    extras = project["project"].get("optional-dependencies", {}).values()
    written = [*project["project"]["dependencies"], *(need for extra in extras for need in extra)]
    declared = {str(canonicalize_name(Requirement(need).name)) for need in written}
    # Only pytest itself loads a plug-in for it.
    given = {"pytest"} if "pytest11" in project["project"].get("entry-points", {}) else set[str]()

    owners = [
        brought_by(name)
        for name in {i.module.split(".")[0] for path in sources(package) for i in imports(path)}
        if name not in sys.stdlib_module_names and name != "ai_batch"
    ]

    assert [names for names in owners if not names & (declared | given)] == []
    assert declared - {"ai-batch-core"} - set[str]().union(*owners) == set()


def brought_by(module: str) -> set[str]:
    """The distributions that a top-level module comes from: several, if it is a namespace."""
    found = importlib.metadata.packages_distributions().get(module, [module])
    return {str(canonicalize_name(name)) for name in found}
