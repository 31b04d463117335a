"""Bad input: an error that names the request, the field and what is allowed, before any call."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.core import (
    ChatRequest,
    Document,
    EmbeddingRequest,
    Image,
    LedgerError,
    Message,
    Text,
    Tool,
    UsageError,
    tool_result,
    user,
)
from ai_batch.openai import OpenAIProcessor

if TYPE_CHECKING:
    from tests.conftest import Lab

TOOL = Tool(name="weather")

# What is handed in as the second request, and what its error has to say.
CASES: dict[str, tuple[Any, list[str]]] = {
    "no messages": (ChatRequest(id="bad", messages=[]), ["messages", "at least one"]),
    "blank text": (ChatRequest(id="bad", messages=""), ["messages", "empty"]),
    "no texts": (EmbeddingRequest(id="bad", texts=()), ["texts", "at least one"]),
    "an empty text": (EmbeddingRequest(id="bad", texts=("a", "")), ["texts[1]", "empty"]),
    "too many texts": (
        EmbeddingRequest(id="bad", texts=("a",) * 2049),
        ["texts", "2049", "2048"],
    ),
    "dimensions of zero": (
        EmbeddingRequest(id="bad", texts=("a",), dimensions=0),
        ["dimensions", "0", "1 or more"],
    ),
    "a task": (EmbeddingRequest(id="bad", texts=("a",), task="query"), ["task"]),
    "max_tokens of zero": (
        ChatRequest(id="bad", messages="x", max_tokens=0),
        ["max_tokens", "0", "1 or more"],
    ),
    "a hot temperature": (
        ChatRequest(id="bad", messages="x", temperature=2.5),
        ["temperature", "2.5", "0 and 2"],
    ),
    "a top_p above one": (
        ChatRequest(id="bad", messages="x", top_p=1.5),
        ["top_p", "1.5", "0 and 1"],
    ),
    "an unknown effort": (
        ChatRequest(id="bad", messages="x", reasoning_effort="extreme"),
        ["reasoning_effort", "'extreme'", "minimal, low, medium, high"],
    ),
    "five stop sequences": (
        ChatRequest(id="bad", messages="x", stop=("a", "b", "c", "d", "e")),
        ["stop", "5", "at most 4"],
    ),
    "a choice without tools": (
        ChatRequest(id="bad", messages="x", tool_choice="required"),
        ["tool_choice", "'required'", "no tools"],
    ),
    "a choice of an unknown tool": (
        ChatRequest(id="bad", messages="x", tools=(TOOL,), tool_choice="wether"),
        ["tool_choice", "'wether'", "weather"],
    ),
    "two tools of one name": (
        ChatRequest(id="bad", messages="x", tools=(TOOL, TOOL)),
        ["tools", "2", "'weather'"],
    ),
    "an answer to no call": (
        ChatRequest(id="bad", messages=[user("x"), tool_result("call_1", "y")]),
        ["messages[1]", "'call_1'"],
    ),
    "an output that is no object": (
        ChatRequest(id="bad", messages="x", output_type=list[int]),
        ["output_type", "'array'", "object"],
    ),
    "a document by URL": (
        ChatRequest(
            id="bad", messages=[Message(role="user", parts=(Document(url="https://x/a.pdf"),))]
        ),
        ["messages[0].parts[0]", "URL"],
    ),
    "a picture from a system": (
        ChatRequest(
            id="bad",
            messages=[Message(role="system", parts=(Image(url="https://x/a.png"),)), user("x")],
        ),
        ["messages[0].parts[0]", "Image", "system", "Text"],
    ),
    "an odd detail": (
        ChatRequest(
            id="bad",
            messages=[
                Message(role="user", parts=(Text(text="x"), Image(url="https://x/", detail="max")))
            ],
        ),
        ["messages[0].parts[1]", "'max'", "auto, low, high"],
    ),
    "a file that is not there": (
        ChatRequest(
            id="bad",
            messages=[Message(role="user", parts=(Image(path=Path("no-such-picture.png")),))],
        ),
        ["messages", "no-such-picture.png"],
    ),
    "streaming": (
        ChatRequest(id="bad", messages="x", extra={"stream": True}),
        ["extra.stream", "cannot stream"],
    ),
    "a model in extra": (
        ChatRequest(id="bad", messages="x", extra={"model": "gpt-4o"}),
        ["extra.model"],
    ),
    "what JSON cannot hold": (
        ChatRequest(id="bad", messages="x", extra={"logit_bias": {"1": math.nan}}),
        ["extra", "JSON"],
    ),
    "a dict with neither": ({"id": "bad"}, ["messages (chat)", "texts (embedding)"]),
    "a dict with a typo": (
        {"id": "bad", "messages": "x", "temprature": 1},
        ["temprature", "no such field", "did you mean temperature"],
    ),
    "a dict of wrong types": (
        {"id": "bad", "messages": "x", "max_tokens": "many"},
        ["max_tokens", "integer", "'many'"],
    ),
    "an unknown role": (
        {"id": "bad", "messages": [{"role": "robot", "content": "x"}]},
        ["messages[0].role", "'robot'", "'system', 'user', 'assistant'"],
    ),
    "an unknown part": (
        {"id": "bad", "messages": [{"role": "user", "content": [{"type": "smell"}]}]},
        ["messages[0].parts[0]", "smell"],
    ),
    "a picture with two sources": (
        {
            "id": "bad",
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "url": "https://x", "path": "x.png"}],
                }
            ],
        },
        ["exactly one of url, path and data", "2"],
    ),
}


def sent_nothing(lab: Lab) -> None:
    """No call was made, and nothing is left on disk."""
    assert lab.emulator.stats.requests == {}
    assert list((lab.home / "jobs").iterdir()) == []


@pytest.mark.parametrize("name", CASES)
def test_a_bad_request_is_named(lab: Lab, name: str) -> None:
    """The message tells which request, which field, what was found and what is allowed."""
    bad, words = CASES[name]
    processor = lab.processor()
    with pytest.raises(UsageError) as caught:
        processor.process([ChatRequest(messages="fine"), bad, ChatRequest(messages="fine too")])
    message = str(caught.value)
    assert message.startswith("1 problem in 3 requests; nothing was sent")
    assert "request 'bad' (index 1)" in message
    for word in words:
        assert word in message
    (problem,) = caught.value.problems
    assert (problem.id, problem.index) == ("bad", 1)
    sent_nothing(lab)
    assert processor.jobs() == []


def test_all_faults_come_together(lab: Lab) -> None:
    """One run tells of every fault: several of one request, several requests, duplicate ids."""
    requests: list[Any] = [
        ChatRequest(id="a", messages="x", temperature=3.0, max_tokens=-1),
        ChatRequest(id="b", messages="x"),
        {"id": "c", "messages": "x", "top_q": 1},
        ChatRequest(id="b", messages="y"),
    ]
    with pytest.raises(UsageError) as caught:
        lab.processor().process(requests)
    message = str(caught.value)
    assert "4 problems in 4 requests" in message
    for words in (
        "request 'a' (index 0): temperature",
        "request 'a' (index 0): max_tokens",
        "request 'c' (index 2): top_q",
        "request 'b' (index 3): id: duplicate id, first used by the request at index 1",
    ):
        assert words in message
    sent_nothing(lab)


def test_a_thousand_faults_are_counted_and_a_hundred_listed(lab: Lab) -> None:
    """The list stops at a hundred; the number does not."""
    requests = [ChatRequest(messages="x", temperature=9.0) for _ in range(1000)]
    with pytest.raises(UsageError) as caught:
        lab.processor().process(requests)
    assert "1000 problems in 1000 requests" in str(caught.value)
    assert len(caught.value.problems) == 100
    assert "... and 900 more" in str(caught.value)
    sent_nothing(lab)


def test_a_blank_id_has_a_name_in_errors(lab: Lab) -> None:
    """A request without an id is called by its place."""
    with pytest.raises(UsageError, match=r"request 'req_1' \(index 1\): temperature"):
        lab.processor().process(["fine", ChatRequest(messages="x", temperature=9.0)])
    sent_nothing(lab)


def test_an_id_may_not_be_what_a_blank_one_becomes(lab: Lab) -> None:
    """``req_1`` given by hand collides with the name of the second request."""
    with pytest.raises(UsageError, match=r"'req_1' \(index 1\): id: duplicate id"):
        lab.processor().process([ChatRequest(id="req_1", messages="x"), "y"])
    sent_nothing(lab)


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        (ChatRequest(messages="x"), "not a single request"),
        ({"messages": "x"}, "not a single request"),
        (42, "must be iterable, or the path of a JSONL file, not int"),
        (None, "not NoneType"),
        ([42], "a request is a ChatRequest, an EmbeddingRequest, a dict or a string, not int"),
        ("What is the capital of France?", "for one prompt give a list of it"),
        (Path("no-such-file.jsonl"), "cannot be read: No such file"),
    ],
    ids=["one", "dict", "number", "none", "numbers", "prompt", "path"],
)
def test_what_is_no_list_of_requests_is_said(lab: Lab, requests: Any, words: str) -> None:
    """Handing in the wrong kind of thing is answered with the right one."""
    with pytest.raises(UsageError) as caught:
        lab.processor().process(requests)
    assert words in str(caught.value)
    sent_nothing(lab)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": "q", "messages": "x"', "not JSON"),
        ("hello", "not JSON"),
        ("[1, 2]", "must be a JSON object"),
        ('{"id": "q"}', "messages (chat) or texts (embedding)"),
        ('{"id": "q", "messages": "x", "top_p": 2}', "top_p"),
    ],
    ids=["cut", "text", "list", "neither", "value"],
)
def test_a_bad_line_of_a_file_is_named(lab: Lab, tmp_path: Path, line: str, words: str) -> None:
    """A file's faults are told by the line's index."""
    path = tmp_path / "requests.jsonl"
    path.write_text('{"messages": "fine"}\n' + line + "\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        lab.processor().process(path)
    assert "(index 1)" in str(caught.value)
    assert words in str(caught.value)
    sent_nothing(lab)


def test_an_iterable_that_fails_leaves_nothing(lab: Lab) -> None:
    """What the user's own generator raises comes through, and no folder stays behind."""

    def requests() -> Any:
        yield "fine"
        raise ZeroDivisionError("in the user's code")

    with pytest.raises(ZeroDivisionError, match="in the user's code"):
        lab.processor().process(requests())
    sent_nothing(lab)


async def test_an_async_iterable_is_checked_alike(lab: Lab) -> None:
    """An async source gets the same errors."""

    async def requests() -> AsyncIterator[ChatRequest]:
        yield ChatRequest(id="bad", messages="x", temperature=9.0)

    with pytest.raises(UsageError, match=r"request 'bad' \(index 0\): temperature"):
        await lab.processor().aprocess(requests())
    sent_nothing(lab)


def test_a_missing_model_is_said(lab: Lab) -> None:
    """Without a model the message says where to give one."""
    with pytest.raises(UsageError, match=r"model: no model: set it on the request, or model="):
        lab.processor(model=None).process(["x"])
    sent_nothing(lab)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_attempts": 0}, "max_attempts must be 1 or more, found 0"),
        ({"max_batches_in_flight": -1}, "max_batches_in_flight must be 1 or more, found -1"),
        ({"max_cost": -1.0}, "max_cost must not be negative, found -1.0"),
        ({"poll_interval": -1.0}, "poll_interval must not be negative"),
        ({"deadline": -1.0}, "deadline must not be negative"),
        ({"endpoint": "/v1/completions"}, "endpoint must be /v1/chat/completions or"),
    ],
    ids=["attempts", "batches", "cost", "poll", "deadline", "endpoint"],
)
def test_options_that_cannot_be_meant_are_refused(options: Any, words: str) -> None:
    """Wrong options are refused when the processor is made."""
    with pytest.raises(UsageError) as caught:
        OpenAIProcessor(model="gpt-4o-mini", api_key="sk-options", **options)
    assert words in str(caught.value)


def test_openai_itself_wants_a_key(tmp_path: Path) -> None:
    """Without a key the message names the variable to set; a server of one's own needs none."""
    with pytest.raises(UsageError, match="set OPENAI_API_KEY, or pass api_key="):
        OpenAIProcessor(model="gpt-4o-mini", home=tmp_path / "home").process(["x"])


def test_an_unknown_job_is_said(lab: Lab) -> None:
    """Attaching to a job that is not in the ledger points to the list of those that are."""
    with pytest.raises(LedgerError, match=r"no job 'job_x' in this ledger: jobs\(\) lists"):
        lab.processor().attach("job_x")


def test_nothing_cannot_be_submitted(lab: Lab) -> None:
    """A job of no requests is an error; their results are an empty response."""
    with pytest.raises(UsageError, match="there are no requests"):
        lab.processor().submit([])
    assert list(lab.processor().process([])) == []
    sent_nothing(lab)
