"""The benchmarks tell right answers from wrong ones, and their page is what was measured."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import environments, report, results, tables
from benchmarks.charts import Bar, chart
from benchmarks.check import Given, Verdict, Wanted, judge
from benchmarks.environments import contestants
from benchmarks.runner import Run, Work
from benchmarks.sections import QUICK, SECTIONS

WANTED = [Wanted(f"r{number}", f"answer {number}") for number in range(4)]
RIGHT = [Given(one.id, one.answer, None) for one in WANTED]
WITHOUT_IDS = [replace(row, id=None) for row in RIGHT]


def swapped(rows: list[Given]) -> list[Given]:
    """The second and the third answer under each other's id, or at each other's place."""
    second, third = rows[1], rows[2]
    return [
        rows[0],
        replace(second, answer=third.answer),
        replace(third, answer=second.answer),
        rows[3],
    ]


def test_right_answers_are_right() -> None:
    """All answers, each once and under its own id, are correct and in order."""
    verdict = judge(WANTED, RIGHT)

    assert verdict == Verdict(requests=4, right=4)
    assert verdict.correct


def test_answers_without_ids_are_told_apart_by_their_place() -> None:
    """A library that gives answers by position is as right as one that gives ids."""
    verdict = judge(WANTED, WITHOUT_IDS)

    assert verdict.correct
    assert verdict.by == "position"


def test_another_order_is_no_fault_but_is_told() -> None:
    """Answers under their own ids are correct in any order, which is told by itself."""
    verdict = judge(WANTED, RIGHT[::-1])

    assert verdict.correct
    assert not verdict.in_order


@pytest.mark.parametrize(
    ("given", "fault", "times"),
    [
        pytest.param(RIGHT[:3], "lost", 1, id="lost"),
        pytest.param([], "lost", 4, id="all lost"),
        pytest.param([*RIGHT[:3], Given("r3", None, None)], "lost", 1, id="empty"),
        pytest.param([*RIGHT, RIGHT[1]], "doubled", 1, id="doubled"),
        pytest.param(swapped(RIGHT), "swapped", 2, id="swapped"),
        pytest.param([*RIGHT[:3], Given("r3", "answer", None)], "wrong", 1, id="wrong"),
        pytest.param([*RIGHT[:3], Given("r3", None, "no")], "failed", 1, id="failed"),
        pytest.param([*RIGHT, Given("r9", "answer 9", None)], "foreign", 1, id="foreign"),
        pytest.param(WITHOUT_IDS[:3], "lost", 1, id="lost, by place"),
        pytest.param(WITHOUT_IDS[1:], "swapped", 3, id="moved up, by place"),
        pytest.param(swapped(WITHOUT_IDS), "swapped", 2, id="swapped, by place"),
        pytest.param([*WITHOUT_IDS, WITHOUT_IDS[0]], "foreign", 1, id="too many, by place"),
    ],
)
def test_faults_are_found(given: list[Given], fault: str, times: int) -> None:
    """What is lost, doubled, swapped or wrong is counted as that, and the run is not correct."""
    verdict = judge(WANTED, given)

    assert not verdict.correct
    assert verdict.faults[fault] == times


def test_refused_requests_have_to_come_as_errors() -> None:
    """A request that the server refuses is right as an error, and wrong as an answer or a gap."""
    wanted = [*WANTED[:3], Wanted("r3", None)]

    assert judge(wanted, [*RIGHT[:3], Given("r3", None, "No.")]).correct
    assert judge(wanted, [*RIGHT[:3], Given("r3", "made up", None)]).wrong == 1
    assert judge(wanted, RIGHT[:3]).lost == 1


def test_vectors_are_compared_as_32_bit_floats() -> None:
    """A vector is right within what a 32-bit float holds, and no further."""
    wanted = [Wanted("a", [2, 0.1, 0.2]), Wanted("b", [2, 0.3, 0.4])]
    close = Given("a", [2, 0.10000000149, 0.2], None)

    assert judge(wanted, [close, Given("b", [2, 0.3, 0.4], None)]).correct
    assert judge(wanted, [close, Given("b", [2, 0.3, 0.41], None)]).wrong == 1
    assert judge(wanted, [close, Given("b", [2, 0.1, 0.2], None)]).swapped == 1


def test_prompts_differ() -> None:
    """No two requests have the same answer, so that a swapped one can't hide."""
    for mode in ("native", "native_embeddings"):
        wanted = Work(mode, 50).wanted()

        assert len({str(one.answer) for one in wanted}) == 50


