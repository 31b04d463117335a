"""Input files that the vendor refuses: at upload, or when the batch is validated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from ai_batch.emulator import Limits, Timing

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab

MISSING = "missing_required_parameter"


def errors_of(batch: openai.types.Batch) -> list[tuple[str | None, str | None, int | None]]:
    """Code, parameter and line of each error of a failed batch."""
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data
    return [(error.code, error.param, error.line) for error in batch.errors.data]


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"custom_id": None}, MISSING, "custom_id"),
        ({"method": None}, MISSING, "method"),
        ({"url": None}, MISSING, "url"),
        ({"body": None}, MISSING, "body"),
        ({"custom_id": 5}, "invalid_type", "custom_id"),
        ({"body": "text"}, "invalid_type", "body"),
        ({"method": "GET"}, "invalid_value", "method"),
        ({"url": "/v1/embeddings"}, "invalid_url", "url"),
        ({"custom_id": "r0"}, "duplicate_custom_id", "custom_id"),
        ({"body": {"messages": []}}, "invalid_request", "body.model"),
        ({"body": {"model": "gpt-4o-mini"}}, MISSING, "body.messages"),
        ({"body": {"model": "gpt-4o", "messages": []}}, "mismatched_model", "body.model"),
        (
            {"body": {"model": "gpt-4o-mini", "messages": [], "stream": True}},
            "streaming_unsupported",
            "body.stream",
        ),
    ],
)
def test_a_bad_line_fails_the_batch(
    lab: Lab, change: dict[str, Any], code: str, param: str
) -> None:
    """The code, the parameter and the 1-based line tell what is wrong; nothing has run."""
    bad = {**lab.line(1), **change}
    bad = {name: value for name, value in bad.items() if value is not None}
    batch = lab.run([lab.line(0), bad, lab.line(2)])
    assert errors_of(batch) == [(code, param, 2)]
    assert batch.request_counts is not None
    assert batch.request_counts.total == 0
    assert batch.failed_at is not None
    assert batch.output_file_id is batch.error_file_id is None
    assert lab.emulator.stats.items_executed == 0


def test_all_bad_lines_are_reported(lab: Lab) -> None:
    """Each bad line has its own error, up to a hundred."""
    good = json.dumps(lab.line(0)).encode()
    batch = lab.run(good + b"\nnot json\n[1]\n" + b'{"custom_id":"x"}\n')
    assert errors_of(batch) == [
        ("invalid_json_line", None, 2),
        ("invalid_json_line", None, 3),
        (MISSING, "method", 4),
    ]
    batch = lab.run(good + b"\n" + b"bad\n" * 150)
    assert len(errors_of(batch)) == 100


@pytest.mark.parametrize("bad", [b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b"[" * 100_000])
def test_lines_that_break_parsers_are_reported(lab: Lab, bad: bytes) -> None:
    """A byte order mark, bytes that are no UTF-8 and endless nesting are bad lines, not crashes."""
    good = json.dumps(lab.line(0)).encode()
    batch = lab.run(good + b"\n" + bad + b"\n")
    assert errors_of(batch) == [("invalid_json_line", None, 2)]


def test_an_unknown_model_fails_the_batch(make_lab: Callable[..., Lab]) -> None:
    """Models can be made unknown by name, or by a function; every line of theirs is reported."""
    lab = make_lab()
    batch = lab.run(lab.lines(2, model="no-such-model"))
    assert errors_of(batch) == [("model_not_found", "body.model", line) for line in (1, 2)]
    lab = make_lab(known_model="mine".__eq__)
    assert lab.run(lab.lines(1)).status == "failed"
    assert lab.run(lab.lines(1, model="mine")).status == "completed"


def test_an_unknown_file_fails_the_batch_later(lab: Lab) -> None:
    """Creating answers 200; only then the batch fails."""
    batch = lab.create("file-unknown")
    assert batch.status == "validating"
    batch = lab.ended(batch)
    assert errors_of(batch) == [("invalid_request", "file_id", None)]


def test_a_file_of_another_purpose_fails_the_batch(lab: Lab) -> None:
    """Only a file with the purpose `batch` is an input."""
    file = lab.client.files.create(file=("x.jsonl", b"{}\n"), purpose="user_data")
    assert errors_of(lab.ended(lab.create(file.id))) == [("invalid_request", "file_id", None)]


def test_too_many_requests_fail_the_batch(make_lab: Callable[..., Lab]) -> None:
    """The number of lines is limited."""
    lab = make_lab(limits=Limits(max_requests=3))
    assert lab.run(lab.lines(3)).status == "completed"
    assert errors_of(lab.run(lab.lines(4))) == [("too_many_requests", None, None)]


def test_too_many_embedding_inputs_fail_the_batch(make_lab: Callable[..., Lab]) -> None:
    """The texts of all lines are counted together; a list of tokens is one text."""
    lab = make_lab(limits=Limits(max_embedding_inputs=3))
    url = "/v1/embeddings"
    lines = [lab.line(0, endpoint=url, input=["a", "b"]), lab.line(1, endpoint=url, input="c")]
    assert lab.run(lines, url).status == "completed"
    lines.append(lab.line(2, endpoint=url, input=[1, 2, 3]))
    assert errors_of(lab.run(lines, url)) == [("too_many_embedding_inputs", None, None)]


def test_enqueued_tokens_are_limited_per_model(make_lab: Callable[..., Lab]) -> None:
    """What waits of one model is limited; another model, or its end, makes room."""
    lab = make_lab(
        limits=Limits(enqueued_tokens={"gpt-4o-mini": 30}), timing=Timing(in_progress=100)
    )
    first = lab.submit(lab.lines(2))
    lab.emulator.advance(seconds=1)
    second = lab.submit(lab.lines(2))
    other = lab.submit(lab.lines(2, model="gpt-4o"))
    lab.emulator.advance(seconds=1)
    failed = lab.get(second)
    assert errors_of(failed) == [("token_limit_exceeded", None, None)]
    assert failed.errors is not None
    assert failed.errors.data is not None
    message = failed.errors.data[0].message or ""
    assert message.startswith("Enqueued token limit reached for gpt-4o-mini in organization org-")
    assert "Limit: 30 enqueued tokens" in message
    assert lab.get(other).status == "in_progress"
    lab.emulator.advance(seconds=100)
    assert lab.get(first).status == "completed"
    third = lab.submit(lab.lines(2))
    lab.emulator.advance(seconds=1)
    assert lab.get(third).status == "in_progress"


def test_one_number_limits_every_model(make_lab: Callable[..., Lab]) -> None:
    """A number instead of a mapping holds for each model."""
    lab = make_lab(limits=Limits(enqueued_tokens=10))
    assert errors_of(lab.run(lab.lines(2)))[0][0] == "token_limit_exceeded"


def test_an_upload_must_be_named_jsonl(lab: Lab) -> None:
    """Only `.jsonl` is taken for a batch; the refusal has a detail beside the error."""
    with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl") as caught:
        lab.client.files.create(file=("input.json", b"{}\n"), purpose="batch")
    assert caught.value.code is None
    detail = caught.value.response.json()["detail"]
    assert detail["message"].startswith("Invalid file format for Batch API.")


@pytest.mark.parametrize("content", [b"", b"hello\n{}\n"])
def test_an_upload_must_begin_with_json(lab: Lab, content: bytes) -> None:
    """An empty file and one whose first line is no JSON are refused at once."""
    with pytest.raises(openai.BadRequestError, match="jsonl"):
        lab.upload(content)
    assert lab.emulator.stats.files_uploaded == 0
    assert lab.emulator.stats.files_live == 0


def test_an_upload_may_be_too_large(make_lab: Callable[..., Lab]) -> None:
    """A byte too much is refused with the vendor's words."""
    lab = make_lab(limits=Limits(max_file_bytes=100))
    lab.upload(b"1" * 100)
    with pytest.raises(openai.BadRequestError, match=r"File is too large\.") as caught:
        lab.upload(b"1" * 101)
    assert caught.value.type == "invalid_request_error"
