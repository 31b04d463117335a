"""A user's script in processes of their own, as they run on many machines."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_batch.core import ChatRequest
from ai_batch.core.provider import Limits
from ai_batch.emulator import Emulator, item_key
from ai_batch.emulator.contract.fast_clock import FastClock
from ai_batch.openai import OpenAIProcessor
from ai_batch.postgres import PostgresLedger

__all__ = ["LEASE", "MOST", "Company"]

MODEL = "gpt-4o-mini"
MOST = 3
SPEED = 30.0
LEASE = 120.0 / SPEED
"""Real seconds that a lease lasts on a clock of this speed."""


def questions(count: int) -> list[ChatRequest]:
    """Different requests: the emulator's answer to each is its own words."""
    return [ChatRequest(id=f"q{n}", messages=f"question {n}") for n in range(count)]


def script(given: dict[str, Any]) -> None:
    """What a user writes: ask, and print each result."""
    # It takes seconds, and more on a busy machine: longer than a lease of this clock.
    importlib.import_module("openai")
    # Of one speed and one beginning on all machines, as the server's clock is.
    fast = FastClock(SPEED, given["epoch"])
    ledger = PostgresLedger(given["ledger"], schema=given["schema"], clock=fast.now)
    with OpenAIProcessor(
        model=MODEL,
        api_key="sk-lab-key",
        base_url=given["url"],
        ledger=ledger,
        home=given["home"],
        limits=Limits(max_requests=3, max_bytes=1_000_000),
        max_batches_in_flight=MOST,
        poll_interval=0.05 * SPEED,
        settle_wait=0.5 * SPEED,
        # On a busy machine one may ask for the first time when the others have read all results.
        reuse=True,
        runtime=fast.runtime(),
    ) as processor:
        for result in processor.process(questions(given["count"])):
            sys.stdout.write(json.dumps([result.id, result.chat and result.chat.content]) + "\n")


@dataclass
class Company:
    """Processes that share a ledger and a home, and ask the same."""

    emulator: Emulator
    ledger: str
    schema: str
    folder: Path
    count: int
    epoch: float = field(default_factory=time.time)
    running: list[subprocess.Popen[str]] = field(default_factory=list[Any])

    def start(self) -> subprocess.Popen[str]:
        """One more process."""
        given = {
            "url": self.emulator.openai_url,
            "ledger": self.ledger,
            "schema": self.schema,
            "home": str(self.folder / "home"),
            "count": self.count,
            "epoch": self.epoch,
        }
        number = len(self.running)
        with (self.folder / f"errors-{number}").open("w") as errors:
            path = os.pathsep.join(entry for entry in sys.path if entry)
            started = subprocess.Popen(
                [sys.executable, __file__, json.dumps(given)],
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.running.append(started)
        return started

    def errors(self) -> str:
        """What all processes have complained of."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("errors-*")))

    def results(self, process: subprocess.Popen[str]) -> list[list[str]]:
        """What a process printed until it ended well."""
        printed, _ = process.communicate(timeout=180)
        assert process.returncode == 0, self.errors()
        return [json.loads(line) for line in printed.splitlines()]

    def results_in_the_end(self, process: subprocess.Popen[str]) -> list[list[str]]:
        """Also of one that the database left while it planned or read: it is run again."""
        if process.wait(timeout=180) == 0:
            return self.results(process)
        errors = self.folder / f"errors-{self.running.index(process)}"
        assert "errors.LedgerUnavailable: " in errors.read_text(), errors.read_text()
        return self.results(self.start())

    def expected(self) -> list[list[str]]:
        """What each process has to print."""
        return [[f"q{n}", f"question {n}"] for n in range(self.count)]

    def check_books(self) -> None:
        """Each request was executed and billed once, as the vendor counts."""
        stats = self.emulator.stats
        assert stats.billed_twice() == [], self.errors()
        assert stats.items_billed == self.count
        for request in questions(self.count):
            messages = [{"role": "user", "content": request.messages[-1].text}]
            body: Any = {"model": MODEL, "messages": messages}
            assert stats.executions[item_key("/v1/chat/completions", body)] == 1
        # What one was uploading when it lost its lease belongs to nobody, and costs nothing.
        assert stats.files_live <= MOST

    def close(self) -> None:
        """End what still runs."""
        for process in self.running:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


if __name__ == "__main__":
    script(json.loads(sys.argv[1]))
