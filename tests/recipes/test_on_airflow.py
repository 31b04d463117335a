"""The operator and the trigger, as Airflow's worker and triggerer run them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred
from examples.recipes import on_airflow

from ai_batch.emulator import Emulator, Fault

CONTEXT: Any = {"run_id": "manual__2026-01-01"}


@pytest.fixture
def operator(requests: str, tmp_path: Path) -> on_airflow.BatchOperator:
    """A task of a DAG."""
    with DAG("reviews", schedule=None):
        return on_airflow.BatchOperator(
            task_id="ask", requests=requests, results=str(tmp_path / "answers.jsonl")
        )


def deferred(operator: on_airflow.BatchOperator) -> TaskDeferred:
    """How the task gives its slot back."""
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(CONTEXT)
    return caught.value


async def fired(deferral: TaskDeferred) -> Any:
    """What the trigger says, made again from what Airflow keeps of it, as in the triggerer."""
    name, arguments = deferral.trigger.serialize()
    module, _, kind = name.rpartition(".")
    trigger = getattr(importlib.import_module(module), kind)(**arguments)
    return (await anext(trigger.run())).payload


@pytest.mark.anyio
async def test_a_task_answers_a_file(
    operator: on_airflow.BatchOperator,
    emulator: Emulator,
    tmp_path: Path,
    answers: Callable[[Path], list[str]],
) -> None:
    """A task that is tried twice, from its beginning, pays once."""
    for _ in range(2):
        deferral = deferred(operator)
        event = await fired(deferral)
        assert deferral.method_name == "collect"
        assert operator.collect(CONTEXT, event) == 3

    assert answers(tmp_path / "answers.jsonl") == [f"question {n}" for n in range(3)]
    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (1, 3)


@pytest.mark.anyio
async def test_only_the_id_travels(operator: on_airflow.BatchOperator, emulator: Emulator) -> None:
    """No key, request or answer gets into Airflow's database."""
    del emulator
    _, arguments = deferred(operator).trigger.serialize()

    assert list(arguments) == ["job_id"]


@pytest.mark.anyio
async def test_a_wrong_key_fails_the_task(
    operator: on_airflow.BatchOperator, emulator: Emulator
) -> None:
    """With the reason; Airflow's retry goes on with the same job."""
    emulator.inject(Fault(status=401))
    event = await fired(deferred(operator))

    with pytest.raises(RuntimeError, match=rf"{event['job_id']}: .*tried again"):
        operator.collect(CONTEXT, event)

    emulator.clear_faults()
    again = await fired(deferred(operator))
    assert again == {"job_id": event["job_id"], "error": None}
