"""Measures the command `ai-batch`: how long it takes to answer, and what a large file costs.

    python benchmarks/cli.py [--rows 1000000] [--commands run]

Prints Markdown. The server is an emulator in a process of its own.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ai_batch.core import JobRecord
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.ledger import Ledger
from ai_batch.emulator import Emulator, Timing

TIMES = 5
JOBS = 1000


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds, processor seconds, and the most memory in MB."""
    command = [sys.executable, "-m", "ai_batch.cli", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.extend(process.stderr or ()))
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    reader.join()
    if os.waitstatus_to_exitcode(status):
        sys.exit("".join(told))
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def best(arguments: list[str], environment: dict[str, str]) -> tuple[float, ...]:
    """The best of several runs, each figure by itself."""
    return tuple(map(min, zip(*(run(arguments, environment) for _ in range(TIMES)), strict=True)))


def many_jobs(home: Path) -> None:
    """A ledger with a thousand jobs."""
    ledger = Ledger(SQLiteDatabase(home / "ledger.db"))
    for number in range(JOBS):
        id = f"job_20260101-000000-{number:08x}"
        record = JobRecord(id=id, fingerprint=id, provider="openai", folder=f"jobs/{id}")
        ledger.add_job(record, [])
    ledger.close()


def table(path: Path, rows: int) -> None:
    """A CSV file of short texts."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([f"row-{n}", f"Is this the sentence number {n}?"] for n in range(rows))


def answers(folder: Path) -> None:
    """How soon commands that only look answer."""
    home = folder / "many"
    home.mkdir(mode=0o700)
    many_jobs(home)
    environment = {**os.environ, "AI_BATCH_HOME": str(home)}
    sys.stdout.write("| command | seconds | processor seconds | MB |\n|---|---|---|---|\n")
    for arguments in (["--help"], ["run", "--help"], ["jobs"], ["jobs", "-n", "0"]):
        seconds, processor, memory = best(arguments, environment)
        name = " ".join(arguments)
        sys.stdout.write(f"| `{name}` | {seconds:.2f} | {processor:.2f} | {memory:.0f} |\n")
        sys.stdout.flush()


def large(folder: Path, rows: int, commands: list[str]) -> None:
    """What a large file takes, from reading it to writing its answers."""
    source = folder / "in.csv"
    table(source, rows)
    with Emulator(timing=Timing(in_progress=0.5)) as emulator:
        given = {"AI_BATCH_HOME": str(folder / f"home-{rows}")}
        environment = {**os.environ, **emulator.environment, **given}
        ask = [str(source), "--prompt", "{text}", "-p", "openai", "-m", "gpt-4o-mini"]
        for arguments in (
            ["validate", str(source), "--prompt", "{text}"],
            ["estimate", *ask],
            ["run", *ask, "-o", str(folder / "out.csv"), "-O", "poll_interval=1"],
        ):
            if arguments[0] not in commands:
                continue
            seconds, processor, memory = run(arguments, environment)
            name = f"`{arguments[0]}` of {rows:,} rows"
            sys.stdout.write(f"| {name} | {seconds:.1f} | {processor:.1f} | {memory:.0f} |\n")
            sys.stdout.flush()
        billed = emulator.stats.items_billed
        if "run" in commands and billed != rows:
            sys.exit(f"{billed} of {rows} were billed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large file")
    parser.add_argument("--commands", nargs="+", default=["validate", "estimate", "run"])
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ai-batch-bench-") as name:
        answers(Path(name))
        large(Path(name), wanted.rows, wanted.commands)
