"""Answers requests slowly, and notes every call and every delivery in a file that survives it.

Usage: answer_slowly.py HOME NOTES COUNT
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from packages.concurrent.tests.conftest import text_of

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, ChatResponse, ItemEvent

CONCURRENCY = 20


def main() -> int:
    """Stream the whole job."""
    home, notes, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    file = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    async def chat(request: ChatRequest) -> ChatResponse:
        text = text_of(request)
        os.write(file, f"call {text}\n".encode())
        await asyncio.sleep(0.005 + int(text) % 7 * 0.005)
        return ChatResponse(content=f"answer to {text}")

    processor = ConcurrentProcessor(chat=chat, home=home, max_concurrency=CONCURRENCY)
    for event in processor.stream(ChatRequest(messages=str(n)) for n in range(count)):
        if isinstance(event, ItemEvent):
            assert event.result.chat is not None
            assert event.result.chat.content == f"answer to {event.result.index}"
            os.write(file, f"item {event.result.index}\n".encode())
    os.write(file, b"done\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