def test_a_fault_is_shown_in_the_table() -> None:
    """A contestant that lost answers, or did not end, has that in its row."""
    work: dict[str, object] = {"mode": "native", "requests": 4, "at_once": 1}
    figures = {"wall_s": 2.0, "cpu_s": 1.0, "peak_mb": 3.0, "batches": 1.0}
    runs = [
        Run("fast", work, figures, judge(WANTED, RIGHT[:3]).to_json()),
        Run("stuck", work, {}, {}, "not done after 9 s"),
    ]

    text = tables.body("native", results.gather(runs), [("barred", "its licence")])

    assert "| fast | 2.00 | 1.00 | 4 | 3 | 1 | 1 lost | yes |" in text
    assert "| stuck | not done after 9 s |" in text
    assert "| barred | not run: its licence |" in text


def test_who_could_not_be_installed_is_in_the_table() -> None:
    """A contestant whose environment could not be made is not left out: its row says why."""
    broken = replace(contestants()["litellm"], broken="no such version")

    for section in ("native", "imports"):
        runs = list(SECTIONS[section]([broken], QUICK))

        assert "| litellm | could not be installed: no such version |" in tables.body(
            section, results.gather(runs)
        )


def test_two_benchmarks_do_not_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run says that there is one already, and leaves its environments alone."""
    monkeypatch.setattr(environments, "CACHE", tmp_path)

    with (
        environments.alone(),
        pytest.raises(BlockingIOError, match="Another benchmark is running"),
        environments.alone(),
    ):
        pass
    with environments.alone():
        pass


def test_figures_are_medians() -> None:
    """Of several runs a table shows the median, and the range where it is wide."""
    work: dict[str, object] = {"mode": "native", "requests": 4, "at_once": 1}
    right = judge(WANTED, RIGHT).to_json()
    runs = [Run("one", work, {"wall_s": took, "cpu_s": 1.0}, right) for took in (9.0, 1.0, 2.0)]

    assert "| one | 2.00 (1.00 to 9.00) | 1.00 |" in tables.body("native", results.gather(runs))


def test_results_outlive_a_file(tmp_path: Path) -> None:
    """What was saved is read again; the same case measured anew takes the old one's place."""
    work: dict[str, object] = {"mode": "native", "requests": 4}
    first = results.gather([Run("one", work, {"wall_s": 1.0}), Run("two", work, {"wall_s": 1.0})])
    again = results.gather([Run("one", work, {"wall_s": 3.0})])

    results.save("native", results.merged(first, again), tmp_path)

    found = results.load("native", tmp_path)["cases"]
    assert [(case["contestant"], case["figures"]["wall_s"]) for case in found] == [
        ("one", [3.0]),
        ("two", [1.0]),
    ]


def test_every_contestant_has_what_it_says() -> None:
    """Each contestant has code, with a function for each of its modes, or a reason to be out."""
    for one in contestants().values():
        if one.left_out:
            continue
        code = one.path.read_text("utf-8")
        assert one.statement
        assert all("==" in pin for pin in one.requires)
        for mode in one.modes:
            assert f"def {mode}(task: Task" in code, (one.name, mode)


def test_the_page_has_what_was_measured() -> None:
    """The tables of the documentation are those of the results, and so are its pictures."""
    text = report.PAGE.read_text("utf-8")

    assert report.page(text) == text
    for name, content in report.charts():
        assert (report.IMAGES / name).read_text("utf-8") == content


def test_charts_are_well_formed() -> None:
    """A chart is XML, whatever the names in it, with a bar for each."""
    drawn = chart("A < B & C", "note", [Bar("<x>", 1, "1"), Bar("y", 2, "2")])
    picture = ET.fromstring(drawn)  # noqa: S314 - our own

    bars = picture.findall("{http://www.w3.org/2000/svg}rect[@x]")
    assert [bar.get("width") for bar in bars] == ["230.0", "460.0"]
