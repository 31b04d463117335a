"""The local page in a browser: it follows the ledger, and lets nobody else in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packages.cli.tests.browser.conftest import REBOUND, serving
from packages.cli.tests.histories import History

if TYPE_CHECKING:
    from packages.cli.tests.browser.conftest import Tab

    from ai_batch.cli.ui_server import Server


def test_a_page_follows_the_ledger(tab: Tab, server: Server, history: History) -> None:
    """Counts, states and new jobs appear by themselves, and nothing is loaded from elsewhere."""
    history.job("job_1", size=100)
    history.submit("job_1")
    tab.open(server.link)
    tab.run("window.mark = 1")
    history.observe("job_1", done=40)
    tab.wait("document.querySelector('progress').value === 40")
    history.collect("job_1", failed=10)
    history.finish("job_1")
    tab.wait("document.querySelector('.state').textContent === 'completed'")
    history.at = 9.0
    history.job("job_<b>2</b>")
    tab.wait("document.querySelectorAll('tbody tr').length === 2")

    row = tab.page.inner_text("tbody tr:last-child").split()

    assert row[:5] == ["job_1", "completed", "100", "90", "10"]
    assert tab.page.inner_text("tbody tr:first-child a") == "job_<b>2</b>"
    assert tab.run("window.mark") == 1
    assert tab.said == []
    assert {address.split("/")[2] for address in tab.asked} == {f"127.0.0.1:{server.server_port}"}


def test_a_job_is_followed_to_its_end(tab: Tab, server: Server, history: History) -> None:
    """Its page shows batches and progress, leads to the report and back to the list."""
    history.job("job_1", batches=2)
    tab.open(server.link)
    tab.page.click("text=job_1")
    history.submit("job_1")
    history.observe("job_1", done=50)
    tab.wait("document.title === '25.0% done job_1'")
    states = tab.page.locator("table.batches tbody td:nth-child(2)").all_inner_texts()
    tab.page.click("text=report")

    assert states == ["at provider", "waiting"]
    assert tab.page.locator("svg").count() == 3
    assert tab.said == []


def test_what_a_reader_has_opened_stays_open(tab: Tab, evil_home: Path) -> None:
    """A page that renews itself closes nothing, and takes no selection away."""
    with serving(evil_home) as server:
        tab.open(server.link)
        tab.page.click("tbody a")
        tab.page.wait_for_selector("#cause-0[open]")
        tab.page.locator("#cause-0 > summary").click()
        tab.run("getSelection().selectAllChildren(document.querySelector('h1'))")
        for _ in range(2):
            with tab.page.expect_response("**/job/**", timeout=60_000):
                pass
        tab.page.wait_for_timeout(200)

        assert not tab.run("document.getElementById('cause-0').open")
        assert tab.run("getSelection().toString()").startswith("job_")
        assert tab.run("window.ran") is None
        assert tab.said == []


def test_the_token_does_not_stay_in_the_address(tab: Tab, server: Server) -> None:
    """It is in a cookie from then on, out of the reach of scripts, and the page can be reloaded."""
    status = tab.open(server.link)
    tab.page.wait_for_url(f"http://127.0.0.1:{server.server_port}/")
    [cookie] = tab.page.context.cookies()
    again = tab.page.reload().status

    assert (status, again) == (200, 200)
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert tab.run("document.cookie") == ""


def test_without_the_right_token_nobody_gets_in(tab: Tab, server: Server) -> None:
    """A wrong token, and none, are forbidden."""
    address = f"http://127.0.0.1:{server.server_port}/"

    assert tab.open(f"{address}?token=guess") == 403
    assert tab.open(address) == 403
    assert "Open the link that `ai-batch ui` has printed" in tab.page.inner_text("body")


def test_a_name_that_was_made_to_point_here_leads_nowhere(tab: Tab, server: Server) -> None:
    """After an attack on DNS the browser takes this server for the attacker's; it is not fooled."""
    link = server.link.replace("127.0.0.1", REBOUND)

    assert tab.open(link) == 421
    assert tab.open(link.partition("?")[0]) == 421


@contextmanager
def stranger(port: int) -> Generator[str]:
    """A page of another server, which tries to read the jobs in its visitor's name."""
    page = f"""<!doctype html><body><script>
        const there = "http://127.0.0.1:{port}/";
        const tries = [fetch(there, {{credentials: "include"}}).then(a => a.text()),
            fetch(there, {{credentials: "include", mode: "no-cors"}}).then(a => a.text()),
            import(there + "ui.js").then(() => "imported")];
        Promise.allSettled(tries).then(all => {{
            window.got = all.map(one => one.value || "");
        }});
        </script><iframe src="http://127.0.0.1:{port}/"></iframe>"""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_pages_of_others_read_nothing(tab: Tab, server: Server, history: History) -> None:
    """Who is logged in here and visits a hostile page of the same machine gives nothing away."""
    history.job("job_secret")
    tab.open(server.link)
    with stranger(server.server_port) as address:
        tab.open(address)
        tab.wait("window.got")
        tab.page.wait_for_timeout(300)
        framed = [frame.content() for frame in tab.page.frames[1:]]

        assert tab.run("window.got") == ["", "", ""]
        assert framed
        assert not any("job_secret" in text for text in framed)


def test_a_server_that_has_ended_is_told(tab: Tab, history: History) -> None:
    """What is shown stays, with a line that says that it is old."""
    history.job("job_1")
    with serving(history.home) as server:
        tab.open(server.link)
        assert not tab.page.locator("#lost").is_visible()

    tab.wait("!document.getElementById('lost').hidden")

    assert "does not answer any more" in tab.page.inner_text("#lost")
    assert tab.page.inner_text("tbody a") == "job_1"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_list_fits(
    open_tab: Callable[..., Tab], server: Server, history: History, width: int
) -> None:
    """A table that is too wide is moved within its frame; the page is not."""
    for number in range(30):
        history.job(f"job_20260101-000000-{number:08x}", spec={"model": "a-model-" * 8})
    tab = open_tab(viewport={"width": width, "height": 800})

    tab.open(server.link)

    assert tab.run("document.documentElement.scrollWidth") == width
    assert tab.page.locator("tbody tr").count() == 30
