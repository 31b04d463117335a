"""A file of prompts in, a file of answers out."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from ai_batch.cli.files import load_parquet

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell


def test_a_table_becomes_a_table_of_answers(shell: Shell) -> None:
    """Each row of a CSV file is asked by the template, and answered under its own id."""
    done = shell.run(
        shell.table(), "--prompt", "Say {text}!", "--id", "n", "--keep", "text", output="out.csv"
    )

    assert done.code == 0, done.err
    rows = shell.read_csv()
    assert [(row["id"], row["text"], row["content"]) for row in rows] == [
        ("r0", "text 0", "Say text 0!"),
        ("r1", "text 1", "Say text 1!"),
        ("r2", "text 2", "Say text 2!"),
    ]
    assert {row["error"] for row in rows} == {""}
    assert "3 of 3 requests answered" in done.err
    assert shell.emulator.stats.items_billed == 3


def test_our_own_requests_are_taken_as_they_are(shell: Shell) -> None:
    """A line of JSONL may be a whole request of the library."""
    line = {"id": "q", "messages": [{"role": "user", "content": "hello"}], "temperature": 0}

    done = shell.run(shell.write("in.jsonl", json.dumps(line)))

    assert done.code == 0, done.err
    assert [(row["id"], row["content"]) for row in shell.read()] == [("q", "hello")]


def test_lines_with_a_prompt_are_enough(shell: Shell) -> None:
    """The least that a line must hold is a prompt."""
    done = shell.run(shell.write("in.jsonl", '{"prompt": "one"}\n\n{"id": 7, "prompt": "two"}\n'))

    assert done.code == 0, done.err
    assert [(row["id"], row["content"]) for row in shell.read()] == [("req_0", "one"), ("7", "two")]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_a_batch_file_of_openai_runs_everywhere(shell: Shell, provider: str) -> None:
    """An existing batch file is answered by whichever provider and model is named."""
    models = {"openai": "gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}
    body = {
        "model": "gpt-4o-mini",
        "max_completion_tokens": 50,
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is up?"}]},
        ],
    }
    line = {"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    source = shell.write("batch.jsonl", json.dumps(line))

    done = shell("run", source, "-p", provider, "-m", models[provider], "-o", "out.jsonl")

    assert done.code == 0, done.err
    [row] = shell.read()
    assert (row["id"], row["content"]) == ("a-1", "What is up?")
    assert row["model"].startswith(models[provider])


def test_standard_input_and_output_make_a_filter(shell: Shell) -> None:
    """With - for both, answers alone are on standard output."""
    done = shell.run("-", "--format", "txt", output="-", given="one\ntwo\n")

    assert done.code == 0, done.err
    assert [line["content"] for line in done.lines] == ["one", "two"]


def test_texts_are_embedded(shell: Shell) -> None:
    """--embed gives a vector for each row, as long as was asked for."""
    done = shell(
        "run", shell.table(), "--prompt", "{text}", "--embed", "--set", "dimensions=4",
        "-p", "openai", "-m", "text-embedding-3-small", "-o", "out.csv",
    )  # fmt: skip

    assert done.code == 0, done.err
    assert [len(json.loads(row["embedding"])) for row in shell.read_csv()] == [4, 4, 4]


SCHEMA = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string", "enum": ["Ada"]}, "id": {"type": "integer"}},
    "required": ["name", "id"],
    "additionalProperties": False,
}

MODULE = """
from typing import Literal
from pydantic import BaseModel


class Person(BaseModel):
    name: Literal["Ada"]
    id: int
"""


@pytest.mark.parametrize("schema", ["person.json", "people:Person"])
def test_a_schema_becomes_columns(shell: Shell, schema: str) -> None:
    """The fields of the answers' schema stand in columns of their own, whatever their names."""
    shell.write("person.json", json.dumps(SCHEMA))
    shell.write("people.py", MODULE)

    done = shell.run(shell.table(), "--prompt", "{text}", "--schema", schema, output="out.csv")

    assert done.code == 0, done.err
    found = [(row["id"], row["name"], row["parsed.id"]) for row in shell.read_csv()]
    assert found == [("req_0", "Ada", "0"), ("req_1", "Ada", "0"), ("req_2", "Ada", "0")]


