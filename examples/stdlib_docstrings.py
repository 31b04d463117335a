"""Summarises the docstrings of Python's standard library, and embeds them, in one batch job.

Without a key it runs against the emulator, with each provider in turn: a worker process does the
job, is killed with SIGKILL half-way, and started again, as after a power cut. The tables show that
nothing was lost and nothing was paid for twice.

    python examples/stdlib_docstrings.py                      # all providers, emulated
    python examples/stdlib_docstrings.py --provider gemini    # one of them
    python examples/stdlib_docstrings.py --live --count 50    # OpenAI itself: OPENAI_API_KEY is set
"""

import argparse
import ast
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai_batch.core import ChatRequest, EmbeddingRequest, NativeProcessor, Progress, Request, user
from ai_batch.core.provider import Limits
from ai_batch.emulator import Emulator, Timing

PROMPT = "Summarise this docstring of Python's standard library in one line:\n\n"
SKIPPED = {"test", "tests", "site-packages", "idlelib", "lib2to3", "turtledemo"}
SHORTEST = 80
BATCH = 600
KILL_AT = 0.4


# -- the providers: what changes from one to the other is the import and the models -----------


def openai(**options: Any) -> NativeProcessor:
    """OpenAI's Batch API."""
    from ai_batch.openai import OpenAIProcessor

    return OpenAIProcessor(model="gpt-5-mini", embedding_model="text-embedding-3-small", **options)


def anthropic(**options: Any) -> NativeProcessor:
    """Anthropic's Message Batches; Anthropic has no embeddings."""
    from ai_batch.anthropic import AnthropicProcessor

    return AnthropicProcessor(model="claude-haiku-4-5", **options)


def gemini(**options: Any) -> NativeProcessor:
    """The batch mode of Google's Gemini API."""
    from ai_batch.gemini import GeminiProcessor

    return GeminiProcessor(
        model="gemini-2.5-flash-lite", embedding_model="gemini-embedding-001", **options
    )


def vertex(**options: Any) -> NativeProcessor:
    """Batch prediction at Vertex AI, through a bucket."""
    from ai_batch.gemini import VertexProcessor

    return VertexProcessor(
        model="gemini-2.5-flash-lite", embedding_model="gemini-embedding-001", **options
    )


PROVIDERS: dict[str, Callable[..., NativeProcessor]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "vertex": vertex,
}


# -- the input --------------------------------------------------------------------------------


def docstrings() -> Iterator[tuple[str, str]]:
    """Names and docstrings of the functions and classes of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if SKIPPED.isdisjoint(place.parts):
            module = ".".join(place.with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    text = ast.get_docstring(node)
                    if text and len(text) >= SHORTEST:
                        yield f"{module}.{node.name}:{node.lineno}", text


def requests(count: int | None, *, embeddings: bool) -> Iterator[Request]:
    """For each docstring a question for its summary, and its embedding."""
    for number, (name, text) in enumerate(docstrings()):
        if number == count:
            return
        yield ChatRequest(id=f"summary of {name}", messages=[user(f"{PROMPT}{name}\n\n{text}")])
        if embeddings:
            yield EmbeddingRequest(id=f"embedding of {name}", texts=[f"{name}\n\n{text}"])


# -- the worker: what a program that uses the library looks like ------------------------------


def work(provider: str, count: int | None, home: str | None) -> None:
    """Answer all requests; run again after a crash, it goes on where it stopped."""
    live = home is None
    options: dict[str, Any] = {} if live else {"home": home, "poll_interval": 0.4}
    if not live:
        # Small batches, so that there is something to be killed in between.
        options["limits"] = Limits(max_requests=BATCH, max_bytes=200_000_000)
    if provider == "vertex":
        options["gcs_uri"] = os.environ.get("AI_BATCH_DEMO_BUCKET", "gs://ai-batch-demo/jobs")
    with PROVIDERS[provider](on_progress=tell, **options) as processor:
        response = processor.process(requests(count, embeddings=provider != "anthropic"))
        samples: list[str] = []
        vectors = 0
        for result in response:
            if result.chat is not None and len(samples) < 3:
                samples.append(f"{result.id.removeprefix('summary of ')}: {result.chat.content}")
            vectors += result.embedding is not None
        end = {"job": response.job_id, "total": response.total, "failed": response.failed}
        end |= {"answers": response.completed - vectors, "vectors": vectors, "samples": samples}
        end |= {"tokens": response.usage.total_tokens, "cost": response.cost}
        end |= {"batches": processor.attach(response.job_id).status().batches}
        say({"end": end})


def tell(progress: Progress) -> None:
    """Hand the progress to whoever started this process."""
    say({"progress": asdict(progress) | {"usage": progress.usage.model_dump()}})


def say(message: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


# -- the demonstration: starts the emulator, and kills the worker half-way --------------------


def run_worker(arguments: list[str], environment: dict[str, str], kill_at: float | None) -> Any:
    """Run the worker and show its progress; None when it was killed on the way."""
    command = [sys.executable, __file__, "--worker", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        shown = ""
        for line in worker.stdout or ():
            message = json.loads(line)
            if "end" in message:
                show("")
                return message["end"]
            progress = message["progress"]
            done = progress["completed"] + progress["failed"]
            shown = show(progress_line(progress, done), shown)
            if kill_at is not None and done >= kill_at * progress["total"]:
                os.kill(worker.pid, signal.SIGKILL)
                show("")
                print(f"killed the worker (SIGKILL) with {done:,} of {progress['total']:,} done")
                return None
    sys.exit(f"the worker ended with {worker.returncode}")


def progress_line(progress: dict[str, Any], done: int) -> str:
    """The progress in one line: # is here, - is done at the provider, . is on its way there."""
    total, remote, sent = progress["total"], progress["done_remotely"], progress["in_flight"]
    here, there, away = (int(count / total * 40) for count in (done, done + remote, done + sent))
    bar = "#" * here + "-" * (there - here) + "." * (away - there)
    batches = f"{progress['batches_done']}/{progress['batches']} batches"
    return f"[{bar:<40}] {done:,}/{total:,} requests, {batches}, {progress['elapsed']:.0f} s"


