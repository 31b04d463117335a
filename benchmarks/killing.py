"""Kills a contestant at some moment and starts it again: what is lost, what is paid for twice?"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from ai_batch.emulator import Fault, Timing
from ai_batch.emulator.options import OptionArguments
from ai_batch.emulator.remote import SpawnedEmulator
from benchmarks.check import judge, read
from benchmarks.environments import Contestant
from benchmarks.runner import Place, Run, Work, server, wait

Moment = Literal["in create", "in progress", "half"]
"""In a create call whose batch the vendor has made but not yet told of; a second after that answer,
while the batch runs; when half of the live calls have been executed."""

BATCH_TAKES = 10.0
CALL_TAKES = 0.2
PATIENCE = 120.0
LATER = 1.0


def kill_and_go_on(contestant: Contestant, work: Work, source: Path, moment: Moment) -> Run:
    """Kill a contestant with SIGKILL, start the same again, and count what was billed."""
    run = Run(contestant.name, {**asdict(work), "moment": moment})
    with tempfile.TemporaryDirectory(prefix="ai-batch-bench-") as name:
        place = Place(Path(name))
        place.source.symlink_to(source)
        with server(work, **_options(moment)) as emulator:
            if moment == "in create":
                emulator.inject(Fault(route="batches.create", nth=1, hang="after"))
            if not _kill(contestant, work, place, emulator, moment):
                run.trouble = "the moment to kill it did not come"
                return run
            paid = emulator.stats.items_billed
            started = time.perf_counter()
            wait(contestant, work, place, emulator, run)
            run.figures["again_s"] = time.perf_counter() - started
            stats = emulator.stats
            run.figures["paid_before"] = paid
            run.figures["paid_twice"] = stats.items_billed - len(stats.billings)
            run.figures["batches"] = stats.batches_created
        if not run.trouble:
            run.verdict = judge(work.wanted(), read(place.target)).to_json()
    return run


def _options(moment: Moment) -> OptionArguments:
    if moment == "half":
        return {"track_items": True, "latency": CALL_TAKES}
    return {"track_items": True, "timing": Timing(in_progress=BATCH_TAKES)}


def _kill(
    contestant: Contestant, work: Work, place: Place, emulator: SpawnedEmulator, moment: Moment
) -> bool:
    """Kill it, and tell whether that was at the moment."""
    process = place.start(contestant, work, emulator.openai_url, subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline and process.poll() is None:
            stats = emulator.stats
            if moment == "half" and stats.items_executed * 2 >= work.requests:
                return True
            if moment != "half" and stats.batches_created:
                time.sleep(LATER)
                return process.poll() is None
            time.sleep(0.05)
        return False
    finally:
        process.kill()
        process.wait()
