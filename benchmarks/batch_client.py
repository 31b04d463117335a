"""One job in a process of its own: plan to results of N requests.

Chat requests are of about 1 KB; embedding requests are read into numpy arrays. With ``--file``
the chat requests are lines of a JSONL file, as large jobs have them, else objects made on the way.

Prints one line of JSON. The processor time is this process's alone, so that the emulator, which
runs in another one, is not in it; memory is the highest above what the imports took.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import ChatRequest, EmbeddingRequest, NativeProcessor, Request, Result, user
from ai_batch.core.intake import Requests
from ai_batch.emulator.remote import RemoteEmulator
from ai_batch.gemini import GeminiProcessor
from ai_batch.openai import OpenAIProcessor
from benchmarks.launch import memory, processor_seconds

TEXT = "The quick brown fox jumps over the lazy dog, and then it does so once more. " * 13
DIMENSIONS = 1536

IMPORTED_WHEN_USED = {
    "openai": ("ai_batch.openai.provider", "openai.resources.batches", "openai.resources.files"),
    "anthropic": ("ai_batch.anthropic.provider", "anthropic.resources.messages.batches"),
    "gemini": ("ai_batch.gemini.provider", "google.genai"),
}
BY_ALL = ("ai_batch.core.jobs", "anyio._backends._asyncio", "httpcore2", "numpy")


def openai(emulator: RemoteEmulator, **options: Any) -> NativeProcessor:
    """A processor of OpenAI."""
    url = emulator.openai_url
    return OpenAIProcessor(
        model="gpt-4o-mini", embedding_model="text-embedding-3-small", base_url=url, **options
    )


def anthropic(emulator: RemoteEmulator, **options: Any) -> NativeProcessor:
    """A processor of Anthropic."""
    return AnthropicProcessor(model="claude-haiku-4-5", base_url=emulator.anthropic_url, **options)


def gemini(emulator: RemoteEmulator, **options: Any) -> NativeProcessor:
    """A processor of Gemini."""
    url = emulator.gemini_url
    return GeminiProcessor(
        model="gemini-2.5-flash", embedding_model="gemini-embedding-001", base_url=url, **options
    )


PROVIDERS: dict[str, Callable[..., NativeProcessor]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
}


def requests(count: int, kind: str) -> Iterator[Request]:
    """Requests that differ, one at a time."""
    for number in range(count):
        if kind == "chat":
            yield ChatRequest(id=f"request-{number}", messages=[user(f"{number}: {TEXT}")])
        else:
            yield EmbeddingRequest(
                id=f"request-{number}", texts=[f"{number}: {TEXT[:200]}"], dimensions=DIMENSIONS
            )


def written(folder: Path, count: int) -> Path:
    """A JSONL file of the same chat requests."""
    path = folder / "requests.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            asked = {"role": "user", "content": f"{number}: {TEXT}"}
            file.write(json.dumps({"id": f"request-{number}", "messages": [asked]}) + "\n")
    return path


def is_answered(result: Result) -> bool:
    """Look at the answer as a user would: its text, or its vectors in an array."""
    if result.embedding is not None:
        return result.embedding.array.shape == (1, DIMENSIONS)
    return result.chat is not None and bool(result.chat.content)


def main() -> None:
    """Run the job and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the emulator's address")
    parser.add_argument("--provider", choices=PROVIDERS, default="openai")
    parser.add_argument("--kind", choices=("chat", "embedding"), default="chat")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--file", action="store_true", help="chat requests from a JSONL file")
    arguments = parser.parse_args()
    for name in (*BY_ALL, *IMPORTED_WHEN_USED[arguments.provider]):
        importlib.import_module(name)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Forget the peak so far.
    baseline = memory("VmRSS")
    with tempfile.TemporaryDirectory() as home:
        emulator = RemoteEmulator(arguments.url)
        processor = PROVIDERS[arguments.provider](emulator, api_key="test", home=home)
        asked: Requests = requests(arguments.count, arguments.kind)
        if arguments.file:
            asked = written(Path(home), arguments.count)
        started, cpu = time.perf_counter(), processor_seconds()
        job = processor.submit(asked)
        submitted = processor_seconds()
        response = job.join()
        joined = processor_seconds()
        answered = sum(map(is_answered, response))
        ended = processor_seconds()
        figures = {
            "provider": arguments.provider,
            "requests": arguments.count,
            "from_file": arguments.file,
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
