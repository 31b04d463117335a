"""An environment of its own for each contestant, made by uv in a folder outside the repository.

What a contestant needs is pinned in `peers.toml`. An environment is made anew when its pins have
changed; that of ai-batch itself each time, from wheels of this repository.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

HERE = Path(__file__).parent
PACKAGES = HERE.parent / "packages"
CACHE = Path(
    os.environ.get("AI_BATCH_BENCHMARKS", platformdirs.user_cache_path("ai-batch-benchmarks"))
)
"""Where the environments are."""


@dataclass(frozen=True)
class Contestant:
    """One that takes part: see `peers.toml`. ``left_out`` says why it does not.

    ``broken`` is why its environment could not be made here.
    """

    name: str
    file: str = ""
    requires: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    statement: str = ""
    licence: str = ""
    most: int = 0
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    left_out: str = ""
    broken: str = ""

    @property
    def path(self) -> Path:
        """Its code."""
        return HERE / "contestants" / self.file

    @property
    def folder(self) -> Path:
        """Its environment."""
        return CACHE / "".join(letter if letter.isalnum() else "-" for letter in self.name)

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where its libraries are."""
        [found] = self.folder.glob("lib/python*/site-packages")
        return found


def contestants(path: Path = HERE / "peers.toml") -> dict[str, Contestant]:
    """All that take part or were left out, by name."""
    found = tomllib.loads(path.read_text("utf-8"))
    return {
        name: Contestant(
            name,
            file=given.get("file", ""),
            requires=tuple(given.get("requires", ())),
            members=tuple(given.get("members", ())),
            modes=tuple(given.get("modes", ())),
            statement=given.get("import", ""),
            licence=given.get("licence", ""),
            most=given.get("most", 0),
            environment=given.get("environment", {}),
            left_out=given.get("left_out", ""),
        )
        for name, given in found.items()
    }


@contextmanager
def alone() -> Generator[None]:
    """Nobody else measures, or makes environments anew; BlockingIOError if somebody does."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                "Another benchmark is running, and would slow this one."
            ) from None
        yield


def _uv(*arguments: str) -> str:
    # The project's own constraints are not the peers'.
    environment = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
    done = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def _wheels(members: tuple[str, ...], to: Path) -> list[str]:
    """Wheels of members of this repository, with their extras."""
    found: list[str] = []
    for member in members:
        name, _, extras = member.partition("[")
        folder = to / name
        _uv("build", "--wheel", "--out-dir", str(folder), str(PACKAGES / name))
        [wheel] = folder.glob("*.whl")
        found.append(f"{wheel}[{extras}" if extras else str(wheel))
    return found


def make(contestant: Contestant) -> None:
    """Make the environment, unless it is there already. RuntimeError says why it can't be made."""
    mark = contestant.folder / "made-of.json"
    wanted = json.dumps([*contestant.requires, sys.version])
    made = mark.exists() and mark.read_text("utf-8") == wanted
    if made and not contestant.members:
        return
    shutil.rmtree(contestant.folder, ignore_errors=True)
    base = str(Path(sys.base_prefix) / "bin" / "python3")
    _uv("venv", "--python", base, str(contestant.folder))
    wheels = _wheels(contestant.members, contestant.folder / "wheels")
    into = ("--python", str(contestant.python), "--compile-bytecode")
    _uv("pip", "install", *into, *wheels, *contestant.requires)
    mark.write_text(wanted, "utf-8")


def versions(contestant: Contestant) -> dict[str, str]:
    """What is installed, by name."""
    lines = _uv("pip", "list", "--python", str(contestant.python), "--format", "json")
    return {found["name"]: found["version"] for found in json.loads(lines)}


def megabytes(contestant: Contestant) -> float:
    """Size of what is installed, compiled files included."""
    files = (path for path in contestant.packages.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 1e6
