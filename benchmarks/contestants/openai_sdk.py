"""The openai SDK alone, written with care: what somebody writes who needs no library.

Batches: lines are written to a file and uploaded from it, results are streamed and put into the
order of the requests, the error file is read, too. Calls: as many workers as calls at once. Nothing
is kept for a second run.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai.resources.batches
import openai.resources.chat.completions
import openai.resources.embeddings
import openai.resources.files
from openai import AsyncOpenAI, OpenAI

if TYPE_CHECKING:
    from benchmarks.launch import Answer, Row, Task

IMPORTED = (openai,)
MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
TEXTS_A_CALL = 96

Body = Callable[[str], dict[str, Any]]


def _chat(prompt: str) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}


def _embedding(text: str) -> dict[str, Any]:
    return {"model": "text-embedding-3-small", "input": text, "encoding_format": "base64"}


def _files(task: Task, endpoint: str, body: Body) -> Iterator[tuple[Path, list[str]]]:
    """Files of as many requests as a batch may hold, and the ids in them."""
    rows = task.requests()
    with tempfile.TemporaryDirectory() as folder:
        row = next(rows, None)
        for number in itertools.count():
            if row is None:
                return
            path, ids, size = Path(folder) / f"{number}.jsonl", [], 0
            with path.open("w", encoding="utf-8") as file:
                while row is not None and len(ids) < MOST_REQUESTS:
                    id, prompt = row
                    line = {"custom_id": id, "method": "POST", "url": endpoint}
                    text = json.dumps({**line, "body": body(prompt)}) + "\n"
                    if size + len(text) > MOST_BYTES:
                        break
                    size += file.write(text)
                    ids.append(id)
                    row = next(rows, None)
            yield path, ids


def _rows(client: OpenAI, file_id: str | None) -> Iterator[dict[str, Any]]:
    if file_id is not None:
        with client.files.with_streaming_response.content(file_id) as response:
            for line in response.iter_lines():
                yield json.loads(line)


def _batches(
    task: Task, endpoint: Any, body: Body, read: Callable[[dict[str, Any]], Answer]
) -> Iterator[Row]:
    with OpenAI(base_url=task.url, api_key="test") as client:
        sent = []
        for path, ids in _files(task, endpoint, body):
            with path.open("rb") as file:
                uploaded = client.files.create(file=file, purpose="batch")
            path.unlink()
            batch = client.batches.create(
                input_file_id=uploaded.id, endpoint=endpoint, completion_window="24h"
            )
            sent.append((batch.id, ids))
        for batch_id, ids in sent:
            while (batch := client.batches.retrieve(batch_id)).status != "completed":
                if batch.status in {"failed", "expired", "cancelled"}:
                    raise RuntimeError(batch.status)
                time.sleep(1)
            found: dict[str, Row] = {}
            for row in _rows(client, batch.output_file_id):
                found[row["custom_id"]] = row["custom_id"], read(row["response"]["body"]), None
            for row in _rows(client, batch.error_file_id):
                found[row["custom_id"]] = row["custom_id"], None, json.dumps(row["response"])
            yield from (found[id] for id in ids)


def native(task: Task) -> Iterator[Row]:
    """Batches of chat requests."""

    def read(body: dict[str, Any]) -> Answer:
        return body["choices"][0]["message"]["content"]

    return _batches(task, "/v1/chat/completions", _chat, read)


def native_embeddings(task: Task) -> Iterator[Row]:
    """Batches of texts, whose vectors come as base64."""

    def read(body: dict[str, Any]) -> Answer:
        return task.brief(array("f", base64.b64decode(body["data"][0]["embedding"])))

    return _batches(task, "/v1/embeddings", _embedding, read)


def client_of(task: Task) -> AsyncOpenAI:
    """The SDK's own client, with the transport that it has by default."""
    return AsyncOpenAI(base_url=task.url, api_key="test")


def concurrent(task: Task, make: Callable[[Task], AsyncOpenAI] = client_of) -> list[Row]:
    """Live calls: workers that take the next prompt when they are done with one."""

    async def run() -> list[Row]:
        rows = task.requests()
        found: dict[str, Row] = {}
        async with make(task) as client:

            async def work() -> None:
                for id, prompt in rows:
                    found[id] = id, None, None  # Keeps the order of the prompts.
                    try:
                        done = await client.chat.completions.create(
                            model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}]
                        )
                    except openai.APIError as error:
                        found[id] = id, None, str(error)
                    else:
                        found[id] = id, done.choices[0].message.content, None

            await asyncio.gather(*(work() for _ in range(task.at_once)))
        return list(found.values())

    return asyncio.run(run())


def embeddings(task: Task, make: Callable[[Task], AsyncOpenAI] = client_of) -> list[Row]:
    """Live calls of many texts each."""

    async def run() -> list[Row]:
        rows = task.requests()
        found: list[list[Row]] = []
        async with make(task) as client:

            async def work() -> None:
                while group := list(itertools.islice(rows, TEXTS_A_CALL)):
                    found.append(answers := [])
                    done = await client.embeddings.create(
                        model="text-embedding-3-small", input=[text for _, text in group]
                    )
                    for (id, _), one in zip(group, done.data, strict=True):
                        answers.append((id, task.brief(one.embedding), None))

            await asyncio.gather(*(work() for _ in range(task.at_once)))
        return list(itertools.chain.from_iterable(found))

    return asyncio.run(run())
