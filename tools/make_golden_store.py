"""Makes a home with a job in each state, for the tests of later versions: tests/stores/<schema>/.

Each job is the work of a process that is killed where the job has come to that state. The vendor
is made up and in memory; what it holds is kept beside the home, so that a test can go on with it.

    python tools/make_golden_store.py tests/stores/schema-2
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    ItemError,
    NativeProcessor,
    Options,
    Request,
    VendorFault,
)
from ai_batch.core import engine as engine_module
from ai_batch.core.provider import RemoteState, Submission
from ai_batch.core.testing import (
    FakeBatch,
    FakeProvider,
    FakeVendor,
    Fate,
    VirtualLoop,
    virtual_runtime,
)

KILLS = {
    "reserved": ("upload", "before"),
    "intent": ("create", "before"),
    "created": ("create", "after"),
    "submitted": ("poll", "before"),
    "ended": ("fetch", "before"),
}
"""The call at which the process of a job is killed."""

STATES = ("planned", "uploaded", *KILLS, "collected", "failed", "cancelled")

FAILS = "never answered"


def requests_of(state: str) -> list[Request]:
    """Six requests on three routes, so that shards are no plain ranges."""
    return [
        ChatRequest(id=f"{state}-a", messages=f"{state} one", metadata={"row": "1"}),
        ChatRequest(id=f"{state}-b", messages=f"{state} two", model="other"),
        ChatRequest(id=f"{state}-c", messages=f"{state} three: {FAILS}"),
        ChatRequest(id=f"{state}-d", messages=f"{state} four", model="other"),
        EmbeddingRequest(id=f"{state}-e", texts=[f"{state} five"]),
        ChatRequest(id=f"{state}-f", messages=f"{state} six"),
    ]


def answer(text: str, times: int) -> str | ItemError:
    """An answer, or an error where the text asks for it."""
    if FAILS in text:
        return ItemError(code="invalid", message="no")
    return f"answer to {text} #{times}"


def fate(batch: FakeBatch) -> Fate:
    """The vendor refuses one job's first batch for its first line; batches of three expire."""
    wire_id, text = batch.requests[0]
    if text.startswith("failed one"):
        fault = VendorFault(f"line 1 ({wire_id}) is wrong", code="bad_line", line=1)
        return Fate(state=RemoteState.REFUSED, faults=(fault,))
    return Fate(executed=0.7 if len(batch.requests) == 3 else 1.0)


def dump_vendor(vendor: FakeVendor) -> dict[str, Any]:
    """All that the vendor holds, as JSON."""
    return {
        "serial": vendor._serial,  # noqa: SLF001
        "executed": dict(vendor.executed),
        "files": {id: [token, _text(data)] for id, (token, data) in vendor.files.items()},
        "batches": [
            {**asdict(batch), "rows": [_text(row) for row in batch.rows]}
            for batch in vendor.batches.values()
        ],
    }


def load_vendor(held: dict[str, Any]) -> FakeVendor:
    """The vendor as it was."""
    vendor = FakeVendor(fate=fate, answer=answer)
    vendor._serial = held["serial"]  # noqa: SLF001
    vendor.executed.update(held["executed"])
    vendor.files = {id: (token, _bytes(text)) for id, (token, text) in held["files"].items()}
    for fields in held["batches"]:
        known: dict[str, Any] = {
            **fields,
            "requests": [tuple(pair) for pair in fields["requests"]],
            "rows": [_bytes(row) for row in fields["rows"]],
            "fate": Fate(),
        }
        batch = FakeBatch(**known)
        batch.fate = fate(batch)
        vendor.batches[batch.remote_id] = batch
    return vendor


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


class Killed(FakeProvider):
    """A provider in whose calls the process ends."""

    place: tuple[str, str] | None = None
    mark_kills = False
    book: Path
    loop: VirtualLoop

    def end(self) -> None:
        """Keep what the vendor holds, and die."""
        keep(self.book, self.vendor, self.loop)
        os._exit(0)

    async def mark(self, submission: Submission) -> str | None:
        """Between the upload and the intent to create."""
        if self.mark_kills:
            self.end()
        return await super().mark(submission)


def keep(book: Path, vendor: FakeVendor, loop: VirtualLoop) -> None:
    """Write down what outlives the process."""
    held = {"elapsed": loop.time(), "vendor": dump_vendor(vendor)}
    book.write_text(json.dumps(held, indent=1), "ascii")


def same_owner() -> str:
    """No store may hold the name of the machine that it was made on."""
    return "golden:0:00"


async def live(processor: NativeProcessor, state: str) -> None:
    """What one job's process does, until it ends or is killed."""
    if state == "planned":
        await processor._jobs.aplanned(requests_of(state))  # noqa: SLF001
    elif state == "cancelled":
        job = await processor.asubmit(requests_of(state))
        await job.acancel()
    else:
        await processor.aprocess(requests_of(state))


def make(folder: Path, state: str) -> None:
    """Bring one job into its state, in this process."""
    book = folder / "vendor.json"
    held = json.loads(book.read_text("ascii")) if book.exists() else None
    loop = VirtualLoop(start=held["elapsed"] + 10.0 if held else 0.0)
    vendor = load_vendor(held["vendor"]) if held else FakeVendor(fate=fate, answer=answer)

    async def gate(call: str, moment: Literal["before", "after"]) -> None:
        if (call, moment) == KILLS.get(state):
            provider.end()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        provider = Killed(vendor, gate=gate)
        provider.book, provider.loop, provider.mark_kills = book, loop, state == "uploaded"
        options = Options(home=folder / "home", runtime=virtual_runtime(loop))
        with NativeProcessor(lambda: provider, options) as processor:
            runner.run(live(processor, state))
    keep(book, vendor, loop)
    os._exit(0)  # Nobody has read the results: they are not delivered.


def main(arguments: Sequence[str] | None = None) -> None:
    """One process for each state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--state", choices=STATES, help="only this one, in this process")
    given = parser.parse_args(arguments)
    if given.state:
        if hasattr(engine_module, "new_owner"):
            engine_module.new_owner = same_owner
        make(given.folder, given.state)
    given.folder.mkdir(parents=True)
    for state in STATES:
        command = [sys.executable, __file__, str(given.folder), "--state", state]
        subprocess.run(command, check=True)
    for journal in given.folder.glob("home/ledger.db-*"):
        journal.unlink()  # SQLite leaves an empty one.


if __name__ == "__main__":
    main()
