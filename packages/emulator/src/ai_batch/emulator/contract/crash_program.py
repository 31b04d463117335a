"""A user's script that can be killed at named points, started from a warm parent.

The parent has imported everything and forks a process per run, so that a run costs no imports. It
takes one JSON object per line: `{"wait": pid}` waits for the end of a run, any other starts one
and holds its options (see `Run`).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from ai_batch.core.prices import token_cost
from ai_batch.core.provider import Limits
from ai_batch.core.results import Usage
from ai_batch.emulator.contract.crash_points import Points, install
from ai_batch.emulator.contract.fast_clock import FastClock
from ai_batch.emulator.contract.subject import Subject
from ai_batch.emulator.remote import RemoteEmulator

PATIENCE = 60.0
HTTP = ("httpx2", "httpcore2", "anyio._backends._asyncio")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the script: what it asks, where, and the point at which it is killed.

    A create of unknown outcome is looked for during `settle` seconds of real time. Its clock runs
    `speed` times as fast as the real one, counted from `epoch`.
    """

    url: str
    home: str
    output: str
    log: str
    texts: list[str]
    shard: int
    epoch: float
    speed: float
    settle: float = 0.3
    kill: list[Any] | None = None
    signal_number: int = signal.SIGKILL


def script(subject: Subject, run: Run) -> None:
    """What a user writes: ask, and print each result."""
    processor = subject.make(
        RemoteEmulator(run.url),
        limits=Limits(max_requests=run.shard, max_bytes=1_000_000),
        home=run.home,
        poll_interval=0.05 * run.speed,
        settle_wait=run.settle * run.speed,
        runtime=FastClock(run.speed, run.epoch).runtime(),
    )
    requests = (subject.request(f"q{n}", text) for n, text in enumerate(run.texts))
    for result in processor.process(requests):
        line = {
            "id": result.id,
            "index": result.index,
            "content": None if result.chat is None else result.chat.content,
            "vectors": None if result.embedding is None else result.embedding.vectors,
            "error": None if result.error is None else result.error.message,
        }
        sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


# -- the parent ------------------------------------------------------------------------------


HUNG = 124
"""The exit code of a run that did not end, as that of `timeout`."""


def wait(pid: int) -> int:
    """The exit code of a run, or minus the signal that ended it; a hung one is killed."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return HUNG


def serve() -> Run | None:
    """Fork a process per order; in the new process, what it is to run."""
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = {"status": wait(order["wait"])}
        else:
            run = Run(**order)
            pid = os.fork()
            if pid == 0:
                return run
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return None


def redirect(path: str) -> None:
    """What is printed goes to a file, and the traceback of a failure beside it."""
    for descriptor, name in ((1, path), (2, f"{path}.err")):
        file = os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        os.dup2(file, descriptor)
        os.close(file)


def warm_up(place: str) -> Subject:
    """The subject, with all loaded that a first call needs; no thread may start before a fork."""
    module, _, name = place.partition(":")
    subject: Subject = getattr(importlib.import_module(module), name)
    for needed in (*HTTP, *subject.modules):
        importlib.import_module(needed)
    token_cost("openai", "gpt-4o-mini", Usage(input_tokens=1))
    with TemporaryDirectory() as home:
        # Plans and sends nothing: loads the wire formats, and builds pydantic's validators.
        subject.make(RemoteEmulator("http://127.0.0.1:9"), home=home).estimate(
            [subject.request("q0", "warm up")]
        )
    return subject


def main() -> None:
    """Serve until the input ends; in a forked process, run the script."""
    subject = warm_up(sys.argv[1])
    chosen = serve()
    if chosen is not None:
        redirect(chosen.output)
        kill = None if chosen.kill is None else (chosen.kill[0], chosen.kill[1])
        install(Points(chosen.log, kill, chosen.signal_number))
        script(subject, chosen)


if __name__ == "__main__":
    main()
