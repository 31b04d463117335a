"""Spark hands its rows to one plan, and reads the answers in parallel where it wants them."""

from collections.abc import Iterable, Iterator

import pandas
from pyspark.sql import DataFrame, SparkSession

from ai_batch.core import Result
from examples.recipes import steps

ROWS = 10_000
"""Answers that a task reads at once."""


def plan(rows: DataFrame, purpose: str = "") -> str:
    """The job of the rows' prompts, read once by the driver, in an order that stays the same."""
    ordered = rows.orderBy("id").toLocalIterator(prefetchPartitions=True)
    return steps.plan(({"id": row.id, "messages": row.prompt} for row in ordered), purpose)


def answers(spark: SparkSession, job_id: str) -> DataFrame:
    """The answers of a job that has ended, by the executors, which see its home."""
    with steps.processor() as looking:
        total = looking.attach(job_id).total

    def read(frames: Iterable[pandas.DataFrame]) -> Iterator[pandas.DataFrame]:
        with steps.processor() as reading:
            response = reading.attach(job_id).join()
            for frame in frames:
                for first in frame["id"]:
                    yield pandas.DataFrame(map(row_of, response[first : first + ROWS]))

    return spark.range(0, total, ROWS).mapInPandas(read, "id string, answer string, error string")


def row_of(result: Result) -> dict[str, str | None]:
    """A result as a row."""
    answer = result.chat.content if result.chat else None
    return {"id": result.id, "answer": answer, "error": result.error and str(result.error)}
