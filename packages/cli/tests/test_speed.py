"""A command that only looks is quick: it imports little, however many jobs there are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ai_batch.core import JobRecord
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.ledger import Ledger

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell

PROBE = """
import sys
sys.argv = ["ai-batch", *{arguments!r}]
from ai_batch.cli.app import main
try:
    main()
except SystemExit:
    pass
print("loaded:", *sorted({heavy!r} & sys.modules.keys()))
"""
SDKS = {"anthropic", "google.genai", "httpx2", "openai"}


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"pydantic", "rich", "sqlite3", "asyncio", "ai_batch.core", *SDKS}),
        (["run", "--help"], {"pydantic", "rich", "sqlite3", "asyncio", "ai_batch.core", *SDKS}),
        (["jobs"], {"rich", "asyncio", "ai_batch.openai", *SDKS}),
    ],
    ids=["help", "run-help", "jobs"],
)
def test_only_what_is_needed_is_imported(
    shell: Shell, arguments: list[str], heavy: set[str]
) -> None:
    """Help and the list of jobs load no SDK and nothing that draws; nothing is timed."""
    probe = PROBE.format(arguments=arguments, heavy=heavy)

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", probe],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_a_thousand_jobs_are_listed_in_pages(shell: Shell) -> None:
    """Of a thousand jobs the newest twenty are shown, and all where all are wanted."""
    home = shell.folder.parent / "home"
    home.mkdir()
    ledger = Ledger(SQLiteDatabase(home / "ledger.db"))
    for number in range(1000):
        record = JobRecord(
            id=f"job_20260101-000000-{number:08x}",
            fingerprint=str(number),
            provider="openai",
            folder=f"jobs/{number}",
            created_at=float(number),
        )
        ledger.add_job(record, [])
    ledger.close()

    page = shell("jobs").out.splitlines()
    everything = shell("jobs", "-n", "0", "--json").json

    assert len(page) == 22
    assert page[1].startswith("job_20260101-000000-000003e7")
    assert page[-1] == "... and 980 older: -n 0 lists all"
    assert len(everything) == 1000
