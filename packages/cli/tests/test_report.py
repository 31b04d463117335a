"""The command ``report``: one HTML file with all there is to know of a job."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packages.cli.tests.histories import History
from packages.cli.tests.pages import Page

from ai_batch.cli.home import Home
from ai_batch.cli.report import render
from ai_batch.cli.report_causes import Causes
from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, ChatResponse, RequestRefused, Usage
from ai_batch.core.accounting import Accountant
from ai_batch.core.fakes import FakeVendor, Line, write_line
from ai_batch.core.provider import Route
from ai_batch.core.requestlog import RequestWriter
from ai_batch.core.rows import Source
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState
from ai_batch.core.testing import FakeProvider
from ai_batch.emulator import Timing

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x00\u202e'
KEY = "sk-canary-4f1d2c7e9b8a"


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty ledger."""
    return History(tmp_path / "made")


def page_of(history: History, job_id: str) -> Page:
    """A job's report; every report has to be well-formed."""
    home = Home(history.home)
    page = Page(render(home, home.find(job_id)))
    assert page.wrong == []
    return page


def charts_of(page: Page) -> list[str]:
    """The names of the charts."""
    return [figure.text for figure in page.all("b")]


# -- the command ----------------------------------------------------------------------------------


def test_a_report_tells_of_counts_batches_and_causes(picky: Shell) -> None:
    """One file has the summary, a chart of each kind, the batches, and failures with examples."""
    picky.run(picky.write("in.txt", "one\nbad\nthree\n"), output="out.csv")
    del picky.environment["OPENAI_API_KEY"]

    done = picky("report", "last", "-o", "report.html")
    page = Page((picky.folder / "report.html").read_text("utf-8"))

    assert (done.code, done.out) == (0, ""), done.err
    assert done.err.endswith(": report.html\n")
    assert page.wrong == []
    told = {name: page.summary[name] for name in ("provider", "model", "requests", "answered")}
    assert told == {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "requests": "3",
        "answered": "2",
    }
    assert (page.summary["failed"], page.summary["input"]) == ("1", "in.txt")
    assert page.summary["cost"].startswith(("$", "<$"))
    assert charts_of(page) == [
        *("Progress", "Time per batch", "Tokens per batch", "Cost", "Failures by cause")
    ]
    assert re.search(r"0001\s*collected\s*3210", page.one("table", class_="batches").text)
    assert "bad_word" in page.one("details", id="cause-0").text
    assert "req_1" in page.one("details", id="cause-0").text
    assert '"custom_id"' in page.one("pre").text


def test_a_report_goes_where_it_is_wanted(picky: Shell) -> None:
    """Without -o it is named after the job, - is standard output, a folder is refused."""
    picky.run(picky.write("in.txt", "one\n"))
    [job] = picky("jobs", "--json").json

    plain = picky("report", "last")
    shown = picky("report", "last", "-o", "-")
    folder = picky("report", "last", "-o", ".")
    nowhere = picky("report", "last", "-o", "nowhere/report.html")

    assert plain.code == 0
    assert (picky.folder / f"{job['job']}.html").read_text("utf-8").startswith("<!doctype html>")
    assert shown.out.startswith("<!doctype html>")
    assert (folder.code, nowhere.code) == (2, 2)
    assert "is a folder" in folder.err
    assert "there is no folder" in nowhere.err


def test_a_job_that_is_under_way_has_a_report(make_shell: Callable[..., Shell]) -> None:
    """A report of a running job, and of a cancelled one, tells what there is by now."""
    shell = make_shell(timing=Timing(in_progress=3600.0))
    shell.run(shell.table(), "--prompt", "{text}", "--detach")

    early = Page(shell("report", "last", "-o", "-").out)
    shell("cancel", "last", "--yes")
    late = Page(shell("report", "last", "-o", "-").out)

    assert early.one("h1").text.endswith(" running")
    assert (early.summary["at the provider"], early.summary["ended"]) == ("3", "-")
    assert "so far" in early.one("svg", **{"aria-labelledby": "times-title times-text"}).text
    assert late.one("h1").text.endswith(" cancelled")
    assert "batch_cancelled" in late.one("details", id="cause-0").text


def test_a_job_of_live_calls_has_a_report(tmp_path: Path) -> None:
    """Jobs of the concurrent runner are read without their client; their price is not known."""

    async def answer(request: ChatRequest) -> ChatResponse:
        if request.id == "b":
            raise RequestRefused("not that", code="bad_word", status=400)
        return ChatResponse(content="yes", usage=Usage(input_tokens=10, output_tokens=5))

    home = tmp_path / "live"
    with ConcurrentProcessor(chat=answer, home=home, max_attempts=1) as processor:
        processor.process([ChatRequest(id=name, messages="x") for name in "abc"])

    page = Page(render(Home(home), Home(home).find("last")))

    assert (page.summary["answered"], page.summary["failed"]) == ("2", "1")
    assert page.summary["cost"] == "price unknown"
    assert "bad_word" in page.one("details", id="cause-0").text
    assert charts_of(page) == [
        *("Progress", "Time per batch", "Tokens per batch", "Failures by cause")
    ]


