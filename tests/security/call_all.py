"""A program that makes every call to a server, and prints how each ended.

Libraries read at their import which authorities to trust: hence a process of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ai_batch.core import AIBatchError
from tests.security.callers import CALLS, run


def main(url: str, folder: Path) -> None:
    """Make each call once."""
    ended: dict[str, str] = {}
    for name in CALLS:
        path = folder / "file.jsonl"
        path.write_text("{}\n")
        try:
            run(name, url, path)
        except AIBatchError as error:
            ended[name] = f"{type(error).__name__}: {error}"
        else:
            ended[name] = "answered"
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
