"""Runs scripts, each in a process of its own that is forked from one that has the imports done.

Reads one JSON object per line: the script, its folder, its environment, the file for what it
prints, and the file for which line printed what. Answers with its exit code. Importing the SDKs
anew would take most of the time.
"""

import builtins
import gc
import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

WARM = (
    "ai_batch.anthropic.provider",
    "ai_batch.concurrent.workshop",
    "ai_batch.core.jobs",
    "ai_batch.core.testing",
    "ai_batch.emulator",
    "ai_batch.emulator.server",
    "ai_batch.gemini.provider",
    "ai_batch.openai.processor",
    "ai_batch.openai.provider",
    "anthropic.resources.messages.batches",
    "google.cloud.storage",
    "google.genai",
    "numpy",
    "openai.resources.batches",
    "openai.resources.files",
    "uvicorn",
)


def become(order: dict[str, str], environment: dict[str, str]) -> None:
    """Turn this process into one that was started for the script."""
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(order["folder"])
    sys.argv = [order["script"]]
    note_prints(order["script"], order["prints"])


def note_prints(script: str, path: str) -> None:
    """Have each ``print`` of the script noted in a file, with its line."""
    plain = builtins.print
    here = os.getpid()

    def noted(*values: Any, **options: Any) -> None:
        plain(*values, **options)
        caller = sys._getframe(1)
        if caller.f_code.co_filename == script and os.getpid() == here and not options:
            note = {"line": caller.f_lineno, "text": " ".join(map(str, values))}
            with Path(path).open("a", encoding="utf-8") as notes:
                notes.write(json.dumps(note) + "\n")

    builtins.print = noted


def main() -> None:
    """Fork for each order; the child runs the script and ends like any Python."""
    for name in WARM:
        importlib.import_module(name)
    # Else each script, when it ends, looks for garbage in all of these: most of a second.
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            become(order, order["environment"])
            runpy.run_path(order["script"], run_name="__main__")
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
