"""Finding providers by name."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from ai_batch.core import (
    NativeProcessor,
    ProviderNotInstalled,
    UsageError,
    load_provider,
    providers,
    registry,
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world in which only one provider is installed."""
    place = "ai_batch.core.processor:NativeProcessor"
    entries = EntryPoints([EntryPoint("mine", place, registry.GROUP)])
    monkeypatch.setattr(registry, "_entries", lambda: entries)


@pytest.mark.usefixtures("installed")
def test_an_installed_provider_is_loaded_by_its_name() -> None:
    """Its entry point names the class."""
    assert providers() == ["mine"]
    assert load_provider("mine") is NativeProcessor


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", sorted(registry.KNOWN))
def test_one_of_ours_that_is_missing_names_the_pip_install(name: str) -> None:
    """Copy, paste, go on."""
    command = re.escape(f"pip install {registry.KNOWN[name]}")
    with pytest.raises(ProviderNotInstalled, match=command) as caught:
        load_provider(name)

    assert isinstance(caught.value, ImportError)
    assert "installed: mine" in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_an_unknown_name_lists_what_there_is() -> None:
    """A typo is mended at a glance."""
    with pytest.raises(UsageError, match="there is no provider 'opeanai'") as caught:
        load_provider("opeanai")

    assert "mine" in str(caught.value)
