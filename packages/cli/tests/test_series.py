"""What a report draws: the course of a job, and how its numbers become marks and lines."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from packages.cli.tests.histories import START, History

from ai_batch.cli.report_markup import Markup, element, joined, raw
from ai_batch.cli.report_scales import amounts, brief, durations, lasting, sums
from ai_batch.cli.report_series import Series, grouped, series_of
from ai_batch.cli.report_svg import Bar, Frame, Stack, areas, bars, columns
from ai_batch.core.fakes import FakeVendor
from ai_batch.core.state import ShardState
from ai_batch.core.testing import FakeProvider

FRAME = Frame("key", "Title", "What it shows")


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty ledger."""
    return History(tmp_path / "made")


def series(history: History, job_id: str = "job_1") -> Series:
    """The series of a job, by the made-up vendor's prices."""
    record, shards, events, now = history.series(job_id)
    return series_of(record, shards, events, FakeProvider(FakeVendor()), now)


# -- the course of a job --------------------------------------------------------------------------


def test_the_course_of_a_job_is_in_its_event_log(history: History) -> None:
    """From submission over what the provider said in between to the results, in seconds."""
    history.job("job_1")
    history.at = 10.0
    history.submit("job_1")
    history.at = 60.0
    history.observe("job_1", done=40, failed=10)
    history.at = 100.0
    history.collect("job_1", failed=20)
    history.finish("job_1")

    found = [(m.at, m.answered, m.failed, m.waiting) for m in series(history).moments]

    assert found == [
        (0.0, 0, 0, 0),
        (10.0, 0, 0, 100),
        (60.0, 40, 10, 50),
        (100.0, 80, 20, 0),
        (100.0, 80, 20, 0),
    ]


def test_what_the_log_does_not_tell_is_told_by_the_batches(history: History) -> None:
    """Counts too small for the log, and the time that has passed since, are in the last moment."""
    history.job("job_1")
    history.submit("job_1")
    history.observe("job_1", done=3)
    history.at = 50.0

    last = series(history).moments[-1]

    assert (last.at, last.answered, last.waiting) == (50.0, 3, 97)


def test_batches_have_their_times_and_tokens(history: History) -> None:
    """A batch lasts from its submission to its end, or has none yet; unsent ones are left out."""
    history.job("job_1", batches=3)
    history.at = 5.0
    history.submit("job_1", 1)
    history.submit("job_1", 2)
    history.at = 65.0
    history.collect("job_1", usage=(70, 30, 0, 0, 0))

    found = [
        (batch.name, batch.start, batch.end, batch.seconds(100.0), batch.input_tokens)
        for batch in series(history).batches
    ]

    assert found == [("0001", 5.0, 65.0, 60.0, 70), ("0002", 5.0, None, 95.0, 0)]


def test_a_long_course_is_thinned(history: History) -> None:
    """However much has happened, a line has some hundred points, in order, and ends as it did."""
    history.job("job_1", batches=4000, size=1)
    history.at = 8000.0
    history.finish("job_1")
    record, shards, _, now = history.series("job_1")
    events = [
        {"at": START + 2.0 * seq + step, "seq": seq, "to_state": state, "detail": '{"ok": 1}'}
        for seq in range(1, 4001)
        for step, state in ((-1.0, "submitted"), (0.0, "collected"))
    ]
    over = [shard.evolve(state=ShardState.COLLECTED, ok=1) for shard in shards]

    moments = series_of(record, over, events, FakeProvider(FakeVendor()), now).moments

    assert 200 < len(moments) <= 301
    assert all(one.at <= other.at for one, other in pairwise(moments))
    assert (moments[-1].answered, moments[-1].at) == (4000, 8000.0)


def test_neighbours_are_drawn_together_where_there_are_many(history: History) -> None:
    """No group is empty, and no batch is left out."""
    history.job("job_1", batches=95, size=1)
    for seq in range(1, 96):
        history.submit("job_1", seq)

    groups = grouped(series(history).batches, 40)

    assert [len(group) for group in groups] == [3] * 31 + [2]


# -- scales ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("highest", "marks"),
    [
        (0, ["0", "1"]),
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (300, ["0", "100", "200", "300"]),
        (900_000, ["0", "250k", "500k", "750k", "1M"]),
        (28_000_000, ["0", "10M", "20M", "30M"]),
    ],
)
def test_counts_have_round_marks(highest: float, marks: list[str]) -> None:
    """From nothing to the next round number, and never a part of one."""
    scale = amounts(highest)

    assert [scale.text(mark) for mark in scale.marks] == marks
    assert scale.top >= highest


@pytest.mark.parametrize(
    ("highest", "marks"),
    [
        (0.0094, ["$0.00", "$0.0025", "$0.0050", "$0.0075", "$0.0100"]),
        (0.9, ["$0.00", "$0.25", "$0.50", "$0.75", "$1.00"]),
        (95.11, ["$0.00", "$25", "$50", "$75", "$100"]),
        (1025.0, ["$0.00", "$500", "$1,000", "$1,500"]),
    ],
)
def test_money_has_as_many_places_as_it_needs(highest: float, marks: list[str]) -> None:
    """Marks are not rounded: half a cent is not a cent."""
    scale = sums(highest)

    assert [scale.text(mark) for mark in scale.marks] == marks


