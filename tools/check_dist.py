"""Check that every built wheel can stand alone: python tools/check_dist.py dist.

Looks into each wheel (one sub-package of the namespace, typed, with its licence, no file that
another owns too), then installs each into an environment of its own with only its declared
dependencies, and imports it with warnings as errors.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.metadata import Metadata
from packaging.utils import canonicalize_name, parse_wheel_filename

NAMESPACE = "ai_batch"
META = "ai-batch"  # The distribution without code.

# Runs in the fresh environment: import what was installed, and tell which sub-packages are there.
PROBE = """
import importlib, importlib.util, pkgutil
found = importlib.util.find_spec("ai_batch")
names = sorted(m.name for m in pkgutil.iter_modules(found.submodule_search_locations or []))
for name in names:
    importlib.import_module("ai_batch." + name)
print(*names)
"""


@dataclass(frozen=True)
class Wheel:
    """A built wheel: where it is, what is in it, and what it says of itself."""

    path: Path
    name: str
    files: tuple[str, ...]
    metadata: Metadata

    @classmethod
    def read(cls, path: Path) -> "Wheel":
        """Open a wheel; its metadata are validated as an index would."""
        with zipfile.ZipFile(path) as archive:
            files = tuple(archive.namelist())
            (described,) = (f for f in files if f.endswith(".dist-info/METADATA"))
            metadata = Metadata.from_email(archive.read(described), validate=True)
        return cls(path, parse_wheel_filename(path.name)[0], files, metadata)

    @property
    def code(self) -> list[PurePosixPath]:
        """The files that land in site-packages beside the wheel's own records."""
        paths = (PurePosixPath(f) for f in self.files)
        return [p for p in paths if not p.parts[0].endswith(".dist-info")]

    @property
    def siblings(self) -> set[str]:
        """Our other distributions that it needs without any extra."""
        needs = self.metadata.requires_dist or []
        names = {canonicalize_name(n.name) for n in needs if n.marker is None}
        return {n for n in names if n.startswith(META)}


def faults(wheel: Wheel) -> Iterator[str]:
    """What is wrong with the wheel itself, without installing it."""
    folders = {p.parts[:2] for p in wheel.code}
    part = wheel.name.removeprefix("ai-batch-")
    expected: set[tuple[str, ...]] = set() if wheel.name == META else {(NAMESPACE, part)}
    if folders != expected:
        yield f"holds {sorted(folders)}, not {sorted(expected)}"
    if PurePosixPath(NAMESPACE, "__init__.py") in wheel.code:
        yield "owns the namespace: ai_batch/__init__.py"
    if expected and PurePosixPath(NAMESPACE, part, "py.typed") not in wheel.code:
        yield "has no py.typed"
    if not any(f.endswith(".dist-info/licenses/LICENSE") for f in wheel.files):
        yield "has no LICENSE"
    yield from metadata_faults(wheel.metadata)


def metadata_faults(metadata: Metadata) -> Iterator[str]:
    """What the page of the distribution would lack, or show that only we can use."""
    for field in ("summary", "description", "license_expression", "requires_python"):
        if not getattr(metadata, field):
            yield f"has no {field}"
    if metadata.description_content_type != "text/markdown":
        yield f"has a description of type {metadata.description_content_type}"
    if re.search(r"\]\((?!https?://|#)", metadata.description or ""):
        yield "has a relative link in its README, which leads nowhere outside the repository"
    for need in metadata.requires_dist or []:
        if need.url:
            yield f"needs {need.name} from an address"


def shared(wheels: list[Wheel]) -> Iterator[str]:
    """Files that more than one wheel would install."""
    owners = Counter(path for wheel in wheels for path in wheel.code)
    for path, count in owners.items():
        if count > 1:
            yield f"{path}: owned by {count} wheels"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says. The versions of constraints.txt do not hold here."""
    environment = {k: v for k, v in os.environ.items() if k not in {"UV_CONSTRAINT", "VIRTUAL_ENV"}}
    return subprocess.run(command, text=True, capture_output=True, env=environment, check=False)


def needed(wheel: Wheel, wheels: dict[str, Wheel]) -> set[str]:
    """The wheel and all of ours that come with it, as sub-packages of the namespace."""
    names, todo = {wheel.name}, [wheel]
    while todo:
        for name in todo.pop().siblings - names:
            names.add(name)
            todo.append(wheels[name])
    return {n.removeprefix("ai-batch-") for n in names if n != META}


def alone(wheel: Wheel, wheels: dict[str, Wheel], folder: Path) -> Iterator[str]:
    """Install the wheel into a new environment and import all that came with it."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    steps = [
        ("uv", "venv", "--quiet", "--python", sys.executable, folder),
        ("uv", "pip", "install", "--quiet", "--python", python,
         "--find-links", wheel.path.parent, wheel.path),
        ("uv", "pip", "check", "--python", python),
        (python, "-I", "-W", "error", "-c", PROBE),
    ]  # fmt: skip
    output = ""
    for step in steps:
        done = run(*step)
        if done.returncode:
            yield f"{' '.join(map(str, step[:3]))} failed:\n{done.stderr or done.stdout}"
            return
        output = done.stdout
    present, wanted = set(output.split()), needed(wheel, wheels)
    if present != wanted:
        yield f"alone, it has {sorted(present)}, but should have {sorted(wanted)}"


def main() -> int:
    """Check all wheels of a folder; every fault is told, not only the first."""
    if len(sys.argv) != 2:
        print("usage: python tools/check_dist.py FOLDER", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        # uv remembers what it took from a folder by the folder's name: where an earlier build of
        # the same version lay, it would install that one, so the wheels lie where none ever did.
        fresh = shutil.copytree(sys.argv[1], Path(folder, "wheels"))
        wheels = [Wheel.read(path) for path in sorted(fresh.glob("*.whl"))]
        by_name = {wheel.name: wheel for wheel in wheels}
        wrong = list(shared(wheels)) if wheels else ["no wheel to check"]
        for wheel in wheels:
            found = [*faults(wheel), *alone(wheel, by_name, Path(folder, wheel.name))]
            print(f"{wheel.name}: {'wrong' if found else 'stands alone'}")
            wrong += [f"{wheel.name}: {fault}" for fault in found]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
