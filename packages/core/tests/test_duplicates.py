"""Finding ids that occur twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_batch.core import duplicates
from ai_batch.core.duplicates import IdIndex

ids = st.lists(st.text(max_size=3), max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids, st.integers(1, 10))
def test_every_duplicate_is_suspected(tmp_path: Path, given_ids: list[str], spill: int) -> None:
    """Whether the hashes are in memory or on disk, no id that occurs twice is missed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "SPILL_AT", spill)
        index = IdIndex(tmp_path)
        for id in given_ids:
            index.add(id)
        suspects = set(index.suspects())

    twice = {id for id, times in Counter(given_ids).items() if times > 1}
    assert suspects == {hash(id) for id in twice}


def test_what_was_spilled_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's folder keeps nothing of the search."""
    monkeypatch.setattr(duplicates, "SPILL_AT", 2)
    index = IdIndex(tmp_path)
    for id in "abcabc":
        index.add(id)
    assert list(tmp_path.iterdir())

    assert set(index.suspects()) == {hash(id) for id in "abc"}
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_everything_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate needs no disk."""
    monkeypatch.setattr(duplicates, "SPILL_AT", 1)
    index = IdIndex(None)
    for id in "aba":
        index.add(id)

    assert list(index.suspects()) == [hash("a")]
