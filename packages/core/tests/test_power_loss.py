"""The power is cut: nothing is left of the disk but what was synced, or some of the rest."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from packages.core.tests.power import Disk, House

from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    ItemError,
    JobRecord,
    Ledger,
    LedgerError,
    Request,
    Result,
)
from ai_batch.core.spool import JobFolder, Spool
from ai_batch.core.state import Shard
from ai_batch.core.testing import FakeBatch, FakeVendor, Fate

FAILS = "never answered"

PARTS = 4
"""Of the points, for as many processes that test."""

REQUESTS: list[Request] = [
    ChatRequest(id="a", messages="one"),
    EmbeddingRequest(id="b", texts=["two"]),
    ChatRequest(id="c", messages=f"three, {FAILS}"),
    ChatRequest(id="d", messages="four"),
]


def answer(text: str, times: int) -> str | ItemError:
    """An error for one of them."""
    if FAILS in text:
        return ItemError(code="invalid", message="no")
    return f"answer to {text} #{times}"


def fate(batch: FakeBatch) -> Fate:
    """The first batch of chats expires when two thirds of it are done."""
    return Fate(executed=0.7 if len(batch.requests) == 3 else 1.0)


def contents(results: list[Result]) -> list[str | None]:
    """The answers' texts; what an embedding has, and an error's code."""
    return [
        "vector" if result.embedding else result.chat.content if result.chat else result.error.code  # type: ignore[union-attr]
        for result in results
    ]


ANSWERS = ["answer to one #1", "vector", "invalid", "answer to four #1"]


def nobody(*_: object) -> None:
    """Nobody is told that the results have been read: the next start finds the job."""


def live_through(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    cuts: list[int],
    chance: random.Random | None = None,
) -> list[str]:
    """Run the script, with a cut at each of these points; the points of the first run."""
    house = House(folder, FakeVendor(fate=fate, answer=answer))
    points: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("ai_batch.core.run.read_to_end", nobody)
        for cut in [*cuts, None]:
            patch.setattr(os, "fsync", house.sync)
            results = house.start(REQUESTS, cut, chance)
            points = points or house.machine.points
            if results is not None:
                assert contents(results) == ANSWERS, f"after cuts at {cuts}"
                assert set(house.vendor.executed.values()) == {1}, f"paid twice: cuts at {cuts}"
                break
    house.tables.close()
    return points


@pytest.mark.parametrize("part", range(PARTS))
def test_a_cut_at_any_point_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """Of the disk there is only what was synced; the same script then ends as without a cut."""
    points = live_through(tmp_path / "0", monkeypatch, [])
    assert {point.split()[-1] for point in points} >= {"file", "folder", "commit", "create"}

    for cut in range(1 + part, len(points) + 1, PARTS):
        live_through(tmp_path / str(cut), monkeypatch, [cut])


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_that_leaves_some_of_the_rest_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Any of the names and of the bytes that nobody had synced may be there: old, new or torn."""
    chance = random.Random(seed)
    points = live_through(tmp_path / "0", monkeypatch, [])

    for number in range(10):
        cuts = [chance.randint(1, len(points)) for _ in range(chance.choice([1, 1, 2, 3]))]
        live_through(tmp_path / f"{number + 1}", monkeypatch, cuts, chance)


def test_the_disk_forgets_what_was_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's own disk: a name without a synced folder is gone, and so are a file's bytes."""
    home = tmp_path / "home"
    home.mkdir()
    disk = Disk(home)
    monkeypatch.setattr(os, "fsync", disk.sync)
    folder = JobFolder(home)
    with folder.written(home / "whole") as file:
        file.write(b"kept")
    (home / "unsynced").write_bytes(b"lost")

    left = disk.after_the_cut(None)

    disk.close()
    assert left == {"whole": b"kept"}


def test_without_the_syncs_a_cut_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests are worth: a spool that syncs no folder loses what it was given."""

    def nothing(_path: Path) -> None:
        """Do not sync."""

    monkeypatch.setattr("ai_batch.core.spool._sync_folder", nothing)
    total = len(live_through(tmp_path / "0", monkeypatch, []))

    def cut_everywhere() -> None:
        for cut in range(1, total + 1):
            live_through(tmp_path / str(cut), monkeypatch, [cut])

    with pytest.raises(LedgerError, match=r"gone|damaged"):
        cut_everywhere()


def test_a_job_that_the_ledger_names_is_whole_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever only attaches to it brings no requests along."""
    house = House(tmp_path, FakeVendor(fate=fate, answer=answer))
    left: list[dict[str, bytes | None]] = []
    add = Ledger.add_job

    def noted(ledger: Ledger, job: JobRecord, shards: Iterable[Shard]) -> JobRecord:
        left.append(house.machine.disk.after_the_cut(None))
        return add(ledger, job, shards)

    monkeypatch.setattr(Ledger, "add_job", noted)
    monkeypatch.setattr(os, "fsync", house.sync)
    house.start(REQUESTS, None, None)

    house.tables.close()
    sizes = {Path(name).name: len(content) for name, content in left[0].items() if content}
    assert set(sizes) == {
        *("requests.jsonl", "requests.offsets"),
        *("0001.members", "0001.input.jsonl", "0002.input.jsonl"),
    }


def test_a_new_home_is_there_after_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all folders above it that were made for it."""
    disk = Disk(tmp_path)
    monkeypatch.setattr(os, "fsync", disk.sync)

    Spool(tmp_path / "state/ai-batch/home")

    left = disk.after_the_cut(None)
    disk.close()
    home = "state/ai-batch/home"
    assert list(left) == ["state", "state/ai-batch", home, f"{home}/jobs"]
