"""What the tests of recipes need: an emulator, and this folder's modules in every process."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_batch.core import ChatRequest
from ai_batch.emulator import Emulator, Timing

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

FRAMEWORKS = {
    "test_on_airflow.py": "airflow",
    "test_on_dask.py": "distributed",
    "test_on_prefect.py": "prefect",
    "test_on_spark.py": "pyspark",
    "test_on_temporal.py": "temporalio",
}

# They are only in the environment `recipes`; there nothing may be left out.
if "AI_BATCH_RECIPES" not in os.environ:
    collect_ignore = [
        test for test, name in FRAMEWORKS.items() if importlib.util.find_spec(name) is None
    ]


@pytest.fixture
def emulator(
    make_emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Emulator:
    """An emulator that all processes of the test ask, with batches of a second."""
    emulator = make_emulator(timing=Timing(in_progress=1.0))
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AI_BATCH_HOME", str(tmp_path / "home"))
    paths = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [paths])]))
    return emulator


@pytest.fixture
def requests(tmp_path: Path) -> str:
    """A JSONL file of three requests."""
    path = tmp_path / "requests.jsonl"
    lines = [ChatRequest(id=f"q{n}", messages=f"question {n}") for n in range(3)]
    path.write_text("".join(f"{line.model_dump_json(exclude_none=True)}\n" for line in lines))
    return str(path)


@pytest.fixture
def answers() -> Callable[[Path], list[str]]:
    """Read the answers of a JSONL file of results."""

    def read(path: Path) -> list[str]:
        found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [row["content"] for row in found]

    return read
