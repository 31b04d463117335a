"""Datasets go through a batch API on a real cluster, whatever dies on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest
from pydantic import BaseModel

from ai_batch.core import AuthenticationFailed, UsageError
from ai_batch.emulator import Emulator
from ai_batch.ray import RowsFailed, build_processor, collect, plan, work
from ai_batch.ray.making import processor_of

if TYPE_CHECKING:
    from packages.ray.tests.conftest import Cluster, MakeConfig

pytestmark = [
    # What Ray leaves open, and says of itself, is not ours.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class City(BaseModel):
    """What an answer is to look like."""

    name: str


def ask(row: dict[str, Any]) -> dict[str, Any]:
    """The request of a row."""
    return {"id": f"n{row['n']}", "messages": row["text"]}


def numbered(count: int) -> list[dict[str, Any]]:
    """So many rows, each with a text of its own."""
    return [{"n": n, "text": f"text {n}"} for n in range(count)]


def requests(count: int) -> list[dict[str, Any]]:
    """So many rows that are requests as they are."""
    return [{"id": f"q{n}", "messages": f"question {n}"} for n in range(count)]


def billed_once(emulator: Emulator, count: int) -> bool:
    """Whether so many requests were paid for, and none of them again."""
    return emulator.stats.items_billed == count and not emulator.stats.billed_twice()


def test_lines_become_a_table_with_answers(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig, tmp_path: Path
) -> None:
    """JSONL in, Parquet out: each row has its answer, in the order in which the rows came."""
    for half, rows in enumerate((numbered(25)[:12], numbered(25)[12:])):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{half}.jsonl").write_text(lines)
    processor = build_processor(
        make_config(),
        preprocess=lambda row: {
            "id": f"n{row['n']}",
            "messages": [{"role": "user", "content": row["text"]}],
            "sampling_params": {"max_tokens": 20, "temperature": 0.5},
        },
        postprocess=lambda row: {
            "n": row["n"],
            "answer": row["generated_text"],
            "tokens": row["num_input_tokens"] + row["num_generated_tokens"],
            "why": row["finish_reason"],
            "id": row["request_id"],
        },
    )

    dataset = cluster.data.read_json([str(tmp_path / "0.jsonl"), str(tmp_path / "1.jsonl")])
    answers: Any = processor(dataset)
    answers.write_parquet(str(tmp_path / "answers"))

    written: Any = pyarrow.parquet
    found = written.read_table(tmp_path / "answers").sort_by("n").to_pylist()
    assert [row["answer"] for row in found] == [f"text {n}" for n in range(25)]
    assert [row["id"] for row in found] == [f"n{n}" for n in range(25)]
    assert all(row["tokens"] > 0 and row["why"] == "stop" for row in found)
    assert emulator.stats.batches_created == 3
    assert billed_once(emulator, 25)


def test_three_steps_hold_nothing_between_them(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig, tmp_path: Path
) -> None:
    """Planning sends nothing; what is done can be collected early, and all of it in order."""
    config = make_config()
    written: Any = pyarrow.parquet
    written.write_table(pyarrow.Table.from_pylist(requests(23)), tmp_path / "in.parquet")
    dataset = cluster.data.read_parquet(str(tmp_path / "in.parquet"))

    manifest = plan(dataset, config)

    assert [(part.first, part.rows) for part in manifest.parts] == [(0, 10), (10, 10), (20, 3)]
    assert emulator.stats.batches_created == 0
    with pytest.raises(UsageError, match=r"3 of 3 parts .* are not done"):
        collect(config)
    with processor_of(config) as processor:
        processor.attach(manifest.job_ids[1]).join()
    some = collect(config, partial=True).take_all()
    assert [row["generated_text"] for row in some] == [f"question {n}" for n in range(10, 20)]

    assert work(config).ended == 2
    answers = collect(config)
    assert (answers.columns() or [])[:4] == ["id", "messages", "request_id", "generated_text"]
    found = answers.take_all()
    assert [row["request_id"] for row in found] == [f"q{n}" for n in range(23)]
    assert [row["generated_text"] for row in found] == [f"question {n}" for n in range(23)]
    assert collect(config).count() == 23
    assert billed_once(emulator, 23)


def test_nothing_is_asked_for_no_rows(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """An empty dataset gives an empty dataset, with the columns of answers."""
    dataset = cluster.data.from_items(requests(5)).limit(0)

    answers = build_processor(make_config())(dataset)

    assert answers.count() == 0
    assert "generated_text" in (answers.columns() or [])
    assert emulator.stats.files_uploaded == 0


def test_a_part_may_take_several_batches(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """The vendor's limits cut a part into batches; its rows stay together and in order."""
    config = make_config(batch_size=8, limits={"max_enqueued_tokens": 300})
    rows = [{"messages": f"{n} {'word ' * 50}"} for n in range(12)]

    found = build_processor(config)(cluster.data.from_items(rows)).take_all()

    assert [row["request_id"] for row in found] == [f"req_{n}" for n in range(12)]
    assert [int(row["generated_text"].split()[0]) for row in found] == list(range(12))
    assert emulator.stats.batches_created > 2
    assert billed_once(emulator, 12)


