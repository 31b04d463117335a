"""The three steps of which every recipe is made; keys and places come from the environment."""

from collections.abc import Iterable, Iterator
from typing import Any

from ai_batch.core import Worker
from ai_batch.openai import OpenAIProcessor


def processor() -> OpenAIProcessor:
    """``reuse``: a task that is repeated finds its job also after somebody has read it."""
    return OpenAIProcessor(model="gpt-5-mini", reuse=True)


def plan(requests: Iterable[dict[str, Any] | str], purpose: str = "") -> str:
    """Put the job of these requests, or of a JSONL file, on record; its id. Nothing is sent."""
    with processor() as planning:
        return planning.plan(requests, salt=purpose).id


def work(*job_ids: str) -> None:
    """Bring jobs to their ends. Raises what has to be mended first; the jobs stay on record."""
    report = Worker(only=job_ids).run()
    for event in report.left.values():
        raise event.error or RuntimeError(event.message)


def collect(job_id: str) -> Iterator[dict[str, str | None]]:
    """The results in the order of the requests, from any machine."""
    with processor() as reading:
        for result in reading.attach(job_id).results():
            answer = result.chat.content if result.chat else None
            error = None if result.error is None else str(result.error)
            yield {"id": result.id, "answer": answer, "error": error}