def test_parquet_goes_in_and_out(shell: Shell) -> None:
    """A Parquet file is asked row by row, and its answers are a Parquet file."""
    parquet, arrow = load_parquet(), cast("Any", importlib.import_module("pyarrow"))
    rows = {"n": [1, 2], "text": ["one", None]}
    parquet.write_table(arrow.table(rows), shell.folder / "in.parquet")
    how = ("--prompt", "Say {text}", "--id", "n", "--keep", "text")

    done = shell.run("in.parquet", *how, output="out.parquet")

    assert done.code == 0, done.err
    found = parquet.read_table(shell.folder / "out.parquet").to_pylist()
    assert [(row["id"], row["text"], row["content"]) for row in found] == [
        ("1", "one", "Say one"),
        ("2", "", "Say "),
    ]
    assert [row["error"] for row in found] == [None, None]


def test_vectors_in_parquet_are_lists(shell: Shell) -> None:
    """Embeddings are numbers in a Parquet file, one list of vectors for each row."""
    parquet = load_parquet()

    done = shell.run("-", "--format", "txt", "--embed", "-m", "text-embedding-3-small",
                     "--set", "dimensions=4", output="out.parquet", given="one\n")  # fmt: skip

    assert done.code == 0, done.err
    [row] = parquet.read_table(shell.folder / "out.parquet").to_pylist()
    assert [len(vector) for vector in row["embedding"]] == [4]


def test_a_system_message_goes_in_front(shell: Shell) -> None:
    """--system is sent with each request that has no system message itself."""
    own = {"messages": [{"role": "system", "content": "Mine."}, {"role": "user", "content": "b"}]}
    source = shell.write("in.jsonl", '{"prompt": "a"}\n' + json.dumps(own))

    done = shell.run(source, "--system", "Be kind.")

    assert done.code == 0, done.err
    [folder] = (shell.folder.parent / "home" / "jobs").iterdir()
    sent = [json.loads(line) for line in (folder / "requests.jsonl").read_bytes().splitlines()]
    systems = [request["messages"][0]["parts"][0]["text"] for request in sent]
    assert systems == ["Be kind.", "Mine."]


def test_the_same_command_again_pays_nothing(shell: Shell) -> None:
    """Answers that are there already are written again; --fresh asks anew."""
    arguments = (shell.table(), "--prompt", "{text}")
    shell.run(*arguments)

    again = shell.run(*arguments, output="again.jsonl")
    billed = shell.emulator.stats.items_billed
    fresh = shell.run(*arguments, "--fresh", output="fresh.jsonl")

    assert (again.code, billed) == (0, 3)
    assert "nothing is sent" in again.err
    assert shell.read("again.jsonl") == shell.read()
    assert (fresh.code, shell.emulator.stats.items_billed) == (0, 6)


def test_a_job_that_costs_too_much_is_refused(shell: Shell) -> None:
    """--max-cost ends the command before anything is sent, and leaves no job."""
    limits = ("--max-tokens", "100000", "--max-cost", "0.0001")

    done = shell.run(shell.table(), "--prompt", "{text}", *limits)

    assert done.code == 2
    assert "more than max_cost" in done.err
    assert shell.emulator.stats.files_uploaded == 0
    assert shell("jobs", "--json").json == []


def test_requests_that_fail_are_in_the_output(picky: Shell) -> None:
    """A request without an answer has its error in the file, and the exit code tells."""
    source = picky.write("in.txt", "fine\nbad\nalso fine\n")

    done = picky.run(source, output="out.csv")

    rows = picky.read_csv()
    assert done.code == 1, done.err
    assert [row["content"] for row in rows] == ["fine", "", "also fine"]
    assert "No bad words" in rows[1]["error"]
    assert "ai-batch retry" in done.err


def test_machines_get_json_lines(shell: Shell) -> None:
    """--json writes one object per change, and how it ended."""
    done = shell.run(shell.table(), "--prompt", "{text}", "--json")

    *progress, last = done.lines
    assert {line["type"] for line in progress} == {"progress"}
    assert (last["type"], last["completed"], last["total"]) == ("complete", 3, 3)
    assert last["output"] == "out.jsonl"


