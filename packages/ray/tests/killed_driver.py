"""Plans a job on a running cluster, and is killed as soon as the first part is planned."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import ray
import ray.data

from ai_batch.ray import BatchAPIProcessorConfig, cluster, plan


def main(address: str, fields: str, count: int) -> None:
    """Plan so many rows under the config that the fields give."""
    library: Any = ray
    library.init(address=address, log_to_driver=False)
    run = cluster.run_tasks

    def killed(*calls: Any, **options: Any) -> Iterator[Any]:
        yield next(iter(run(*calls, **options)))
        os.kill(os.getpid(), signal.SIGKILL)

    cluster.run_tasks = killed
    data: Any = ray.data
    rows = data.from_items([{"id": f"q{n}", "messages": f"question {n}"} for n in range(count)])
    plan(rows, BatchAPIProcessorConfig(**json.loads(fields)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