# -- jobs in any state ----------------------------------------------------------------------------


def test_a_job_with_nothing_yet_has_a_report(history: History) -> None:
    """Before anything is sent there is a plan to be shown, and no empty charts."""
    history.job("job_1", batches=3)

    page = page_of(history, "job_1")

    assert (page.summary["requests"], page.summary["batches"]) == ("300", "0 of 3 done")
    assert charts_of(page) == ["Progress"]
    assert len(page.all("td", class_="b-planned")) == 3
    assert "None." in page.texts


@pytest.mark.parametrize("state", ["completed", "cancelling", "cancelled", "refused"])
def test_each_state_is_told(history: History, state: str) -> None:
    """The heading and the title have the job's state."""
    history.job("job_1")
    history.finish("job_1", state)

    page = page_of(history, "job_1")

    assert page.one("span", class_=f"s-{state}").text == state
    assert page.all("title")[0].text == f"job_1 {state}"


def test_a_provider_that_is_not_installed_is_no_hindrance(history: History) -> None:
    """What the ledger knows is told, and what is missing for the rest."""
    history.job("job_1", provider="elsewhere")
    history.submit("job_1")
    history.collect("job_1", failed=4, usage=(10, 5, 0, 0, 0))
    history.finish("job_1")

    page = page_of(history, "job_1")

    assert (page.summary["failed"], page.summary["cost"]) == ("4", "price unknown")
    assert "there is no provider 'elsewhere'" in page.one("p", class_="notice").text
    assert "(not readable here)" in page.one("details", id="cause-0").text


def test_a_folder_that_is_gone_leaves_what_the_ledger_has(history: History) -> None:
    """A job whose results were deleted still has its counts."""
    record = history.job("job_1")
    history.submit("job_1")
    history.collect("job_1", failed=4)
    (history.home / record.folder).rmdir()

    page = page_of(history, "job_1")

    assert (page.summary["answered"], page.summary["failed"]) == ("96", "4")
    assert "Their errors are not here" in page.texts


def test_what_the_vendor_said_of_a_batch_is_told(history: History) -> None:
    """A batch that was refused as a whole has the vendor's words, and counts as one that ended."""
    history.job("job_1", batches=2)
    history.submit("job_1")
    shard = history.shard("job_1")
    fault: dict[str, Any] = {"failed": 100, "faults": ()}
    history.at = 30.0
    history.ledger.move(shard, ShardState.FAILED, **fault)

    page = page_of(history, "job_1")

    assert "refused" in page.one("td", class_="b-failed").text
    assert "30s at least" in page.texts


def test_of_many_batches_those_on_their_way_are_listed(history: History) -> None:
    """A table has five hundred rows at most, and says where all are."""
    history.job("job_1", batches=600, size=2)
    for seq in (3, 599):
        history.submit("job_1", seq)

    page = page_of(history, "job_1")
    names = [element.text for element in page.all("th", scope="row")]

    assert len(names) == 500
    assert {"0003", "0599"} <= set(names)
    assert "100 batches more: ai-batch show job_1 --json" in page.texts


# -- safety ---------------------------------------------------------------------------------------


def test_a_report_loads_nothing(history: History) -> None:
    """No address, no script and no style from elsewhere, and a policy that forbids them all."""
    history.job("job_1", batches=3)
    history.submit("job_1")
    history.collect("job_1", usage=(10, 5, 0, 0, 0))

    page = page_of(history, "job_1")
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    loading = {"src", "href", "srcset", "data", "action", "style", "xlink:href"}

    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert [e.name for e in page.elements if loading & e.attributes.keys()] == []
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text