def test_all_faulty_rows_are_reported_together(shell: Shell) -> None:
    """Faults of rows are told with their lines, each cause once, and nothing is sent."""
    source = shell.write("in.csv", "n,text\na,b\nc\nd\ne,\n")

    done = shell.run(source, "--prompt", "{text}", "--id", "n")

    assert done.code == 2
    assert "3 rows are faulty; nothing was sent" in done.err
    assert "line 3 and 1 more: 1 cells, the header has 2" in done.err
    assert "line 5: the prompt is empty" in done.err
    assert shell.emulator.stats.files_uploaded == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("in.csv", "--prompt", "{nothing}"), "there are 'n', 'text'"),
        (("in.csv", "--prompt", "{text"), "--prompt: "),
        (("in.csv", "--prompt", "{text:>5}"), "braces hold the name of a column"),
        (("in.csv",), "say what to ask with --prompt"),
        (("missing.csv", "--prompt", "{text}"), "'missing.csv' cannot be read: No such file"),
        (("in.xls", "--prompt", "{text}"), "say --format"),
        (("latin.csv", "--prompt", "{text}"), "is not UTF-8"),
        (("open.csv", "--prompt", "{text}"), "the first line must name the columns, but: "),
        (("deep.jsonl",), "line 1: not JSON (it is nested too deeply)"),
        (("null.jsonl", "--system", "Be brief."), "line 1: 'input' is missing"),
        (("in.csv", "--prompt", "{text}", "-O", "api_key=sk-1"), "keys come from the environment"),
        (("in.csv", "--prompt", "{text}", "-O", "poll_intervall=1"), "did you mean poll_interval"),
        (("in.csv", "--prompt", "{text}", "-O", "max_attempts=many"), "can't be meant"),
        (("in.csv", "--prompt", "{text}", "-O", "poll_interval=soon"), "can't be meant"),
        (("in.csv", "--prompt", "{text}", "--schema", "no.json"), "--schema no.json cannot be"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_wrong_call_says_what_to_do(
    shell: Shell, arguments: tuple[str, ...], reason: str
) -> None:
    """What can't be meant ends the command with one message, before anything is sent."""
    shell.table()
    shell.write("in.xls", "")
    shell.write("open.csv", 'n,"text"s\na,b\n')
    shell.write("deep.jsonl", "[" * 100_000)
    shell.write("null.jsonl", '{"url": "/v1/embeddings", "body": {"input": null}}')
    (shell.folder / "latin.csv").write_bytes(b"text\n\xe4\n")

    done = shell.run(*arguments)

    assert done.code == 2
    assert reason in done.err
    assert shell.emulator.stats.files_uploaded == 0


def test_an_output_that_can_not_be_written_is_found_before_paying(shell: Shell) -> None:
    """A missing folder or an unknown suffix is told first."""
    missing = shell.run(shell.table(), "--prompt", "{text}", output="no/such/out.csv")
    unknown = shell.run(shell.table(), "--prompt", "{text}", output="out.doc")

    assert (missing.code, unknown.code) == (2, 2)
    assert "there is no folder" in missing.err
    assert ".jsonl, .csv, .tsv, .parquet" in unknown.err
    assert shell.emulator.stats.files_uploaded == 0


def test_anthropic_has_no_embeddings(shell: Shell) -> None:
    """What a provider can't do at all is told before the input is read."""
    done = shell("run", "-", "-p", "anthropic", "-m", "x", "-o", "out.csv", "--embed")

    assert done.code == 2
    assert "anthropic has no embeddings" in done.err


def test_a_cell_may_hold_lines_and_quotes(shell: Shell) -> None:
    """Cells go to the model, and answers into cells, as they are."""
    text = 'first\n"second", ünïcode'
    shell.write("in.csv", 'text\n"first\n""second"", ünïcode"\n')

    done = shell.run("in.csv", "--prompt", "{text}", output="out.csv")

    assert done.code == 0, done.err
    assert [row["content"] for row in shell.read_csv()] == [text]
