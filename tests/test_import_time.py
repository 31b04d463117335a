"""Importing a package is quick: it brings none of the libraries that take seconds."""

import subprocess
import sys

import pytest

HEAVY = [
    *("anthropic", "genai_prices", "httpx2", "numpy", "openai", "pyarrow", "ray"),
    *("starlette", "uvicorn"),
]


@pytest.mark.parametrize(
    "module",
    [
        "ai_batch.core",
        "ai_batch.openai",
        "ai_batch.ray.pipeline",
        "ai_batch.emulator.pytest_plugin",
    ],
)
def test_importing_brings_no_slow_library(module: str) -> None:
    """What only a call needs is not there after the import; nothing is timed, only looked at."""
    probe = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", probe], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
