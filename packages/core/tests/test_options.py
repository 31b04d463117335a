"""Options and what is no option."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai_batch.core import Options, UsageError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_attempts": 0}, "max_attempts must be 1 or more, found 0"),
        ({"max_batches_in_flight": 0}, "max_batches_in_flight must be 1 or more, found 0"),
        ({"max_enqueued_tokens": -5}, "max_enqueued_tokens must be 1 or more, found -5"),
        ({"max_cost": -0.01}, "max_cost must not be negative, found -0.01"),
        ({"poll_interval": -1}, "poll_interval must not be negative, found -1"),
        ({"poll_interval": timedelta(seconds=-1)}, "poll_interval must not be negative"),
        ({"settle_wait": -1.0}, "settle_wait must not be negative, found -1.0"),
        ({"deadline": -1.0}, "deadline must not be negative, found -1.0"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(given: dict[str, Any], message: str) -> None:
    """With the option's name and the value, when the processor is made."""
    with pytest.raises(UsageError) as caught:
        Options(**given)

    assert message in str(caught.value)


def test_durations_are_seconds_or_timedeltas() -> None:
    """Both mean the same."""
    plain = Options(poll_interval=90, settle_wait=60).policy
    spelled = Options(poll_interval=timedelta(minutes=1.5), settle_wait=timedelta(minutes=1)).policy

    assert plain == spelled
    assert plain.poll_interval == 90.0


def test_a_deadline_is_a_time_or_a_while() -> None:
    """A while is counted from when the job is planned."""
    at = datetime(2030, 1, 1, tzinfo=UTC)

    assert Options(deadline=at).deadline_at(5.0) == at.timestamp()
    assert Options(deadline=timedelta(hours=1)).deadline_at(5.0) == 3605.0
    assert Options(deadline=10).deadline_at(5.0) == 15.0
    assert Options().deadline_at(5.0) is None


def test_home_is_given_or_in_the_environment_or_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In this order."""
    monkeypatch.setenv("AI_BATCH_HOME", str(tmp_path / "environment"))

    assert Options(home=tmp_path / "given").home_path == tmp_path / "given"
    assert Options().home_path == tmp_path / "environment"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Options(home="~/mine").home_path == tmp_path / "mine"
    monkeypatch.delenv("AI_BATCH_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert Options().home_path.is_relative_to(tmp_path)
