"""Asks a server at a limited rate; what is asked is this process's own.

Usage: answer_paced.py HOME URL NAME COUNT LIMIT
"""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

from packages.concurrent.tests.conftest import text_of

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, ChatResponse


def main() -> int:
    """Take a whole job to its end."""
    home, url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    count, limit = int(sys.argv[4]), float(sys.argv[5])

    def chat(request: ChatRequest) -> ChatResponse:
        with urllib.request.urlopen(f"{url}/{text_of(request)}") as response:  # noqa: S310
            return ChatResponse(content=response.read().decode())

    processor = ConcurrentProcessor(chat=chat, home=home, requests_per_minute=limit)
    response = processor.process(ChatRequest(messages=f"{name}-{n}") for n in range(count))
    assert response.completed == count
    return 0


if __name__ == "__main__":
    sys.exit(main())
