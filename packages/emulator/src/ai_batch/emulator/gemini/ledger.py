"""The batches that the Developer API knows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ai_batch.emulator.gemini.errors import GoogleError, exhausted
from ai_batch.emulator.gemini.lifecycle import LIVE, state_at
from ai_batch.emulator.gemini.records import GeminiBatch
from ai_batch.emulator.record_book import RecordBook
from ai_batch.emulator.world import World


class GeminiLedger:
    """Finds and changes batches. Changes are made under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.book = RecordBook(world.store, "gemini.batch", GeminiBatch)
        self.progress: dict[str, int] = {}

    def load(self) -> None:
        """Read all records from the store."""
        self.book.load()
        self.progress.clear()

    def get(self, batch_id: str) -> GeminiBatch:
        """Return a batch, or raise the vendor's 404."""
        batch = self.book.find(batch_id)
        if batch is None:
            raise GoogleError("Requested entity was not found.", status=404)
        return batch

    def held(self, batch_id: str) -> Path:
        """Return where the input of a batch lies until it has run."""
        return self._world.store.contents / f"{batch_id}.input"

    def remove(self, batch_id: str) -> None:
        """Forget a batch; what it has still to do is not done."""
        self.book.remove(batch_id)
        self.progress.pop(batch_id, None)
        self.held(batch_id).unlink(missing_ok=True)

    def limit(self, model: str, tokens: int) -> None:
        """Raise the 429 for one batch more than the quota allows."""
        limits = self._world.options.gemini_limits
        active = self._active()
        most = limits.concurrent_batches
        if most is not None and len(active) >= most:
            raise exhausted()
        most_tokens = limits.enqueued_tokens_of(model)
        if most_tokens is None:
            return
        waiting = sum(batch.tokens for batch in active if batch.model == model)
        if waiting + tokens > most_tokens:
            raise exhausted()

    def _active(self) -> list[GeminiBatch]:
        now = self._world.clock.now()
        return [batch for batch in self.book.oldest_first() if state_at(batch, now) in LIVE]

    def counts_by_status(self) -> Counter[str]:
        """Return how many batches are in each state, in small letters."""
        now = self._world.clock.now()
        return Counter(state_at(batch, now).lower() for batch in self.book.oldest_first())
