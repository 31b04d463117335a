"""The journal: what is on disk survives, whatever the last process was doing."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_batch.concurrent.journal import Journal
from ai_batch.concurrent.rows import discarded_id, encode_row, scan_row
from ai_batch.core import ChatResponse, ItemError, Usage
from ai_batch.core.provider import Route, Scan
from ai_batch.core.runtime import Runtime
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState

SHARD = Shard(
    job_id="job",
    seq=1,
    name="0001",
    state=ShardState.PLANNED,
    route=Route("chat", "live", "m"),
    account="a",
    token="tok",
    count=4,
    bytes=0,
    tokens=0,
    first_index=10,
    last_index=13,
)


def row(index: int, text: str = "x", token: str = "tok") -> bytes:
    """An answer of ours."""
    usage = Usage(input_tokens=2, output_tokens=3)
    return encode_row(f"{token}-{index}", ChatResponse(content=text, usage=usage), 1)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """An empty job's folder."""
    return JobFolder(tmp_path)


def opened(folder: JobFolder) -> Journal:
    """The shard's journal, as the next process opens it."""
    return Journal(folder, SHARD, Runtime())


def test_what_an_earlier_process_wrote_is_kept(folder: JobFolder) -> None:
    """Its counts too; a torn last row is not."""
    error = encode_row("tok-12", ItemError(code="e", message="m"), 5)
    path = folder.file("0001", "output.jsonl")
    path.write_bytes(row(10) + b"\n" + error + b"\n" + row(13)[:-9])

    journal = opened(folder)
    journal.close()

    assert bytes(journal.answered) == b"\x01\x00\x01\x00"
    assert (journal.tally.ok, journal.tally.failed) == (1, 1)
    assert journal.tally.usage == (2, 3, 0, 0, 0)
    assert path.read_bytes() == row(10) + b"\n" + error + b"\n"
    assert journal.durable == path.stat().st_size


def test_discarded_answers_are_kept_until_one_fits(folder: JobFolder) -> None:
    """The next process knows how often was asked, and what it took; nothing counts twice."""
    path = folder.file("0001", "output.jsonl")
    misfit = ItemError(code="invalid_output", message="m", raw="x")
    answer = ChatResponse(content="x", usage=Usage(input_tokens=2, output_tokens=3))
    discarded = encode_row(discarded_id("tok-11"), answer, 4, misfit=misfit)
    before = opened(folder)
    before.discard(1, discarded, Scan("tok-11", misfit, 2, 3), 4)
    before.close()

    journal = opened(folder)

    found = journal.discards(1)
    assert (found.count, found.attempts, found.error) == (1, 4, misfit)
    assert found.taken == Usage(input_tokens=2, output_tokens=3)
    assert (journal.tally.ok, journal.tally.failed, journal.answered[1]) == (0, 0, 0)
    assert journal.tally.usage == (2, 3, 0, 0, 0)
    whole = encode_row("tok-11", answer, 5, usage=found.taken + answer.usage)
    journal.append(1, whole, scan_row(whole))
    journal.close()
    assert journal.tally.usage == (4, 6, 0, 0, 0)
    later = opened(folder)
    later.close()
    assert later.tally.usage == (4, 6, 0, 0, 0)
    assert list(later.undecided()) == []
    assert path.read_bytes() == discarded + b"\n" + whole + b"\n"


def test_rows_that_are_not_its_own_are_left_aside(folder: JobFolder) -> None:
    """Of other shards, a second row for a request, and rubbish in between."""
    path = folder.file("0001", "output.jsonl")
    rows = [row(10, "first"), row(10, "second"), row(14), row(11, token="other"), b"rubbish"]
    path.write_bytes(b"\n".join(rows) + b"\n")

    opened(folder).close()

    assert path.read_bytes() == row(10, "first") + b"\n"


def test_a_paused_predecessor_writes_beside_the_point(folder: JobFolder) -> None:
    """The file that it still holds is not the one that counts any more."""
    path = folder.file("0001", "output.jsonl")
    before = opened(folder)
    after = opened(folder)
    before.append(0, row(10, "late"), scan_row(row(10)))
    before.close()
    after.append(1, row(11), scan_row(row(11)))
    after.close()

    assert path.read_bytes() == row(11) + b"\n"


def test_answers_are_durable_before_anybody_is_told(folder: JobFolder) -> None:
    """Many of them are written together."""
    path = folder.file("0001", "output.jsonl")
    seen: list[tuple[int, int]] = []

    async def script() -> None:
        journal = opened(folder)
        task = asyncio.create_task(
            journal.run(lambda: seen.append((journal.durable, path.stat().st_size)))
        )
        for position in range(3):
            journal.append(position, row(10 + position), scan_row(row(10 + position)))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])
        journal.close()

    asyncio.run(script())

    assert seen == [(3 * len(row(10)) + 3, 3 * len(row(10)) + 3)]


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files may grow to 1,000 bytes only, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_tears_no_row(folder: JobFolder) -> None:
    """What did not fit is written once there is room."""
    path = folder.file("0001", "output.jsonl")
    journal = opened(folder)
    journal.append(0, row(10, "a" * 700), scan_row(row(10)))

    with pytest.raises(OSError, match="too large"):
        journal.append(1, row(11, "b" * 700), scan_row(row(11)))
    assert path.read_bytes() == row(10, "a" * 700) + b"\n"

    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.close()
    assert path.read_bytes() == row(10, "a" * 700) + b"\n" + row(11, "b" * 700) + b"\n"
