"""Opening a ledger by what an option, or the environment, names."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType

import pytest

from ai_batch.core import Ledger, Options, UsageError, ledgers
from ai_batch.core.database import SQLiteDatabase
from ai_batch.core.ledgers import open_ledger

URL = "postgresql://me:letmein-please@db.example:5432/jobs"


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world without any distribution that brings a ledger."""
    monkeypatch.setattr(ledgers, "_entries", lambda: EntryPoints([]))


def test_without_a_word_it_is_a_file_in_the_home(tmp_path: Path) -> None:
    """Where it always was."""
    open_ledger(None, tmp_path).close()

    assert (tmp_path / "ledger.db").exists()


def test_a_path_is_a_file_of_sqlite_by_the_given_clock(tmp_path: Path) -> None:
    """As text or as a path; the home's own file is not made."""
    for place in (tmp_path / "a.db", str(tmp_path / "b.db")):
        ledger = open_ledger(place, tmp_path, lambda: 7.0)

        assert (ledger.now(), Path(place).exists()) == (7.0, True)
        ledger.close()
    assert not (tmp_path / "ledger.db").exists()


def test_an_open_ledger_is_taken_as_it_is(tmp_path: Path) -> None:
    """Whoever opened it closes it."""
    ledger = open_ledger(None, tmp_path)

    assert open_ledger(ledger, tmp_path / "elsewhere") is ledger
    ledger.close()


def test_the_environment_names_it_where_the_program_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As AI_BATCH_HOME does for the home; what the program says counts more."""
    monkeypatch.setenv("AI_BATCH_LEDGER", str(tmp_path / "of-the-environment.db"))

    open_ledger(None, tmp_path).close()
    open_ledger(tmp_path / "given.db", tmp_path).close()

    found = sorted(path.name for path in tmp_path.glob("*.db"))
    assert found == ["given.db", "of-the-environment.db"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "POSTGRESQL"])
def test_an_address_without_its_package_names_the_pip_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Copy, paste, go on; the password is nowhere."""
    nothing_installed(monkeypatch)
    url = URL.replace("postgresql", scheme)

    with pytest.raises(UsageError, match="pip install ai-batch-postgres") as caught:
        open_ledger(url, tmp_path)

    assert "letmein-please" not in str(caught.value)


def test_an_address_of_another_kind_lists_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of that name is made."""
    nothing_installed(monkeypatch)

    with pytest.raises(UsageError, match="begins with one of postgres, postgresql") as caught:
        open_ledger("mysql://me:letmein-please@db/jobs", tmp_path)

    assert "letmein-please" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_installed_package_opens_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given the address as it is."""
    opened: list[str] = []

    def open_it(url: str) -> Ledger:
        opened.append(url)
        return Ledger(SQLiteDatabase(tmp_path / "behind-the-address.db"))

    module = ModuleType("brings_a_ledger")
    monkeypatch.setattr(module, "open_it", open_it, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = EntryPoints([EntryPoint("kept", "brings_a_ledger:open_it", ledgers.GROUP)])
    monkeypatch.setattr(ledgers, "_entries", lambda: entries)

    open_ledger("KEPT://somewhere", tmp_path).close()

    assert opened == ["KEPT://somewhere"]


def test_no_representation_of_options_shows_the_address() -> None:
    """It holds a password, and representations get into logs."""
    assert "letmein-please" not in repr(Options(ledger=URL))
