"""Fuzzes targets with atheris: ``python -m tests.fuzz.run SECONDS [TARGET...]``.

Each target runs in a process of its own, as libFuzzer never returns, and begins with the corpus
and with what earlier runs have kept in ``.cache/fuzz``. An input that breaks a target is shown as
the line to add to ``tests/fuzz/corpus/<target>.jsonl``, where the tests find it from then on.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

# Nothing of ours is imported here: atheris follows only what is imported after it.
CACHE = Path(".cache/fuzz")
OURS = ["ai_batch"]
LONGEST = 4_000
"""Bytes of an input: rows are short, and what breaks a reader is shorter still."""

COUNT = "number_of_executed_units"

OWN_MUTATIONS = 0.7
"""How many inputs we change ourselves, knowing that they are JSON; libFuzzer changes the rest."""


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process; ends it, with a status other than 0 where it broke."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=OURS):
        targets = importlib.import_module("tests.fuzz.targets")
    from tests.fuzz.mutation import mutated

    seeds: list[bytes] = targets.load_seeds(name)

    def change(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() > OWN_MUTATIONS:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, random.choice(seeds), random)[:most]

    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-print_final_stats=1"]
    found = f"-artifact_prefix={folder.parent}/{name}-"
    command = [sys.argv[0], *options, found, "-verbosity=0", str(folder)]
    atheris.Setup(command, targets.TARGETS[name], custom_mutator=change)
    atheris.Fuzz()


def shown(name: str, since: set[Path]) -> list[str]:
    """What broke the target, as lines of its corpus."""
    found = sorted(set(CACHE.glob(f"{name}-*")) - since)
    return [json.dumps(path.read_bytes().decode("latin-1")) for path in found]


def main(seconds: int, names: list[str]) -> int:
    """Fuzz the targets one after the other; the number of those that broke."""
    broken = 0
    for name in names:
        print(f"{name}: {seconds} s", flush=True)  # noqa: T201 - it talks to a terminal
        before = set(CACHE.glob(f"{name}-*"))
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, str(seconds)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        print(*(line for line in done.stderr.splitlines() if COUNT in line), sep="\n")  # noqa: T201
        if done.returncode:
            broken += 1
            print(done.stdout[-4000:], *shown(name, before), sep="\n")  # noqa: T201
    return broken


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]))
    chosen = sys.argv[2:] or list(importlib.import_module("tests.fuzz.targets").TARGETS)
    sys.exit(main(int(sys.argv[1]), chosen) > 0)
