"""A provider whose process dies once, just after it has put a job on record."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ai_batch.core.intake import Requests
from ai_batch.core.job import Job
from ai_batch.openai import OpenAIProcessor


def die_once(marker: str) -> None:
    """Kill this process, unless one was killed already for the same marker."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class MortalProcessor(OpenAIProcessor):
    """Speaks to OpenAI; ``marker`` is a file that says that it has died already."""

    def __init__(self, *, marker: str, **options: Any) -> None:
        super().__init__(**options)
        self._marker = marker

    def plan(self, requests: Requests, *, salt: str = "") -> Job:
        job = super().plan(requests, salt=salt)
        die_once(self._marker)
        return job
