"""Dask, with workers in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dask.distributed import Client, LocalCluster
from examples.recipes import on_dask, steps

from ai_batch.core import AuthenticationFailed
from ai_batch.emulator import Emulator, Fault

PARTS = [
    [{"id": f"{part}.{row}", "messages": f"text {part}.{row}"} for row in range(5)]
    for part in range(3)
]


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    """A cluster of two processes on this machine."""
    del emulator
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_parts_are_answered(client: Client, emulator: Emulator) -> None:
    """Each part is a job; the same again sends nothing."""
    for _ in range(2):
        found = on_dask.answers_of(client, PARTS)
        assert [[row["answer"] for row in part] for part in found] == [
            [row["messages"] for row in part] for part in PARTS
        ]

    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (3, 15)


def test_an_error_comes_back_whole(client: Client, emulator: Emulator) -> None:
    """A wrong key is told where the task was submitted, and is not in the message."""
    job = steps.plan(["one"])
    emulator.inject(Fault(status=401))

    with pytest.raises(AuthenticationFailed):
        client.submit(steps.work, job, retries=0).result()
