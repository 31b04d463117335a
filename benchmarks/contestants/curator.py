"""Curator of Bespoke Labs: a subclass of `LLM` with `batch=True`, as in its documentation.

What failed is left out of its dataset, instead of raising at the end, with `require_all_responses`.
Its uploads have no name, and the benchmark's server takes only those of `.jsonl`: they get one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bespokelabs import curator
from openai.resources.files import AsyncFiles

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task


_create = AsyncFiles.create


async def _create_named(self: AsyncFiles, *, file: bytes, **options: Any) -> Any:
    return await _create(self, file=("in.jsonl", file), **options)


AsyncFiles.create = _create_named


class Asker(curator.LLM):
    """A prompt a row, an answer a row."""

    def prompt(self, row: dict[str, Any]) -> str:
        """What the model is asked."""
        return row["prompt"]

    def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
        """What is kept of its answer."""
        return {"id": row["id"], "answer": response}


def native(task: Task) -> list[Row]:
    """Batches, with a cache in the user's folder; running it again continues it."""
    asker = Asker(
        model_name="gpt-4o-mini",
        batch=True,
        backend="openai",
        backend_params={
            "base_url": task.url,
            "batch_check_interval": 1,
            "batch_size": 50_000,
            "require_all_responses": False,
        },
    )
    rows = [{"id": id, "prompt": prompt} for id, prompt in task.requests()]
    return [(row["id"], row["answer"], None) for row in asker(rows).dataset]
