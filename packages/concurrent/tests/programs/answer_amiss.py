"""Answers requests with what does not fit, and notes every call in a file that survives it.

Usage: answer_amiss.py HOME NOTES COUNT
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from packages.concurrent.tests.conftest import text_of
from pydantic import BaseModel

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, ChatResponse, Usage

ATTEMPTS = 3


class Wanted(BaseModel):
    """What nobody gets."""

    number: int


def main() -> int:
    """Process the whole job."""
    home, notes, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    file = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    async def chat(request: ChatRequest) -> ChatResponse:
        os.write(file, f"call {text_of(request)}\n".encode())
        await asyncio.sleep(0.005 + int(text_of(request)) % 7 * 0.005)
        return ChatResponse(content="a word", usage=Usage(input_tokens=1))

    processor = ConcurrentProcessor(
        chat=chat, home=home, max_concurrency=20, max_attempts=ATTEMPTS, retry_invalid=True
    )
    requests = (ChatRequest(messages=str(n), output_type=Wanted) for n in range(count))
    response = processor.process(requests)
    assert all(result.attempts == ATTEMPTS and not result.ok for result in response)
    os.write(file, f"tokens {response.usage.input_tokens}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
