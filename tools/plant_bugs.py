"""Plants bugs, one at a time, in a copy of the project, and tells which of them the tests find.

    python -m tools.plant_bugs            # all of them
    python -m tools.plant_bugs fence row  # those whose names hold one of these words

Ends with 1 when more than two stay unfound, and with 2 when a bug can't be planted any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tools.planted_bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parents[1]
SIDE_BY_SIDE = 2
MAY_ESCAPE = 2
PATIENCE = 900.0
"""Seconds for the tests of one bug: one that makes them hang is found as well."""


def copy_project(to: Path) -> Path:
    """A copy of what git knows of; the working tree is never touched."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def planted(bug: Bug, project: Path) -> str:
    """The file as it was, after the bug has been planted in it."""
    file = project / bug.file
    before = file.read_text("utf-8")
    if before.count(bug.old) != 1:
        sys.exit(f"{bug.name}: {bug.file} holds {before.count(bug.old)} of {bug.old!r}, not one")
    file.write_text(before.replace(bug.old, bug.new), "utf-8")
    return before


def is_found(bug: Bug, project: Path) -> bool:
    """Whether the tests fail, in this copy, with the bug in it."""
    sources = sorted(str(path) for path in project.glob("packages/*/src"))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *bug.tests]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}
    try:
        run = subprocess.run(
            command,
            cwd=project,
            env=environment,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    if run.returncode not in (0, 1):
        sys.exit(f"{bug.name}: the tests could not be run:\n{run.stdout.decode()[-2000:]}")
    return run.returncode == 1


def main() -> None:
    """Plant each bug, run its tests, and mend it again."""
    words = sys.argv[1:]
    bugs = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        projects: SimpleQueue[Path] = SimpleQueue()
        for number in range(SIDE_BY_SIDE):
            projects.put(copy_project(Path(folder) / str(number)))

        def tried(bug: Bug) -> bool:
            project = projects.get()
            before = planted(bug, project)
            begun = time.monotonic()
            found = is_found(bug, project)
            (project / bug.file).write_text(before, "utf-8")
            projects.put(project)
            verdict = "found  " if found else "ESCAPED"
            sys.stdout.write(f"{verdict} {time.monotonic() - begun:5.0f} s  {bug.name}\n")
            sys.stdout.flush()
            return found

        results = list(pool.map(tried, bugs))
    escaped = len(results) - sum(results)
    sys.stdout.write(f"{sum(results)} of {len(results)} bugs were found\n")
    sys.exit(escaped > MAY_ESCAPE)


if __name__ == "__main__":
    main()
