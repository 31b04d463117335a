"""The openai SDK with the transport of aiohttp, its own extra for many calls at once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from openai import AsyncOpenAI, DefaultAioHttpClient

if TYPE_CHECKING:
    from benchmarks.launch import Row, Task

_spec = importlib.util.spec_from_file_location("plain", Path(__file__).with_name("openai_sdk.py"))
plain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain)


def client_of(task: Task) -> AsyncOpenAI:
    """The SDK's client over aiohttp."""
    return AsyncOpenAI(base_url=task.url, api_key="test", http_client=DefaultAioHttpClient())


def concurrent(task: Task) -> list[Row]:
    """Live calls, as without aiohttp."""
    return plain.concurrent(task, client_of)


def embeddings(task: Task) -> list[Row]:
    """Live calls of many texts each, as without aiohttp."""
    return plain.embeddings(task, client_of)
