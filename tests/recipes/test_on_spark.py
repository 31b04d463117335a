"""Spark on this machine, with its executors' Python in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from examples.recipes import on_spark, steps
from pyspark.sql import SparkSession

from ai_batch.emulator import Emulator


@pytest.fixture
def spark(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[SparkSession]:
    """A session with two threads."""
    del emulator
    monkeypatch.setattr(on_spark, "ROWS", 10)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    )
    yield session
    session.stop()


def test_rows_are_asked_once_and_read_by_executors(spark: SparkSession, emulator: Emulator) -> None:
    """However they are partitioned: another order of the rows is the same job."""
    rows = [(f"r{number:03}", f"text {number}") for number in range(45)]
    job = on_spark.plan(spark.createDataFrame(rows, ["id", "prompt"]).repartition(7))
    again = on_spark.plan(spark.createDataFrame(rows[::-1], ["id", "prompt"]).repartition(3))
    assert again == job
    steps.work(job)

    found = on_spark.answers(spark, job).orderBy("id").collect()

    assert [(row.id, row.answer, row.error) for row in found] == [(*row, None) for row in rows]
    assert (emulator.stats.batches_created, emulator.stats.items_billed) == (1, 45)