def show(line: str, before: str = "") -> str:
    """Replace the line on a terminal; elsewhere print it when requests have moved."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line}", end="", flush=True)
    elif line and line.split("]", maxsplit=1)[0] != before.split("]", maxsplit=1)[0]:
        print(line, flush=True)
    return line


def report(end: dict[str, Any]) -> dict[str, str]:
    """What the worker says of its job."""
    print("some of the summaries:")
    for sample in end["samples"]:
        print(f"  {sample[:110]}")
    cost = "not known" if end["cost"] is None else f"{end['cost']:.4f} USD"
    return {
        "requests": f"{end['total']:,}",
        "batches": str(end["batches"]),
        "summaries": f"{end['answers']:,}",
        "embeddings": f"{end['vectors']:,}",
        "failures": str(end["failed"]),
        "tokens": f"{end['tokens']:,}",
        "cost at the batch price": cost,
    }


def table(columns: dict[str, dict[str, str]]) -> None:
    """Print a column per provider."""
    print()
    print(f"  {'':<26}" + "".join(f"{name:>14}" for name in columns))
    for row in next(iter(columns.values())):
        print(f"  {row:<26}" + "".join(f"{column[row]:>14}" for column in columns.values()))


def demonstrate(provider: str, count: int | None) -> dict[str, str]:
    """The job against the emulator, killed half-way and resumed."""
    timing = Timing(validating=0.5, in_progress=(1.0, 6.0), finalizing=0.3)
    with (
        tempfile.TemporaryDirectory(prefix="ai-batch-demo-") as home,
        Emulator.spawn(answer="first_sentence:answer", timing=timing) as emulator,
    ):
        print(f"\n{provider}: an emulator speaks its batch API at {emulator.url}")
        environment = {**os.environ, **emulator.environment}
        arguments = ["--provider", provider, "--home", home]
        arguments += [] if count is None else ["--count", str(count)]
        end = run_worker(arguments, environment, KILL_AT)
        if end is None:
            print("starting the same worker again: it finds its job and goes on")
            end = run_worker(arguments, environment, None)
        stats = emulator.stats
        rows = report(end)
        rows["executed by the emulator"] = f"{stats.items_executed:,}"
        rows["billed by the emulator"] = f"{stats.items_billed:,}"
        rows["billed more than once"] = str(len(stats.billed_twice()))
        if stats.items_billed != end["total"] or end["failed"] or stats.billed_twice():
            table({provider: rows})
            sys.exit("\nthe books do not agree with the results")
    return rows


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--provider", choices=PROVIDERS, help="only this one")
    parser.add_argument("--live", action="store_true", help="talk to the vendor (costs money)")
    parser.add_argument("--count", type=int, help="how many docstrings (default: all)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    provider = arguments.provider or "openai"
    if arguments.worker:
        work(provider, arguments.count, arguments.home)
    elif arguments.live:
        given = ["--provider", provider]
        given += [] if arguments.count is None else ["--count", str(arguments.count)]
        table({provider: report(run_worker(given, dict(os.environ), None))})
    else:
        chosen = [arguments.provider] if arguments.provider else list(PROVIDERS)
        print("reading the docstrings of the standard library")
        table({name: demonstrate(name, arguments.count) for name in chosen})
        print("\nevery request has one result, and was executed and billed once")


if __name__ == "__main__":
    main()
