"""Rewrite constraints.txt: the exact versions that this project is developed with.

One resolution for every supported Python and platform, over all packages and all environments of
hatch.toml. The file names no index, so it serves any mirror. hatch's own lock files do not: they
hold addresses, and cannot resolve siblings that are not published.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "constraints.txt"


def members() -> dict[str, str]:
    """Each distribution's name and what to install: its folder, with all of its extras."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.glob("packages/*/pyproject.toml")):
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        extras = ",".join(sorted(project.get("optional-dependencies", {})))
        folder = f"./{path.parent.relative_to(ROOT).as_posix()}"
        found[project["name"]] = f"{folder}[{extras}]" if extras else folder
    return found


def tools() -> set[str]:
    """What the environments of hatch.toml ask for, and hatch, which the Makefile installs."""
    environments = tomllib.loads((ROOT / "hatch.toml").read_text("utf-8"))["envs"]
    wanted = {"hatch"}
    for name, environment in environments.items():
        # The one is there to have other versions than these; the other has pins of its own.
        if name not in ("lowest", "recipes"):
            wanted.update(environment.get("dependencies", []))
    return wanted


def main() -> int:
    """Resolve everything together, at the newest published versions."""
    packages = members()
    command = ["uv", "pip", "compile", "--universal", "--upgrade", "--python-version", "3.11"]
    command += ["--no-header", "--no-annotate", "--quiet", "-", "--output-file", str(TARGET)]
    for name in packages:
        command += ["--no-emit-package", name]
    # The file that is being rewritten must not hold anything back.
    environment = {**os.environ, "UV_CONSTRAINT": ""}
    wanted = "\n".join([*packages.values(), *sorted(tools())])
    return subprocess.run(
        command, input=wanted, text=True, env=environment, cwd=ROOT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
