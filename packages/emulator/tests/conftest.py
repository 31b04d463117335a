"""An emulator with the bare OpenAI SDK before it, and the few steps that all tests repeat."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Batch, FileObject

from ai_batch.emulator import Emulator
from ai_batch.emulator.surface import Surface

CHAT = "/v1/chat/completions"
Line = dict[str, Any]


class Lab:
    """An emulator and a client without retries."""

    def __init__(self, emulator: Surface, api_key: str = "test") -> None:
        self.emulator = emulator
        self.client = OpenAI(base_url=emulator.openai_url, api_key=api_key, max_retries=0)

    def line(self, number: int, *, endpoint: str = CHAT, **body: Any) -> Line:
        """One request line."""
        full = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"say {number}"}]}
        if endpoint != CHAT:
            full.pop("messages")
        full |= body
        return {"custom_id": f"r{number}", "method": "POST", "url": endpoint, "body": full}

    def lines(self, count: int, **body: Any) -> list[Line]:
        """Several request lines."""
        return [self.line(number, **body) for number in range(count)]

    def upload(self, lines: Iterable[Line] | bytes) -> FileObject:
        """An input file."""
        if not isinstance(lines, bytes):
            lines = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return self.client.files.create(file=("input.jsonl", lines), purpose="batch")

    def submit(self, lines: Iterable[Line] | bytes, endpoint: str = CHAT, **options: Any) -> Batch:
        """A batch, just created."""
        return self.create(self.upload(lines).id, endpoint, **options)

    def create(self, file_id: str, endpoint: str = CHAT, **options: Any) -> Batch:
        """A batch of a file."""
        return self.client.batches.create(
            input_file_id=file_id,
            endpoint=endpoint,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            completion_window="24h",
            **options,
        )

    def get(self, batch: Batch) -> Batch:
        """The batch as it is now."""
        return self.client.batches.retrieve(batch.id)

    def ended(self, batch: Batch) -> Batch:
        """The batch when it has ended, without moving the clock."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            batch = self.get(batch)
            if batch.status in {"completed", "failed", "expired", "cancelled"}:
                return batch
        raise AssertionError(f"still {batch.status}")

    def run(self, lines: Iterable[Line] | bytes, endpoint: str = CHAT, **options: Any) -> Batch:
        """A batch that has ended."""
        return self.ended(self.submit(lines, endpoint, **options))

    def rows(self, file_id: str | None) -> list[Line]:
        """The rows of a result file."""
        assert file_id
        text = self.client.files.content(file_id).text
        return [json.loads(row) for row in text.splitlines()]

    def by_id(self, file_id: str | None) -> dict[str, Line]:
        """The rows of a result file, by custom id."""
        return {row["custom_id"]: row for row in self.rows(file_id)}


@pytest.fixture
def make_lab() -> Iterator[Callable[..., Lab]]:
    """Make a laboratory whose emulator has these options."""
    with ExitStack() as stack:

        def make(emulator: Surface | None = None, api_key: str = "test", **options: Any) -> Lab:
            if emulator is None:
                emulator = stack.enter_context(Emulator(**options))
            lab = Lab(emulator, api_key)
            stack.enter_context(lab.client)
            return lab

        yield make


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """A laboratory with an emulator as it comes."""
    return make_lab()
