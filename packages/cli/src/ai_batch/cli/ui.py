"""The command ``ui``: a page of this machine's own browser that shows the jobs as they go."""

from __future__ import annotations

import sys
import tempfile
import threading
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from ai_batch.cli.arguments import Place
from ai_batch.cli.failures import ExitCode
from ai_batch.cli.home import Home
from ai_batch.cli.report_markup import element
from ai_batch.cli.report_page import document
from ai_batch.cli.ui_pages import Pages
from ai_batch.cli.ui_server import Server
from ai_batch.core import UsageError

__all__ = ["ui"]

POLL_SECONDS = 0.2
"""How soon the server notices that it is to end."""


def ui(place: Place, port: int, *, show: bool) -> ExitCode:
    """Serve the pages until Ctrl-C. Raises ``UsageError`` where the port can't be had."""
    pages = Pages(Home(*place))
    try:
        server = Server(pages, port)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port {port} can't be had ({error}): 0 takes any free one") from None
    # Ctrl-C may come a moment before the server waits for it.
    with suppress(KeyboardInterrupt), server:
        sys.stdout.write(f"ai-batch ui: {server.link}\n")
        sys.stdout.flush()
        with _opened(server.link) if show else nullcontext():
            sys.stderr.write("The link is for you alone; Ctrl-C ends the server.\n")
            server.serve_forever(POLL_SECONDS)
    return ExitCode.OK


@contextmanager
def _opened(link: str) -> Generator[None]:
    """Have the browser open the link, by way of a file that only its user can read.

    The arguments of a process are open to all users of a machine, and the token is in the link.
    """
    with tempfile.NamedTemporaryFile(  # Made with mode 0600.
        "w", prefix="ai-batch-", suffix=".html", encoding="utf-8"
    ) as file:
        onward = element("meta", http_equiv="refresh", content=f"0; url={link}")
        file.write(document("ai-batch", element("a", "ai-batch ui", href=link), onward))
        file.flush()
        # Not here: a browser in the terminal ends only when its user leaves it.
        address = Path(file.name).as_uri()
        threading.Thread(target=_open, args=(address,), daemon=True).start()
        yield


def _open(address: str) -> None:
    if not webbrowser.open(address):
        sys.stderr.write("no browser was found: open the link yourself\n")
