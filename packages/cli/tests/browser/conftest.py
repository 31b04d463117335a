"""A real browser without a window: what pages do in it, and what they may not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from packages.cli.tests.histories import History

from ai_batch.cli.home import Home
from ai_batch.cli.ui_pages import Pages
from ai_batch.cli.ui_server import Server
from ai_batch.core import ChatRequest
from ai_batch.emulator import Emulator
from ai_batch.openai import OpenAIProcessor

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

# The library is only in the environment `browser`; there nothing may be left out.
if "AI_BATCH_BROWSER" not in os.environ and not (
    CHROMIUM and importlib.util.find_spec("playwright")
):
    collect_ignore_glob = ["test_*.py"]

REBOUND = "rebound.test"
"""A name that the browser finds at this machine, as after an attack on its DNS."""

# No other name is found at all: the guard of the tests' own process does not see the browser.
RULES = f"MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"

CANARY = '<script>window.ran=1</script>"><img src=x onerror="window.ran=1"><svg onload="ran=1">'


class Tab:
    """A page of the browser, and all that it has said and asked for."""

    def __init__(self, page: Any) -> None:
        """``page`` is Playwright's."""
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", self._fail)
        page.on("dialog", self._dismiss)
        page.on("request", self._note)

    def _hear(self, message: Any) -> None:
        self.said.append(message.text)

    def _fail(self, error: object) -> None:
        self.said.append(str(error))

    def _dismiss(self, dialog: Any) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def _note(self, request: Any) -> None:
        self.asked.append(request.url)

    def open(self, address: str) -> int:
        """Go there; the status of the answer, 0 for a file."""
        answer = self.page.goto(address)
        return int(answer.status) if address.startswith("http") else 0

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page."""
        return self.page.evaluate(script)

    def wait(self, script: str) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + 60.0
        # Not by Playwright's own means: those are a script in the page, which its policy forbids.
        while not self.run(script):
            assert time.monotonic() < end, f"it never came: {script}"
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium; its event loop would be in the way of the tests behind these."""
    assert CHROMIUM, "there is no Chromium: apt-get install chromium"
    library = importlib.import_module("playwright.sync_api")
    # Chromium's own sandbox can't be set up by root.
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with library.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*alone, f"--host-resolver-rules={RULES}"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Open a tab, each with cookies of its own; options are those of Playwright's contexts."""
    with ExitStack() as stack:

        def make(**options: Any) -> Tab:
            context = browser.new_context(**options)
            stack.callback(context.close)
            return Tab(context.new_page())

        yield make


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """A tab as it comes."""
    return open_tab()


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty ledger."""
    return History(tmp_path / "made")


@contextmanager
def serving(home: Path) -> Generator[Server]:
    """A server that runs."""
    with Server(Pages(Home(home))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(history: History) -> Iterator[Server]:
    """A server of the made-up jobs."""
    with serving(history.home) as server:
        yield server


@pytest.fixture(scope="session")
def evil_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one job, in which whatever users and vendors write is markup that would run."""
    home = tmp_path_factory.mktemp("evil") / "home"
    error = {"error": {"message": CANARY, "code": CANARY, "param": None}}

    def refuse(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        return (400, error) if "bad" in body["messages"][-1]["content"] else None

    with (
        Emulator(answer=refuse) as emulator,
        OpenAIProcessor(
            model=CANARY,
            base_url=emulator.openai_url,
            api_key="any",
            home=home,
            poll_interval=0.1,
        ) as processor,
    ):
        processor.process(
            [
                ChatRequest(id=f"{CANARY}{number}", messages="bad" if number % 2 else "good")
                for number in range(10)
            ]
        )
    return home