@pytest.mark.parametrize(
    ("longest", "marks"),
    [
        (0.0, ["0s", "0.01s"]),
        (8.65, ["0s", "2s", "4s", "6s", "8s"]),
        (300.0, ["0s", "1m", "2m", "3m", "4m", "5m"]),
        (14_500.0, ["0s", "1h", "2h", "3h", "4h"]),
        (30 * 86_400.0, ["0s", "6d", "12d", "18d", "24d", "30d"]),
    ],
)
def test_times_have_marks_that_clocks_have(longest: float, marks: list[str]) -> None:
    """An axis of time ends with what there is, and its marks are whole minutes, hours, days."""
    scale = durations(longest)

    assert [scale.text(mark) for mark in scale.marks] == marks
    assert scale.top == max(longest, 0.01)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.25, "0.25s"),
        (42.4, "42s"),
        (60.0, "1m"),
        (185.0, "3m 05s"),
        (7800.0, "2h 10m"),
        (273_600.0, "3d 4h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """Two units at most, and none that is nothing."""
    assert lasting(seconds) == text


def test_large_numbers_are_brief() -> None:
    """What stands beside a mark has a unit from a thousand on."""
    assert [brief(n) for n in (0, 950, 1500, 2e7, 3.25e9)] == ["0", "950", "1.5k", "20M", "3.25G"]


# -- pictures -------------------------------------------------------------------------------------


def drawn(picture: Markup) -> ET.Element:
    """A picture that is whole, with a title and a description for those who can't see it."""
    root = ET.fromstring(picture)  # noqa: S314  # Our own.
    names = {child.get("id"): child.text for child in root if child.get("id")}
    assert root.get("role") == "img"
    assert [names[name] for name in (root.get("aria-labelledby") or "").split()] == [
        FRAME.title,
        FRAME.description,
    ]
    return root


def test_areas_lie_upon_each_other() -> None:
    """Each layer begins where the one below ends, and its last value can be seen, too.

    One without any value is not drawn.
    """
    stacks = [
        Stack("a", "c-good", [0.0, 5.0]),
        Stack("none", "c-bad", [0.0, 0.0]),
        Stack("b", "c-wait", [10.0, 5.0]),
    ]

    root = drawn(areas(FRAME, [0.0, 4.0], stacks, durations(4.0), amounts(10)))
    paths = root.findall("path")

    assert [path.get("class") for path in paths] == ["area c-good", "area c-wait"]
    points = [point.split(",") for point in (paths[0].get("d") or "").strip("MZ").split("L")]
    assert [(float(x), float(y)) for x, y in points] == [
        *((54.0, 176.0), (460.0, 176.0), (460.0, 93.0), (468.0, 93.0)),
        *((468.0, 176.0), (460.0, 176.0), (460.0, 176.0), (54.0, 176.0)),
    ]


def test_columns_are_as_high_as_their_values() -> None:
    """The layers of a column add up to its height, and its hint says what it is."""
    stacks = [Stack("in", "c-main", [5.0, 10.0]), Stack("out", "c-other", [5.0, 0.0])]

    root = drawn(columns(FRAME, ["0001", "0002"], stacks, amounts(10), ["first", "second"]))
    heights = [[float(r.get("height") or 0) for r in g.findall("rect")] for g in root.findall("g")]

    assert heights == [[83.0, 83.0], [166.0, 0.0]]
    assert [g.findtext("title") for g in root.findall("g")] == ["first", "second"]


def test_bars_are_named_and_never_too_short_to_be_seen() -> None:
    """A bar without any length is a mark; its text stands where there is room."""
    lines = [
        Bar("0001", 0.0, 0.0, "c-main", "0s", "batch 0001"),
        Bar("0002", 90.0, 100.0, "c-main", "10s", "batch 0002"),
        Bar("0003", 0.0, 100.0, "c-wait", "100s", "batch 0003"),
    ]

    root = drawn(bars(FRAME, lines, durations(100.0)))
    texts = [g.findall("text")[0] for g in root.findall("g")]

    assert [float(r.get("width") or 0) for r in root.iter("rect")] == [2.0, 41.4, 414.0]
    assert [text.get("text-anchor") for text in texts] == ["start", "end", "start"]
    assert texts[2].get("class") == "upon c-wait"


# -- markup ---------------------------------------------------------------------------------------


def test_text_is_escaped_and_markup_is_not() -> None:
    """Whatever is not made by this package can't become an element or leave its attribute."""
    made = element("p", "<b>", element("b", "x"), ["&", None, 1.50], title='"><i', hidden=False)

    assert made == '<p title="&quot;&gt;&lt;i">&lt;b&gt;<b>x</b>&amp;1.5</p>'


def test_characters_that_no_document_may_hold_are_replaced() -> None:
    """Control characters and halves of surrogate pairs would make a page unreadable."""
    assert joined("a\x00b\x1bc\ud800d\ne") == "a\ufffdb\ufffdc\ufffdd\ne"


def test_what_is_not_escaped_can_not_end_its_element() -> None:
    """A style that holds the end of one is refused."""
    with pytest.raises(ValueError, match="would end its element"):
        raw("a {} </style>")