def refuse_all(_: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """An answer that is an error full of markup, and with a key in it."""
    del body
    return 400, {"error": {"message": f"{EVIL} {KEY}", "code": EVIL, "param": None}}


def test_whatever_users_and_vendors_write_stays_text(make_shell: Callable[..., Shell]) -> None:
    """Markup in ids, codes, messages, models and names of files is shown, and does nothing."""
    shell = make_shell(answer=refuse_all)
    rows = [json.dumps({"id": f"{EVIL}{number}", "prompt": "x"}) for number in range(2)]
    name = "<script>alert(3)<_script>.jsonl"
    model = EVIL.replace("\x00", "")
    shell.run(shell.write(name, "\n".join(rows)), "-m", model)

    page = Page(shell("report", "last", "-o", "-").out)

    assert page.wrong == []
    assert page.all("script") == page.all("img") == []
    assert not [e for e in page.elements if any(name.startswith("on") for name in e.attributes)]
    assert page.summary["model"] == model
    assert page.summary["input"] == name
    assert [f"{EVIL}{number}".replace("\x00", "\ufffd") in page.texts for number in (0, 1)]
    assert page.one("details", id="cause-0").text.startswith("<script>alert(1)</script>")
    assert KEY not in page.texts


def test_no_secret_is_in_a_report(history: History) -> None:
    """A password in an address, and whatever looks like a key, is masked."""
    spec = {"model": "m", "base_url": f"https://user:{KEY}@gateway.test/v1", "note": f"x {KEY}"}
    history.job("job_1", spec=spec)

    page = page_of(history, "job_1")

    assert page.summary["options"] == "base_url=https://***@gateway.test/v1, note=x ***"


# -- size -----------------------------------------------------------------------------------------


def failed_batch(folder: Path, size: int) -> Shard:
    """A collected batch of so many requests, all of which failed for one of two causes."""
    folder.mkdir()
    files = JobFolder(folder)
    log = RequestWriter(files)
    shard = Shard(
        job_id="job_1",
        seq=1,
        name="0001",
        state=ShardState.COLLECTED,
        route=Route("chat", "/chat", "fake-chat"),
        account="a",
        token="t" * 16,
        count=size,
        bytes=1,
        tokens=1,
        first_index=0,
        last_index=size - 1,
        failed=size,
    )
    with files.file("0001", "output.jsonl").open("wb") as rows:
        for index in range(size):
            log.append(b'{"id":"request %d"}' % index)
            error = "rare" if index % 1000 == 7 else "frequent"
            rows.write(write_line(Line(f"{shard.token}-{index}", error=error)) + b"\n")
    log.finish()
    made = Accountant(files, shard, FakeProvider(FakeVendor()), retries_left=False)
    made.read(Source.OUTPUT)
    made.write()
    return shard


def test_failures_are_counted_with_flat_memory(tmp_path: Path) -> None:
    """Twenty thousand failures take no more than what says where their rows are."""
    size = 20_000
    shard = failed_batch(tmp_path / "job_1", size)
    causes = Causes(JobFolder(tmp_path / "job_1"), FakeProvider(FakeVendor()))

    tracemalloc.start()
    try:
        whole = causes.read([shard])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert whole
    assert [(cause.code, cause.number) for cause in causes.found] == [
        ("frequent", 19_980),
        ("rare", 20),
    ]
    assert [one.id for one in causes.found[1].examples] == [
        "request 7",
        "request 1007",
        "request 2007",
    ]
    assert peak < 100 * size


def test_counting_can_be_put_off(tmp_path: Path) -> None:
    """With a limit of time a call stops early, and later calls go on to the same counts."""
    shard = failed_batch(tmp_path / "job_1", 2000)
    causes = Causes(JobFolder(tmp_path / "job_1"), FakeProvider(FakeVendor()))

    first = causes.read([shard], seconds=0.0)
    after = causes.number
    while not causes.read([shard], seconds=0.001):
        pass

    assert not first
    assert after < causes.number == 2000


@pytest.mark.parametrize("file", ["0001.rows", "0001.output.jsonl", "requests.offsets"])
@pytest.mark.parametrize("damage", [b"", b"\xff" * 320, None])
def test_what_is_damaged_is_counted_as_not_readable(
    tmp_path: Path, file: str, damage: bytes | None
) -> None:
    """A file that is gone, cut or overwritten takes no count away, and is no traceback."""
    shard = failed_batch(tmp_path / "job_1", 20)
    path = tmp_path / "job_1" / file
    path.unlink() if damage is None else path.write_bytes(damage)
    causes = Causes(JobFolder(tmp_path / "job_1"), FakeProvider(FakeVendor()))

    assert causes.read([shard])
    assert causes.number == 20
    assert {cause.code for cause in causes.found} <= {
        *("(not readable here)", "unreadable_row", "rare", "frequent")
    }


def test_a_vendor_with_many_codes_does_not_fill_the_page(tmp_path: Path) -> None:
    """Fifty causes are told apart; the others are counted as one."""
    folder = JobFolder(tmp_path)
    log = RequestWriter(folder)
    rows: list[bytes] = []
    shard = failed_batch(tmp_path / "other", 200).evolve(name="0002", failed=200)
    for index in range(200):
        log.append(b'{"id":"r%d"}' % index)
        rows.append(write_line(Line(f"{shard.token}-{index}", error=f"code {index}")))
    log.finish()
    folder.file("0002", "output.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    made = Accountant(folder, shard, FakeProvider(FakeVendor()), retries_left=False)
    made.read(Source.OUTPUT)
    made.write()
    causes = Causes(folder, FakeProvider(FakeVendor()))

    causes.read([shard])

    assert len(causes.found) == 51
    assert (causes.found[0].code, causes.found[0].number) == ("(other codes)", 150)