def test_rows_without_an_answer_say_why(
    cluster: Cluster, make_emulator: Any, make_config: MakeConfig
) -> None:
    """One bad row stops the collecting, or has an error in its column: as with ray.data.llm."""

    def answer(_: str, body: dict[str, Any]) -> Any:
        bad = body["messages"][-1]["content"] == "text 7"
        return (400, {"error": {"message": "not that one", "code": "no"}}) if bad else None

    emulator = make_emulator(answer=answer)
    strict = make_config(options={"base_url": emulator.openai_url})
    dataset = cluster.data.from_items(numbered(12))

    with pytest.raises(RowsFailed, match=r"1 of 12 rows .* row 7 \('n7'\): .*not that one"):
        build_processor(strict, ask)(dataset)

    lenient = strict.model_copy(update={"should_continue_on_error": True})
    found = build_processor(lenient, ask, lambda row: {"n": row["n"]})(dataset).take_all()
    assert [row["n"] for row in found] == list(range(12))
    assert [row["n"] for row in found if row["__inference_error__"]] == [7]
    assert "not that one" in found[7]["__inference_error__"]
    plain = collect(lenient).take_all()
    assert [row["generated_text"] for row in plain[6:9]] == ["text 6", None, "text 8"]
    assert [row["__inference_error__"] == "" for row in plain[6:9]] == [True, False, True]
    assert emulator.stats.batches_created == 2


