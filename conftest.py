"""What holds in every test: a clean environment, and no network beyond this machine.

And what the tests of all providers begin with: an emulator, and some questions.
"""

from __future__ import annotations

import importlib
import ipaddress
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import hypothesis
import pytest

if TYPE_CHECKING:
    import httpx2

    from ai_batch.core import ChatRequest
    from ai_batch.emulator import Emulator

# Keys, addresses and settings of a developer's own shell, by the start of their names.
FOREIGN = ("AI_BATCH_", "ANTHROPIC_", "AZURE_", "GEMINI_", "GOOGLE_", "OPENAI_", "VOYAGE_")
TOGETHER = ("packages/ray/tests/test_cluster.py",)
"""Tests that take turns in one process, by the start of their names."""

PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")


def pytest_configure() -> None:
    """Refuse every connection beyond this machine, so that no test can cost money.

    An audit hook sees them all, whichever library makes them; it stays until the process ends.
    """
    sys.addaudithook(_refuse_outside)
    # How long an example takes says more about the machine than about the code.
    quick = hypothesis.settings(deadline=None)
    hypothesis.settings.register_profile("quick", quick)
    # For an hour in which there is nothing else to do.
    deep = hypothesis.settings(quick, max_examples=2_000, stateful_step_count=100)
    hypothesis.settings.register_profile("deep", deep)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Share tests out one by one, but those that share a cluster go to one process.

    The marker ``xdist_group`` would say it, but has no effect with pytest 9.2 and xdist 3.8.
    """
    if config.getoption("dist") != "load":
        return None
    # It has no types.
    module: Any = importlib.import_module("xdist.scheduler.loadscope")
    scheduler = module.LoadScopeScheduling(config, log)
    scheduler._split_scope = _taken_together
    return cast("object", scheduler)


def _taken_together(nodeid: str) -> str:
    return next((path for path in TOGETHER if nodeid.startswith(path)), nodeid)


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


@pytest.fixture
def make_emulator() -> Iterator[Callable[..., Emulator]]:
    """Make an emulator with these options."""
    # Only now: not every environment of tests has a server.
    from ai_batch.emulator import Emulator

    with ExitStack() as stack:

        def make(**options: Any) -> Emulator:
            return stack.enter_context(Emulator(**options))

        yield make


@pytest.fixture
def emulator(make_emulator: Callable[..., Emulator]) -> Emulator:
    """An emulator as it comes."""
    return make_emulator()


@pytest.fixture
def questions() -> list[ChatRequest]:
    """Three different requests."""
    from ai_batch.core import ChatRequest

    return [ChatRequest(id=f"q{n}", messages=f"question {n}") for n in range(3)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[httpx2.Request]:
    """Every HTTP request that an async client sends, in order."""
    import httpx2

    seen: list[httpx2.Request] = []
    transport: Any = httpx2.AsyncHTTPTransport
    original = transport.handle_async_request

    async def handle(self: object, request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        response: httpx2.Response = await original(self, request)
        return response

    monkeypatch.setattr(transport, "handle_async_request", handle)
    return seen
