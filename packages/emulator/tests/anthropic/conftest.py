"""An emulator with the bare Anthropic SDK before it, and the few steps that all tests repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import httpx2
import pytest
from anthropic import Anthropic
from anthropic.types import Message
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse

from ai_batch.emulator import Emulator
from ai_batch.emulator.surface import Surface

MODEL = "claude-haiku-4-5"
OLD, NEW = "2023-06-01", "2026-10-21"
Item = dict[str, Any]


class AnthropicLab:
    """An emulator and a client without retries."""

    def __init__(self, emulator: Surface, api_key: str = "test") -> None:
        self.emulator = emulator
        self.client = Anthropic(base_url=emulator.anthropic_url, api_key=api_key, max_retries=0)
        self.http = httpx2.Client(
            base_url=emulator.anthropic_url,
            headers={"x-api-key": api_key, "anthropic-version": NEW},
        )

    def params(self, text: str, **changes: Any) -> Item:
        """A request; what is changed to None is left out."""
        said = [{"role": "user", "content": text}]
        full = {"model": MODEL, "max_tokens": 100, "messages": said, **changes}
        return {name: value for name, value in full.items() if value is not None}

    def item(self, number: int, **changes: Any) -> Item:
        """One item of a batch."""
        return {"custom_id": f"r{number}", "params": self.params(f"say {number}", **changes)}

    def items(self, count: int, **changes: Any) -> list[Item]:
        """Several items."""
        return [self.item(number, **changes) for number in range(count)]

    def submit(self, items: Iterable[Item], version: str = NEW, betas: str = "") -> MessageBatch:
        """A batch, just created."""
        headers = {"anthropic-version": version}
        if betas:
            headers["anthropic-beta"] = betas
        return self.client.messages.batches.create(
            requests=cast("Any", items), extra_headers=headers
        )

    def get(self, batch: MessageBatch) -> MessageBatch:
        """The batch as it is now."""
        return self.client.messages.batches.retrieve(batch.id)

    def ended(self, batch: MessageBatch) -> MessageBatch:
        """The batch when it has ended, without moving the clock."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            batch = self.get(batch)
            if batch.processing_status == "ended":
                return batch
        raise AssertionError(f"still {batch.processing_status}")

    def run(self, items: Iterable[Item], version: str = NEW, betas: str = "") -> MessageBatch:
        """A batch that has ended."""
        return self.ended(self.submit(items, version, betas))

    def results(self, batch: MessageBatch) -> list[MessageBatchIndividualResponse]:
        """The results, in their order."""
        return list(self.client.messages.batches.results(batch.id))

    def by_id(self, batch: MessageBatch) -> dict[str, MessageBatchIndividualResponse]:
        """The results by custom id."""
        return {row.custom_id: row for row in self.results(batch)}

    def raw(self, batch: MessageBatch) -> bytes:
        """The results as they come."""
        answer = self.http.get(f"/v1/messages/batches/{batch.id}/results")
        answer.raise_for_status()
        return answer.content

    def live(self, text: str, **changes: Any) -> Message:
        """The message that answers a request at once."""
        create = cast("Callable[..., Message]", self.client.messages.create)
        return create(**self.params(text, **changes))

    def error_of(self, version: str = NEW, betas: str = "", **changes: Any) -> tuple[str, str]:
        """Type and message of the only item's error."""
        (row,) = self.results(self.run([self.item(0, **changes)], version, betas))
        assert row.result.type == "errored", row
        error = row.result.error.error
        return error.type, error.message


@pytest.fixture
def make_lab() -> Iterator[Callable[..., AnthropicLab]]:
    """Make a laboratory whose emulator has these options."""
    with ExitStack() as stack:

        def make(
            emulator: Surface | None = None, api_key: str = "test", **options: Any
        ) -> AnthropicLab:
            if emulator is None:
                emulator = stack.enter_context(Emulator(**options))
            lab = AnthropicLab(emulator, api_key)
            stack.enter_context(lab.client)
            stack.enter_context(lab.http)
            return lab

        yield make


@pytest.fixture
def lab(make_lab: Callable[..., AnthropicLab]) -> AnthropicLab:
    """A laboratory with an emulator as it comes."""
    return make_lab()
