"""A server that sends without end, or more than it seems, fills neither memory nor the disk."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import ProviderError, RequestRefused, guards, rows, transfers
from ai_batch.core.rows import rows_between, split_rows
from ai_batch.core.transfers import LONGEST_ROW, longest, private_file
from ai_batch.emulator import Fault
from tests.conftest import Lab
from tests.security import callers
from tests.security.callers import LIVE, READS, run
from tests.security.servers import Handler, serving

MEBIBYTE = 1 << 20

OVER_AIOHTTP = {"gemini chat", "gemini embed", "vertex chat", "voyage embed"}
"""Google's and Voyage's SDKs read by themselves what comes over aiohttp."""

BOUNDED = [*READS, *(name for name in LIVE if name not in OVER_AIOHTTP)]


def endless(handler: Handler) -> None:
    """Send zeros until the client hangs up."""
    handler.stream(iter(lambda: bytes(MEBIBYTE), None))


def bomb(handler: Handler) -> None:
    """Send zeros, a thousand of them in a byte, until the client hangs up."""
    pack = zlib.compressobj(wbits=31).compress
    pieces = iter(lambda: pack(bytes(MEBIBYTE)), None)
    handler.stream(pieces, **{"Content-Encoding": "gzip"})


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """The most bytes that Python has held since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("answer", [endless, bomb])
@pytest.mark.parametrize("name", BOUNDED)
def test_an_answer_without_end_is_given_up(
    name: str, answer: Callable[[Handler], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error of the call, as soon as it is longer than any answer."""
    monkeypatch.setattr(guards, "MAX_ANSWER", 4 * MEBIBYTE)
    with serving(answer) as server, pytest.raises(ProviderError, match="longer than 4 MiB"):
        run(name, server.url, tmp_path / "file")
    assert len(server.asked) == 1


MAKERS: dict[str, Callable[[str], Any]] = {
    "openai": callers._openai,
    "anthropic": callers._anthropic,
    "gemini": callers._gemini,
}


def download(vendor: str, url: str, to: Path, most: int) -> None:
    """Download results that are ``most`` bytes long at the most."""

    async def main() -> None:
        api = MAKERS[vendor](url)
        try:
            await _awaited(api.download("files/x", to, most))
        finally:
            await api.aclose()

    asyncio.run(main())


async def _awaited(call: Awaitable[None]) -> None:
    await call


@pytest.mark.parametrize("answer", [endless, bomb])
@pytest.mark.parametrize("vendor", MAKERS)
def test_a_download_ends(
    vendor: str, answer: Callable[[Handler], None], tmp_path: Path, memory: Callable[[], int]
) -> None:
    """What would be longer than any answers is refused; meanwhile memory stays flat."""
    path = tmp_path / "results.jsonl"
    most = 48 * MEBIBYTE
    with serving(answer) as server, pytest.raises(RequestRefused, match="longer than any answers"):
        download(vendor, server.url, path, most)
    assert path.stat().st_size <= most
    assert memory() < 32 * MEBIBYTE


def test_the_limit_grows_with_the_batch(tmp_path: Path) -> None:
    """No answer is as long as the longest line, and no file as all lines together."""
    assert longest(1) == 2 * LONGEST_ROW
    assert longest(1000) > 1000 * LONGEST_ROW
    with private_file(tmp_path / "f", 10) as file:
        assert file.write(b"12345") == file.write(b"67890") == 5
        with pytest.raises(RequestRefused):
            file.write(b"x")
    assert (tmp_path / "f").read_bytes() == b"1234567890"


def test_the_results_of_an_endless_download_are_lost_and_said_to_be(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends, with an error for each request of the batch, and goes on with the others."""
    monkeypatch.setattr(transfers, "LONGEST_ROW", 40)
    with lab.processor(max_attempts=1) as processor:
        response = processor.process(lab.questions(3))
    codes = {result.error.code for result in response if result.error is not None}
    assert (response.failed, codes) == (3, {"results_unavailable"})
    assert all("longer than any answers" in str(result.error) for result in response)


def test_a_long_line_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: Callable[[], int]
) -> None:
    """The lines around it are read, whatever its length; memory stays flat."""
    monkeypatch.setattr(rows, "MAX_ROW", MEBIBYTE)
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a":1}\n')
        for _ in range(200):
            file.write(b"x" * MEBIBYTE)
        file.write(b'\n{"a":2}\n')
    size = path.stat().st_size
    found = [row for _, row in split_rows(path) if len(row) < MEBIBYTE]
    assert [json.loads(row) for row in found] == [{"a": 1}, {"a": 2}]
    pieces = (len(row) for row in rows_between(path, 0, size))
    assert max(pieces) <= MEBIBYTE
    assert memory() < 8 * MEBIBYTE


def test_the_other_requests_of_a_batch_with_a_long_line_are_answered(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one whose line is too long has an error that can be acted on."""
    monkeypatch.setattr(rows, "MAX_ROW", MEBIBYTE)
    lab.emulator.inject(Fault(route="files.content", row="huge_row", persistent=True))
    with lab.processor(max_attempts=1) as processor:
        response = processor.process(lab.questions(4))
    assert (response.completed, response.failed) == (3, 1)
    (failed,) = (result.error for result in response if result.error is not None)
    assert failed.code in {"missing_row", "unreadable_row"}
