"""The command ``ui``: a page for one browser of this machine, which can change nothing."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from packages.cli.tests.histories import START, History
from packages.cli.tests.pages import Page

from ai_batch.cli.home import Home
from ai_batch.cli.ui_pages import Pages
from ai_batch.cli.ui_server import Server

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell

EVIL = "<script>alert(1)</script>"


@dataclass
class Answer:
    """What a server has answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def page(self) -> Page:
        """The text as a browser reads it; it has to be well-formed."""
        page = Page(self.text)
        assert page.wrong == []
        return page


@dataclass
class Visitor:
    """Somebody who sends requests to a server; ``cookie`` is what came with the link."""

    server: Server
    cookie: str = ""

    def __call__(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """Ask; ``_`` in names of headers stands for ``-``."""
        given = {"Host": f"127.0.0.1:{self.server.server_port}", "Cookie": self.cookie}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        try:
            connection.request(method, target, headers=given)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read().decode())
        finally:
            connection.close()


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty ledger."""
    return History(tmp_path / "made")


@pytest.fixture
def server(history: History) -> Iterator[Server]:
    """A server that runs."""
    with Server(Pages(Home(history.home))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def stranger(server: Server) -> Visitor:
    """Somebody who only knows the port."""
    return Visitor(server)


@pytest.fixture
def user(server: Server) -> Visitor:
    """Who has opened the link."""
    visitor = Visitor(server)
    visitor.cookie = visitor(link_of(server)).headers["Set-Cookie"].partition(";")[0]
    return visitor


def link_of(server: Server) -> str:
    """The path of the link."""
    parts = urlsplit(server.link)
    return f"{parts.path}?{parts.query}"


# -- who is let in --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/style.css", "/ui.js", "/icon.svg", "/job/job_1", "/x"])
def test_without_the_token_there_is_nothing(stranger: Visitor, path: str) -> None:
    """Other users of the machine can reach the port, and learn nothing."""
    answer = stranger(path)

    assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)
    assert answer.text == "Open the link that `ai-batch ui` has printed: it holds a token.\n"


def test_a_wrong_token_is_refused(user: Visitor) -> None:
    """A token that is wrong counts more than a cookie that is right."""
    stranger = Visitor(user.server)
    name = user.cookie.partition("=")[0]

    assert stranger("/?token=").status == 403
    assert stranger("/?token=guess").status == 403
    assert stranger("/?token=gu%ff%00ess").status == 403
    assert user("/?token=guess").status == 403
    assert stranger("/", Cookie=f"{name}=guess").status == 403
    assert stranger("/", Cookie="other=1; =; ;;").status == 403


def test_the_link_gives_a_cookie_that_stays_here(server: Server) -> None:
    """No script can read it, and no other site can have it sent; two servers do not meet."""
    answer = Visitor(server)(link_of(server))
    name, _, rest = answer.headers["Set-Cookie"].partition("=")

    assert answer.status == 200
    assert name == f"ai_batch_{server.server_port}"
    assert rest == f"{server.gate.token}; Path=/; HttpOnly; SameSite=Strict"
    assert len(server.gate.token) >= 43
    assert server.gate.token not in answer.text


def test_each_server_has_a_token_of_its_own(history: History) -> None:
    """A link is of no use once its server has ended."""
    pages = Pages(Home(history.home))

    with Server(pages) as one, Server(pages) as other:
        assert one.gate.token != other.gate.token


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "evil.test:80", "10.0.0.1", "", "user@127.0.0.1"]
)
def test_a_host_that_is_not_this_machine_is_misdirected(user: Visitor, host: str) -> None:
    """A name that somebody has made point here gets nothing, not even with the token."""
    assert user("/", Host=host).status == 421
    assert user(link_of(user.server), Host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:9000", "[::1]:9000"])
def test_a_tunnel_may_have_another_port(user: Visitor, host: str) -> None:
    """`ssh -L 9000:127.0.0.1:...` leads here under the name that it has at the other end."""
    assert user("/", Host=host).status == 200


def test_other_origins_get_nothing(user: Visitor) -> None:
    """A page of another origin, or of another port, can't have a browser read the jobs."""
    port = user.server.server_port
    same = f"http://127.0.0.1:{port}"

    assert user("/", Origin=same).status == 200
    for origin in ("null", "http://evil.test", f"https://127.0.0.1:{port}", "http://127.0.0.1:1"):
        assert user("/", Origin=origin).status == 403
    assert user("/", Sec_Fetch_Site="same-origin").status == 200
    for site in ("cross-site", "same-site"):
        assert user("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 403
        assert user(link_of(user.server), Sec_Fetch_Site=site, Sec_Fetch_Mode="cors").status == 403


def test_the_link_may_be_followed_from_anywhere(server: Server) -> None:
    """A notebook, or the file that the command has opened, is another site."""
    answer = Visitor(server)(
        link_of(server), Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate"
    )

    assert answer.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_nothing_can_be_changed(user: Visitor, method: str) -> None:
    """There is no method but GET and HEAD."""
    answer = user("/", method)

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_only_this_machine_is_listened_to(server: Server) -> None:
    """The port is open on the loopback interface and nowhere else."""
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_every_answer_has_the_headers_that_keep_it_here(user: Visitor) -> None:
    """Nothing is stored, framed, sniffed or loaded from elsewhere, refusals included."""
    stranger = Visitor(user.server)

    for answer in (user("/"), user("/ui.js"), user("/nothing"), stranger("/"), user("/", "POST")):
        headers = answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "Python" not in headers["Server"]


def test_a_request_that_is_none_is_refused(server: Server) -> None:
    """Garbage, a request without a host, and a line without an end get no page and do no harm."""
    for sent in (b"\x16\x03\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET " + b"x" * 70_000):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as link:
            link.sendall(sent)
            link.shutdown(socket.SHUT_WR)
            got = link.makefile("rb").read()
        assert got
        assert b"<html" not in got
    assert Visitor(server)(link_of(server)).status == 200


# -- what is shown --------------------------------------------------------------------------------


def test_the_list_has_all_jobs(history: History, user: Visitor) -> None:
    """A line per job, the newest first, with its state, its progress and its counts."""
    history.job("job_1", size=10)
    history.submit("job_1")
    history.collect("job_1", failed=3)
    history.finish("job_1")
    history.at = 5.0
    history.job("job_2", batches=2, size=10)
    history.submit("job_2")
    history.observe("job_2", done=5)

    page = user("/").page
    bars = [(e.attributes["value"], e.attributes["max"]) for e in page.all("progress")]

    assert [e.text for e in page.all("a")] == ["job_2", "job_1"]
    assert [e.text for e in page.all("span", class_="state")] == ["running", "completed"]
    assert bars == [("5", "20"), ("10", "10")]
    assert "2 jobs, 1 not finished" in page.texts


def test_a_job_has_a_page_of_its_own(history: History, user: Visitor) -> None:
    """With its sums, its batches, and a link to the report, which is made when it is asked for."""
    history.job("job_1", batches=2)
    history.submit("job_1")
    history.observe("job_1", done=50)

    page = user("/job/job_1").page
    report = user("/job/job_1/report")

    assert page.all("title")[0].text == "25.0% done job_1"
    assert page.one("a", href="/job/job_1/report").text == "report"
    assert page.summary["requests"] == "200"
    assert [e.text for e in page.all("th", scope="row")] == ["0001", "0002"]
    assert {e.attributes["role"] for e in report.page.all("svg")} == {"img"}
    assert "style-src 'sha256-" in report.headers["Content-Security-Policy"]


def test_an_empty_home_is_told(history: History, user: Visitor) -> None:
    """Where there are no jobs the page says where it has looked."""
    assert f"There are no jobs in {history.home}." in user("/").page.texts


@pytest.mark.parametrize("path", ["/job/nothing", "/job/", "/job/job_1/x", "/job/..%2f", "/x"])
def test_what_is_not_there_is_not_found(history: History, user: Visitor, path: str) -> None:
    """Another job, another page, or a way out of the home."""
    history.job("job_1")

    assert user(path).status == 404


def test_a_page_is_what_the_ledger_is_now(history: History, user: Visitor) -> None:
    """What another process has done shows the next time."""
    history.job("job_1")
    history.submit("job_1")
    before = user("/").page.one("progress").attributes["value"]
    history.observe("job_1", done=40)
    between = user("/").page.one("progress").attributes["value"]
    history.collect("job_1", failed=1)
    history.finish("job_1")

    after = user("/").page

    assert (before, between, after.one("progress").attributes["value"]) == ("0", "40", "100")
    assert "0 not finished" in after.texts


def test_a_list_has_pages(history: History, user: Visitor) -> None:
    """A hundred jobs are on a page; a page that is not there is the last or the first."""
    for number in range(201):
        history.at = float(number)
        history.job(f"job_{number:03d}")

    first, last = user("/").page, user("/?page=3").page

    assert [len(page.all("progress")) for page in (first, last)] == [100, 1]
    assert first.one("a", rel="next").attributes["href"] == "/?page=2"
    assert last.one("a", rel="prev").attributes["href"] == "/?page=2"
    assert "page 3 of 3" in user("/?page=999999999999").page.texts
    assert "page 1 of 3" in user("/?page=-1").page.texts
    assert "page 1 of 3" in user("/?page=%D9%A3").page.texts


def test_a_thousand_jobs_are_listed_at_once(history: History, user: Visitor) -> None:
    """A page of a ledger with a thousand jobs is there in less than half a second."""
    rows = [
        (f"job_{n}", f"{n}", "openai", f"jobs/{n}", "{}", "completed", 10, START + n, START + n)
        for n in range(1000)
    ]
    with history.ledger._database.transaction() as tx:
        tx.execute_many(
            "INSERT INTO job (id, fingerprint, provider, folder, spec, state, total, created_at,"
            " finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    took: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        assert user("/").status == 200
        took.append(time.perf_counter() - began)

    assert "1,000 jobs" in user("/").page.texts
    assert min(took) < 0.5


def test_a_ledger_that_fails_is_told(history: History, user: Visitor) -> None:
    """The page says what is wrong, and comes back when it is mended."""
    with history.ledger._database.transaction() as tx:
        tx.execute("ALTER TABLE job RENAME TO hidden")

    broken = user("/")
    with history.ledger._database.transaction() as tx:
        tx.execute("ALTER TABLE hidden RENAME TO job")

    assert broken.status == 500
    assert "the ledger" in broken.text
    assert user("/").status == 200


def test_a_fault_of_ours_is_told_here_and_there(
    history: History,
    user: Visitor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The page says that it can't be made, the terminal why, and neither has a key in it."""
    del history

    def fail(*_: object) -> None:
        raise RuntimeError("of a kind that nobody thought of, with sk-canary-4f1d2c7e9b8a")

    monkeypatch.setattr(user.server.pages, "jobs", fail)
    answer = user("/")

    told = capsys.readouterr().err
    assert (answer.status, answer.text) == (
        500,
        "This page can't be made; the terminal says why.\n",
    )
    assert "a page could not be shown: RuntimeError('of a kind that nobody thought of" in told
    assert "canary" not in told


def test_markup_of_users_stays_text(history: History, user: Visitor) -> None:
    """Ids, models and names of providers are shown as they are."""
    history.job("job_<b>1", provider=EVIL, model=EVIL)

    for path in ("/", "/job/job_%3Cb%3E1"):
        page = user(path).page
        assert [e.attributes["src"] for e in page.all("script")] == ["/ui.js"]
        assert page.all("b") == []
        assert EVIL in page.texts


# -- the command ----------------------------------------------------------------------------------


def test_the_command_prints_the_link_and_ends_with_ctrl_c(picky: Shell) -> None:
    """The page shows a job and its failures without a key and without asking the vendor."""
    picky.run(picky.write("in.txt", "one\nbad\nthree\n"))
    del picky.environment["OPENAI_API_KEY"]
    asked = picky.emulator.stats.requests
    process = picky.start("ui", "--no-open")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"ai-batch ui: (http://127\.0\.0\.1:(\d+)/\?token=\S+)\n", line)
        assert found is not None
        text = read_job(int(found[2]), urlsplit(found[1]).query)
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert "bad_word" in text
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err
    assert "token=" not in err
    assert picky.emulator.stats.requests == asked


def read_job(port: int, query: str) -> str:
    """The page of the only job behind a link."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/?{query}")
    answer = connection.getresponse()
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    path = Page(answer.read().decode()).all("a")[0].attributes["href"]
    connection.close()
    assert path is not None
    connection.request("GET", path, headers={"Cookie": cookie})
    return connection.getresponse().read().decode()


def test_the_browser_gets_the_link_by_a_file_of_the_users_own(shell: Shell) -> None:
    """A process's arguments are open to all users, so the token must not be among them."""
    script = shell.folder / "browser"
    script.write_text(f'#!/bin/sh\necho "$@" > {shell.folder}/asked\n')
    script.chmod(0o700)
    shell.environment["BROWSER"] = f"{script} %s"
    process = shell.start("ui")
    try:
        asked = shell.folder / "asked"
        shell.wait_for(lambda: asked.exists() and asked.read_text())
        file = Path(urlsplit(asked.read_text().strip()).path)
        mode, text = stat.S_IMODE(file.stat().st_mode), file.read_text("utf-8")
        assert process.stdout is not None
        link = process.stdout.readline().split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert "token" not in asked.read_text()
    assert mode == 0o600
    assert Page(text).one("a").attributes["href"] == link
    assert not file.exists()


def test_a_port_that_is_taken_is_told(shell: Shell) -> None:
    """The message names the port and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell("ui", "--no-open", "--port", str(port))

    assert done.code == 2
    assert f"--port {port} can't be had" in done.err
    assert "0 takes any free one" in done.err
