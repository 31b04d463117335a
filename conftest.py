"""What holds in every test: a clean environment, and no network beyond this machine."""

import ipaddress
import os
import sys
from pathlib import Path
from typing import cast

import hypothesis
import pytest

# Keys, addresses and settings of a developer's own shell, by the start of their names.
FOREIGN = ("AI_BATCH_", "ANTHROPIC_", "AZURE_", "GEMINI_", "GOOGLE_", "OPENAI_", "VOYAGE_")
PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")


def pytest_configure() -> None:
    """Refuse every connection beyond this machine, so that no test can cost money.

    An audit hook sees them all, whichever library makes them; it stays until the process ends.
    """
    sys.addaudithook(_refuse_outside)
    # How long an example takes says more about the machine than about the code.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, address or proxy of the developer reaches a test, nor a test the developer's jobs."""
    for name in list(os.environ):
        if name.startswith(FOREIGN) or name.upper() in PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AI_BATCH_HOME", str(tmp_path / "ai-batch-home"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the engine does."""
    return "asyncio"


def _refuse_outside(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        _refuse_unless_here(arguments[0])
    elif event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        if isinstance(address, tuple):  # A path is a Unix socket.
            _refuse_unless_here(cast("tuple[object, ...]", address)[0])


def _refuse_unless_here(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost"}:
        return
    try:
        here = ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        here = False
    if not here:
        raise RuntimeError(f"A test tried to reach {name}; tests reach nothing but this machine.")