def test_vectors_come_as_lists_of_vectors(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """Each row has one vector for each of its texts, in order."""
    config = make_config(model="text-embedding-3-small")
    dataset = cluster.data.from_items(numbered(5))

    def texts(row: dict[str, Any]) -> dict[str, Any]:
        return {"texts": [row["text"], "more"], "dimensions": 4}

    found = build_processor(config, texts)(dataset).take_all()
    shapes = [(len(row["embeddings"]), len(row["embeddings"][0])) for row in found]
    assert shapes == [(2, 4)] * 5
    (first, *_) = collect(config, lambda row: {"sum": sum(row["embeddings"][1])}).take_all()
    assert first["sum"] == pytest.approx(sum(found[0]["embeddings"][1]), abs=1e-5)
    assert emulator.stats.batches_created == 1


def test_answers_have_the_shape_that_was_asked_for(
    cluster: Cluster, make_emulator: Any, make_config: MakeConfig
) -> None:
    """A pydantic model decides what is answered; ``parsed`` is that, as plain data."""

    def answer(_: str, body: dict[str, Any]) -> Any:
        message = {"role": "assistant", "content": '{"name": "Oslo"}', "refusal": None}
        assert body["response_format"]["json_schema"]["schema"]["properties"].keys() == {"name"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}

    emulator = make_emulator(answer=answer)
    config = make_config(options={"base_url": emulator.openai_url})
    schema = City.model_json_schema()

    processor = build_processor(
        config,
        lambda row: {"messages": row["text"], "output_type": schema},
        lambda row: {"city": row["parsed"]["name"]},
    )

    assert processor(cluster.data.from_items(numbered(2))).take_all() == [{"city": "Oslo"}] * 2
    assert [row["parsed"] for row in collect(config).take_all()] == ['{"name":"Oslo"}'] * 2


def test_faults_of_requests_are_said_with_their_rows(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """All rows are checked before any is on record; their places count over the whole dataset."""
    rows = [{"id": f"q{n}", "messages": "" if n in (3, 17) else "hello"} for n in range(20)]
    dataset = cluster.data.from_items(rows, override_num_blocks=4)
    config = make_config()

    with pytest.raises(UsageError, match="2 problems in 20 rows") as caught:
        plan(dataset, config)

    places = [(problem.id, problem.index) for problem in caught.value.problems]
    assert places == [("q3", 3), ("q17", 17)]
    with processor_of(config) as processor:
        assert processor.jobs() == []
    assert emulator.stats.files_uploaded == 0
    mended = cluster.data.from_items(requests(3))
    assert plan(mended, config).total == 3


def test_a_part_with_the_same_id_twice_is_refused(
    cluster: Cluster, make_config: MakeConfig
) -> None:
    """What is found where a part is planned names the row's place in the whole dataset, too."""
    dataset = cluster.data.from_items([*requests(15), {"id": "q12", "messages": "again"}])

    with pytest.raises(UsageError, match="duplicate id") as caught:
        plan(dataset, make_config())

    assert [problem.index for problem in caught.value.problems] == [15]


def test_a_job_may_not_cost_more_than_it_is_allowed(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """The cost of all parts together is checked before one of them is on record."""
    rows = cluster.data.from_items([{"messages": "word " * 1000} for _ in range(20)])

    with pytest.raises(UsageError, match="more than max_cost"):
        plan(rows, make_config(limits={"max_cost": 0.0002}))

    assert len(plan(rows, make_config(limits={"max_cost": 1.0})).parts) == 2
    assert emulator.stats.files_uploaded == 0


@pytest.mark.usefixtures("cluster")
def test_the_guide_is_true(
    emulator: Emulator,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Who copies the snippets of the page about Ray gets an answer for each row."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).resolve().parents[3] / "docs/guides/ray.md"
    snippets = re.findall(r"^```python\b.*\n((?:.*\n)*?)```", page.read_text(), re.MULTILINE)
    names: dict[str, Any] = {"__name__": "__main__"}

    for snippet in snippets:
        exec(compile(snippet, str(page), "exec"), names)  # noqa: S102 - it is our own page

    written: Any = pyarrow.parquet
    summaries = written.read_table(tmp_path / "summaries").column("summary").to_pylist()
    assert set(summaries) == {f"Sum it up: I have read it {n} times." for n in range(20)}
    assert names["found"].count() == 20
    assert billed_once(emulator, 40)


# -- the same again -------------------------------------------------------------------------------


def test_a_name_is_one_job_for_ever(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """The same call again costs nothing; what is not the same must have another name."""
    dataset = cluster.data.from_items(numbered(12))
    first = plan(dataset, make_config(), ask)
    work(make_config())

    assert plan(dataset, make_config(), ask) == first
    again = build_processor(make_config(), ask, lambda row: {"a": row["generated_text"]})(dataset)
    assert again.count() == 12
    with pytest.raises(UsageError, match="with other model"):
        plan(dataset, make_config(model="gpt-4o"), ask)
    with pytest.raises(UsageError, match="with other rows"):
        plan(cluster.data.from_items(numbered(13)), make_config(), ask)
    with pytest.raises(UsageError, match="preprocess gives another request"):
        plan(dataset, make_config(), lambda row: {"messages": f"Be brief. {row['text']}"})
    assert billed_once(emulator, 12)

    other = plan(dataset, make_config(job="other"), ask)
    assert not set(other.job_ids) & set(first.job_ids)


def test_parts_that_were_refused_are_planned_again(
    cluster: Cluster, make_emulator: Any, make_config: MakeConfig
) -> None:
    """Where the vendor refused whole batches nothing was paid: the same call asks again."""
    known: set[str] = set()
    emulator = make_emulator(known_model=known.__contains__)
    config = make_config(options={"base_url": emulator.openai_url})
    processor = build_processor(config, ask)
    dataset = cluster.data.from_items(numbered(12))
    with pytest.raises(RowsFailed, match="12 of 12 rows"):
        processor(dataset)

    known.add("gpt-4o-mini")
    assert processor(dataset).count() == 12
    assert billed_once(emulator, 12)


# -- deaths ---------------------------------------------------------------------------------------


def test_a_task_that_dies_while_it_plans_finds_its_job_again(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig, tmp_path: Path
) -> None:
    """A process is killed after its job is on record, and before anybody knows: no second job."""
    marker = tmp_path / "died"
    config = make_config(provider="mortal", options={"marker": str(marker)})

    manifest = plan(cluster.data.from_items(requests(25)), config)

    assert marker.exists()
    with processor_of(make_config()) as processor:
        assert {job.id for job in processor.jobs()} == set(manifest.job_ids)
    work(config)
    assert collect(config).count() == 25
    assert billed_once(emulator, 25)


def test_a_task_that_dies_over_the_rows_is_begun_again(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig, tmp_path: Path
) -> None:
    """A process killed in preprocess or in postprocess loses no row, and doubles none."""
    early, late = str(tmp_path / "early"), str(tmp_path / "late")

    def die_once(marker: str) -> None:
        if not os.path.exists(marker):  # noqa: PTH110 - it is sent to the workers as it stands
            with open(marker, "x"):  # noqa: PTH123 - the same
                pass
            os.kill(os.getpid(), signal.SIGKILL)

    def mortal(row: dict[str, Any]) -> dict[str, Any]:
        if row["n"] == 13:
            die_once(early)
        return {"messages": row["text"]}

    def mortal_too(row: dict[str, Any]) -> dict[str, Any]:
        if row["n"] == 13:
            die_once(late)
        return {"n": row["n"], "answer": row["generated_text"]}

    config = make_config()
    dataset = cluster.data.from_items(numbered(25), override_num_blocks=3)
    plan(dataset, config, mortal)
    work(config)
    found = collect(config, mortal_too).take_all()

    assert [(row["n"], row["answer"]) for row in found] == [(n, f"text {n}") for n in range(25)]
    assert Path(early).exists()
    assert Path(late).exists()
    assert len(list((config.home_path / "ray/job/rows").glob("*.parquet"))) == 3
    assert billed_once(emulator, 25)


def test_another_driver_goes_on_where_one_was_killed(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig
) -> None:
    """A driver is killed in the middle of its planning; what it had planned is not planned anew."""
    config = make_config(concurrency=1)
    program = Path(__file__).with_name("killed_driver.py")
    fields = config.model_dump_json(exclude={"ledger", "limits"}, exclude_none=True)

    done = subprocess.run(
        [sys.executable, program, cluster.address, fields, "35"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(UsageError, match="there is no planned job"):
        collect(config)
    with processor_of(config) as processor:
        before = {job.id for job in processor.jobs()}
    manifest = plan(cluster.data.from_items(requests(35)), config)
    assert before
    assert before <= set(manifest.job_ids)
    work(config)
    assert [row["request_id"] for row in collect(config).take_all()] == [f"q{n}" for n in range(35)]
    assert billed_once(emulator, 35)


# -- keys -----------------------------------------------------------------------------------------


def test_a_wrong_key_is_said_without_the_key(
    cluster: Cluster,
    make_emulator: Any,
    make_config: MakeConfig,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names no key; with the right one, the same call goes on."""
    right = "sk-right-0123456789abcdef"
    emulator = make_emulator(api_keys={right})
    config = make_config(options={"base_url": emulator.openai_url})
    dataset = cluster.data.from_items(requests(3))

    with pytest.raises(AuthenticationFailed) as caught:
        build_processor(config)(dataset)
    assert key not in f"{caught.value!r} {caught.value} {vars(caught.value)}"

    monkeypatch.setenv("OPENAI_API_KEY", right)
    assert build_processor(config)(dataset).count() == 3
    assert billed_once(emulator, 3)


def test_no_key_is_in_what_ray_sees(
    cluster: Cluster, emulator: Emulator, make_config: MakeConfig, key: str
) -> None:
    """Neither what is sent to other machines, nor errors, nor Ray's logs hold a key."""
    from ray import cloudpickle

    config = make_config(options={"base_url": emulator.openai_url})
    processor = build_processor(config, ask)
    failing = make_config(job="failing", options={"no_such_option": 1})
    with pytest.raises(UsageError, match="no option 'no_such_option'") as caught:
        plan(cluster.data.from_items(numbered(3)), failing, ask)
    processor(cluster.data.from_items(numbered(3))).count()

    pickled: Any = cloudpickle
    sent = [config.settled(), processor, caught.value]
    assert not any(key.encode() in pickled.dumps(value) for value in sent)
    assert key not in repr(config)
    logs = [path for path in cluster.logs.rglob("*") if path.is_file()]
    assert len(logs) > 5
    assert not any(key.encode() in path.read_bytes() for path in logs)
    written = [path for path in config.home_path.rglob("*") if path.is_file()]
    assert written
    assert not any(key.encode() in path.read_bytes() for path in written)


def test_other_providers_are_found_by_name(
    cluster: Cluster,
    emulator: Emulator,
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
) -> None:
    """A provider that is installed on the machines is all that a config needs."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    options = {"base_url": emulator.anthropic_url}
    config = make_config(provider="anthropic", model="claude-haiku-4-5", options=options)

    found = build_processor(config, ask)(cluster.data.from_items(numbered(3))).take_all()

    assert [row["generated_text"] for row in found] == ["text 0", "text 1", "text 2"]
