"""What tests of other libraries' models need: an OpenAI that writes down what it is asked."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest

from ai_batch.core.messages import JSONObject
from ai_batch.emulator import Emulator

LIBRARIES = ("langchain_openai", "pydantic_ai")

# They are only in the environment `adapters`; there nothing may be left out.
if "AI_BATCH_ADAPTERS" not in os.environ and not all(map(importlib.util.find_spec, LIBRARIES)):
    collect_ignore_glob = ["test_*.py"]


class Recorder:
    """An emulated OpenAI; ``answer`` is what it gives, None for its usual echo."""

    def __init__(self) -> None:
        self.asked: list[JSONObject] = []
        self.answer: Any = None
        self.url = ""

    def __call__(self, endpoint: str, body: JSONObject) -> Any:
        """Write down, and answer."""
        del endpoint
        self.asked.append(body)
        return self.answer

    @property
    def last(self) -> JSONObject:
        """The body of the last request."""
        return self.asked[-1]


@pytest.fixture
def openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A running one."""
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)
    recorder = Recorder()
    with Emulator(answer=recorder) as emulator:
        recorder.url = emulator.openai_url
        yield recorder


def completion(**message: object) -> JSONObject:
    """An answer of OpenAI's, with all kinds of tokens."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "", **message},
        "finish_reason": "stop",
    }
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5-mini-2025",
        "choices": [choice],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 15},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }
