"""Measures ai-batch by itself, and prints it as Markdown.

Everything runs on this machine against the emulator in a process of its own. Shared machines are
noisy: processor seconds are steadier than seconds, and ratios within one run steadier than both.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any, cast

from ai_batch.emulator import Emulator

HERE = Path(__file__).parent

KEEPS_NOTHING = "PYTHONDONTWRITEBYTECODE"

IMPORTS = (
    "pass",
    "import pydantic",
    "from pydantic import BaseModel",
    "import ai_batch.core",
    "import ai_batch.openai",
    "from ai_batch.openai import OpenAIProcessor",
)


TITLES = {
    "chat": "Chat requests of 1 KB",
    "file": "Chat requests of 1 KB, lines of a JSONL file",
    "embedding": "Embeddings of 1,536 dimensions, into numpy",
}


def python(*arguments: str) -> str:
    """What a fresh Python prints."""
    # As a user's Python, which keeps what it has compiled.
    environment = {key: value for key, value in os.environ.items() if key != KEEPS_NOTHING}
    environment["PYTHONPATH"] = str(HERE.parent)
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def table(title: str, names: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    lines = [f"\n## {title}\n", f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def imports(runs: int) -> None:
    """Time imports in fresh processes, in turn, so that noise meets all alike."""
    code = (
        "import time, sys; start = time.perf_counter(); {0}; "
        "print(time.perf_counter() - start, 'openai' in sys.modules)"
    )
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    sdk: dict[str, str] = {}
    for _ in range(runs):
        for name in IMPORTS:
            took, sdk[name] = python("-c", code.format(name)).split()
            seconds[name].append(float(took))
    rows = [
        [f"`{name}`", f"{min(found):.3f}", f"{statistics.median(found):.3f}", sdk[name]]
        for name, found in seconds.items()
    ]
    table("Import", ["statement", "min s", "median s", "imports the SDK"], rows)


def jobs(kind: str, providers: list[str], counts: list[int], runs: int) -> None:
    """Run whole jobs of different sizes, each in a process of its own, providers in turn."""
    rows: list[list[str]] = []
    client = str(HERE / "batch_client.py")
    with Emulator.spawn(answer="canned", track_items=False) as emulator:
        for _, count, provider in itertools.product(range(runs), counts, providers):
            what = ["--file"] if kind == "file" else ["--kind", kind]
            command = [client, "--url", emulator.url, "--count", str(count), *what]
            figures: dict[str, Any] = json.loads(python(*command, "--provider", provider))
            rows.append(_row(figures))
    names = ["provider", "requests", "batches", "wall s", "processor s"]
    rates = ["requests per processor second"]
    stages = ["plan, submit s", "collect s", "results s"]
    table(TITLES[kind], [*names, *rates, *stages, "peak MB above imports"], rows)


@contextlib.contextmanager
def instant_server(latency: float) -> Generator[str]:
    """The address of a chat server in a process of its own."""
    command = [sys.executable, str(HERE / "instant_server.py"), "--latency", str(latency)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield cast("IO[str]", server.stdout).readline().strip()
        cast("IO[str]", server.stdin).close()


def live(latency: float, cases: list[tuple[str, int, int]], runs: int) -> None:
    """Live calls: a plain loop of the SDK's, our client alone, and whole jobs, in turn."""
    rows: list[list[str]] = []
    client = str(HERE / "live_client.py")
    with instant_server(latency) as url:
        for _, (way, count, concurrency) in itertools.product(range(runs), cases):
            command = [client, "--url", url, "--way", way, "--count", str(count)]
            found = json.loads(python(*command, "--concurrency", str(concurrency)))
            figures = (f"{found['wall_s']:.1f}", f"{found['cpu_s']:.2f}")
            rates = (f"{found['per_second']:,.0f}", f"{count / found['cpu_s']:,.0f}")
            sizes = (f"{count:,}", str(concurrency))
            rows.append([way, *sizes, *figures, *rates, f"{found['peak_mb']:.1f}"])
    names = ["way", "calls", "at once", "wall s", "processor s", "calls per second"]
    rest = ["calls per processor second", "peak MB above imports"]
    table(f"Live calls of a server that answers in {latency:g} s", [*names, *rest], rows)


def _row(figures: dict[str, Any]) -> list[str]:
    stages = ("cpu_plan_and_submit_s", "cpu_collect_s", "cpu_results_s")
    return [
        figures["provider"],
        f"{figures['requests']:,}",
        str(figures["batches"]),
        f"{figures['wall_s']:.1f}",
        f"{figures['cpu_s']:.2f}",
        f"{figures['per_cpu_second']:,.0f}",
        *(f"{figures[stage]:.2f}" for stage in stages),
        f"{figures['peak_mb']:.1f}",
    ]


def schedules() -> None:
    """Compare schedules of polling over durations from a minute to a day."""
    found = [json.loads(line) for line in python(str(HERE / "poll_schedules.py")).splitlines()]
    rows = [
        [name, f"{lag:.1f}", f"{worst:.0f}", f"{polls:.0f}"] for name, lag, worst, polls in found
    ]
    names = ["schedule", "mean lag s", "95 % lag s", "mean polls"]
    table("Polling, simulated: batches of 1 min to 24 h", names, rows)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--embeddings", type=int, nargs="*", default=[20_000])
    parser.add_argument("--providers", nargs="*", default=["openai", "anthropic", "gemini"])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    imports(5)
    schedules()
    for kind in ("chat", "file"):
        jobs(kind, arguments.providers, arguments.count, arguments.runs)
    calls = [("loop", 2000, 100), ("client", 8000, 100), ("ai-batch", 8000, 100)]
    live(0.0, calls, arguments.runs)
    live(0.5, [("client", 10_000, 500), ("ai-batch", 10_000, 500)], arguments.runs)
    live(0.0, [("ai-batch", 1000, 100), ("ai-batch", 100_000, 100)], 1)
    with_vectors = [name for name in arguments.providers if name != "anthropic"]
    jobs("embedding", with_vectors, arguments.embeddings, arguments.runs)


if __name__ == "__main__":
    main()
