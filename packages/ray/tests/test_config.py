"""What a config takes, and what it refuses: it is sent to other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import UsageError
from ai_batch.ray import BatchAPIProcessorConfig

SECRET = "sk-canary-0123456789abcdef"


def made(**given: Any) -> BatchAPIProcessorConfig:
    """A config with what is given."""
    fields: dict[str, Any] = {"provider": "openai", "model": "gpt-4o-mini", "job": "reviews"}
    return BatchAPIProcessorConfig(**{**fields, **given})


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": SECRET},
        {"options": {"api_key": "short"}},
        {"options": {"client": None}},
        {"options": {"extra_headers": {"X-Api-Key": "abc"}}},
        {"options": {"extra_headers": {"Authorization": "Basic abc"}}},
        {"options": {"extra_headers": {"X-Trace": f"Bearer {SECRET}"}}},
        {"options": {"base_url": f"https://example.org/v1?key={SECRET}"}},
        {"options": {"base_url": "https://me:pass@example.org/v1"}},
        {"options": {"betas": ["fine", SECRET]}},
    ],
)
def test_a_key_is_refused(given: dict[str, Any]) -> None:
    """Wherever a key is given, the error says where keys belong, and does not repeat it."""
    with pytest.raises(UsageError, match="from their own environment") as caught:
        made(**given)

    assert SECRET not in f"{caught.value!r}{caught.value}{caught.value.__cause__}"


def test_options_that_are_no_keys_are_taken() -> None:
    """Addresses, headers and limits without a secret go to the machines as they are."""
    options = {
        "base_url": "https://example.org/v1",
        "extra_headers": {"OpenAI-Organization": "org-1"},
        "max_tokens": 100,
        "token_parameter": "max_tokens",
    }

    assert made(options=options).options == options


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"job": "../x"}, "job: must be letters"),
        ({"job": "a/b"}, "job: must be letters"),
        ({"job": ""}, "job: must be letters"),
        ({"batch_size": 0}, "batch_size: .* greater than or equal to 1"),
        ({"concurrency": 0}, "concurrency: must be a positive number"),
        ({"concurrency": (3, 2)}, "concurrency: must be a positive number"),
        ({"limits": {"max_batches": 3}}, r"limits\.max_batches: "),
        ({"jobs": "x"}, "jobs: "),
        ({"options": {"model": "x"}}, r"options\['model'\] is a field of the config's own"),
        ({"options": {"when": object()}}, r"options\.when"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], words: str) -> None:
    """A bad value is named, before any machine sees it."""
    with pytest.raises(UsageError, match=words):
        made(**given)


def test_the_password_of_a_ledger_is_not_shown() -> None:
    """An address may hold one; what is logged of a config does not."""
    config = made(ledger="postgresql://me:hunter2hunter2@db/jobs", home=Path("/shared"))

    assert "hunter2" not in repr(config)
    assert config.shares_ledger
    assert config.home_path == Path("/shared")


def test_other_machines_find_the_home_and_the_ledger_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says here is said to them, and paths do not depend on a folder."""
    monkeypatch.setenv("AI_BATCH_HOME", str(tmp_path))
    monkeypatch.setenv("AI_BATCH_LEDGER", "postgresql://db/jobs")
    assert made().settled().home == str(tmp_path)
    assert made().settled().ledger == "postgresql://db/jobs"

    monkeypatch.delenv("AI_BATCH_LEDGER")
    assert made().settled().ledger is None
    assert made(ledger="jobs.db").settled().ledger == str(Path.cwd() / "jobs.db")


def test_concurrency_may_be_a_range() -> None:
    """As in ray.data.llm; what counts is how many tasks there are at most."""
    assert [made(concurrency=given).tasks for given in (None, 3, (1, 4))] == [None, 3, 4]
