"""Results are read from the shards that hold them for good, and from no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from packages.core.tests.bench import Bench

from ai_batch.core import LedgerError, NativeProcessor
from ai_batch.core.testing import FakeVendor, Fate


def test_a_request_that_is_being_asked_again_has_no_result_yet(tmp_path: Path) -> None:
    """The row of its first attempt is on disk, and is not the one that counts."""
    fates = iter([Fate(seconds=10.0, executed=0.5), Fate(seconds=500.0)])
    bench = Bench(tmp_path, FakeVendor(fate=lambda _: next(fates)))

    async def script(processor: NativeProcessor) -> tuple[list[bool], list[bool]]:
        job = await processor.asubmit(["a", "b"])
        await asyncio.sleep(200)
        reader = job._context.reader()
        before = [result.ok for result in reader.read(0, 1)]
        with pytest.raises(LedgerError, match=r"'req_1' .* no result yet"):
            next(reader.read(1))
        await job.ajoin()
        return before, [result.ok for result in reader.read()]

    assert bench.run(script) == ([True], [True, True])
