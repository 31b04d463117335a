"""One job in a process of its own: plan to results of N chat requests of about 1 KB.

Prints one line of JSON. The processor time is this process's alone, so that the emulator, which
runs in another one, is not in it; memory is the highest above what the imports took.
"""

import argparse
import importlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ai_batch.core import ChatRequest, user
from ai_batch.openai import OpenAIProcessor

TEXT = "The quick brown fox jumps over the lazy dog, and then it does so once more. " * 13

IMPORTED_WHEN_USED = (
    "ai_batch.core.jobs",
    "ai_batch.openai.provider",
    "anyio._backends._asyncio",
    "httpcore2",
    "openai.resources.batches",
    "openai.resources.files",
)


def requests(count: int) -> Iterator[ChatRequest]:
    """Requests that differ, one at a time."""
    for number in range(count):
        yield ChatRequest(id=f"request-{number}", messages=[user(f"{number}: {TEXT}")])


def memory(field: str) -> float:
    """A figure of this process in MB, as Linux keeps it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def processor_seconds() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the job and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    arguments = parser.parse_args()
    for name in IMPORTED_WHEN_USED:
        importlib.import_module(name)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Forget the peak so far.
    baseline = memory("VmRSS")
    with tempfile.TemporaryDirectory() as home:
        processor = OpenAIProcessor(
            model="gpt-4o-mini", base_url=arguments.url, api_key="test", home=home
        )
        started, cpu = time.perf_counter(), processor_seconds()
        job = processor.submit(requests(arguments.count))
        submitted = processor_seconds()
        response = job.join()
        joined = processor_seconds()
        answered = sum(1 for result in response if result.chat is not None)
        ended = processor_seconds()
        figures = {
            "requests": arguments.count,
            "answered": answered,
            "wall_s": time.perf_counter() - started,
            "cpu_s": ended - cpu,
            "cpu_plan_and_submit_s": submitted - cpu,
            "cpu_collect_s": joined - submitted,
            "cpu_results_s": ended - joined,
            "per_cpu_second": arguments.count / (ended - cpu),
            "import_mb": baseline,
            "peak_mb": memory("VmHWM") - baseline,
            "batches": job.status().batches,
        }
        processor.close()
    sys.stdout.write(json.dumps(figures) + os.linesep)
    if answered != arguments.count:
        sys.exit(f"only {answered} of {arguments.count} requests were answered")


if __name__ == "__main__":
    main()
