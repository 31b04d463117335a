"""A report in a browser: it can be seen, it loads nothing, and it runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packages.cli.tests.histories import History

from ai_batch.cli.arguments import Place
from ai_batch.cli.report import write_report

if TYPE_CHECKING:
    from packages.cli.tests.browser.conftest import Tab

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}

UNSEEN = """[...document.querySelectorAll("svg")].filter(svg => {
    const frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("path, rect")].map(one => one.getBoundingClientRect());
    return frame.width < 200 || frame.height < 20 || !boxes.some(box => box.width * box.height > 1);
}).map(svg => svg.querySelector("title").textContent)"""

OVERLAPS = """[...document.querySelectorAll("svg")].flatMap(svg => {
    const boxes = [...svg.querySelectorAll("text")].map(text => text.getBoundingClientRect());
    return boxes.filter((one, at) => boxes.some((two, other) => other > at
        && one.left < two.right - 1 && two.left < one.right - 1
        && one.top < two.bottom - 4 && two.top < one.bottom - 4));
}).length"""

CUT = """[...document.querySelectorAll("svg")].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter(text => {
        const box = text.getBoundingClientRect();
        return box.left < frame.left - 1 || box.right > frame.right + 1;
    }).map(text => text.textContent);
})"""

BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.fixture
def crowded(history: History, tmp_path: Path) -> Callable[[int], str]:
    """Make a report of so many batches, one a minute, ten at a time."""

    def make(number: int) -> str:
        history.job("job_1", batches=number, size=50_000)
        for seq in range(1, number + 1):
            history.at += 60.0
            history.submit("job_1", seq)
            if seq > 10:
                usage = (9_000_000, 3_000_000 + seq, 0, 0, 0)
                history.collect("job_1", failed=seq, seq=seq - 10, usage=usage)
        file = tmp_path / "report.html"
        write_report(Place(history.home), "job_1", str(file))
        return file.as_uri()

    return make


@pytest.fixture
def report(evil_home: Path, tmp_path: Path) -> str:
    """The address of a report with all charts."""
    file = tmp_path / "report.html"
    write_report(Place(evil_home), "last", str(file))
    return file.as_uri()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_charts_can_be_seen(
    open_tab: Callable[..., Tab], report: str, scheme: str, size: str
) -> None:
    """In light and dark, wide and narrow: each has an area and shapes, and nothing sticks out."""
    width, height = SIZES[size]
    tab = open_tab(color_scheme=scheme, viewport={"width": width, "height": height})

    tab.open(report)

    names = ["Progress", "Time per batch", "Tokens per batch", "Failures by cause"]
    assert tab.run("[...document.querySelectorAll('figure b')].map(b => b.textContent)") == names
    assert tab.run(UNSEEN) == []
    assert tab.run("document.documentElement.scrollWidth") == width
    assert tab.run(BACKGROUND) == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")


def test_a_report_asks_for_nothing_and_says_nothing(tab: Tab, report: str) -> None:
    """The file is all that is read, and no policy is offended."""
    tab.open(report)
    tab.page.wait_for_timeout(300)

    assert tab.asked == [report]
    assert tab.said == []


def test_markup_of_others_does_not_run(tab: Tab, report: str) -> None:
    """Ids, codes, messages and models are text, and are seen as they are."""
    tab.open(report)

    assert tab.run("window.ran") is None
    assert tab.run("document.querySelectorAll('script, img, main svg svg').length") == 0
    assert "<script>window.ran=1</script>" in tab.page.inner_text("details#cause-0")


def test_what_gets_in_all_the_same_does_not_run(tab: Tab, report: str) -> None:
    """Were a text not escaped, the page's policy would keep it from running or loading."""
    tab.open(report)
    tab.run("""document.body.insertAdjacentHTML("beforeend",
        '<img src="x" onerror="window.ran=1"><iframe srcdoc="<script>parent.ran=1</script>">')""")
    tab.run(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'ran=1'}))"
    )
    tab.page.wait_for_timeout(300)

    assert tab.run("window.ran") is None
    assert any("Content Security Policy" in text for text in tab.said)


def test_a_report_is_read_aloud(tab: Tab, report: str) -> None:
    """Each chart has a name and a description, and its numbers as a table."""
    tab.open(report)

    picture = tab.page.get_by_role("img", name="Progress")
    tab.page.locator("#progress-numbers > summary").click()

    assert picture.count() == 1
    assert "5 of 10 requests answered and 5 failed" in tab.run(
        "document.getElementById('progress-text').textContent"
    )
    assert tab.page.locator("#progress-numbers table").is_visible()


def test_a_report_is_printed_on_white(open_tab: Callable[..., Tab], report: str) -> None:
    """Paper is white also for who has a dark screen, and what can't be opened there is left out."""
    tab = open_tab(color_scheme="dark")
    tab.open(report)

    tab.page.emulate_media(media="print")

    assert tab.run(BACKGROUND) == "rgb(255, 255, 255)"
    assert not tab.page.locator("#progress-numbers").is_visible()
    assert tab.page.locator("figure svg").first.is_visible()


@pytest.mark.parametrize("number", [24, 120])
def test_many_batches_fit(
    open_tab: Callable[..., Tab], crowded: Callable[[int], str], number: int
) -> None:
    """However many batches there are, no label covers another or is cut, no page is too wide."""
    address = crowded(number)
    for width, height in SIZES.values():
        tab = open_tab(viewport={"width": width, "height": height})
        tab.open(address)

        assert tab.run(UNSEEN) == []
        assert tab.run(OVERLAPS) == 0
        assert tab.run(CUT) == []
        assert tab.run("document.documentElement.scrollWidth") == width
