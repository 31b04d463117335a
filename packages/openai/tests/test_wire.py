"""The wire formats as the processor uses them: lines out, rows in."""

import contextlib
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_batch.core.messages import assistant, user
from ai_batch.core.provider import Route
from ai_batch.core.requests import ChatRequest, EmbeddingRequest
from ai_batch.core.results import ItemError
from ai_batch.openai import wire

CHAT = Route("chat", "/v1/chat/completions", "gpt-6-luna")
RESPONSES = Route("chat", "/v1/responses", "gpt-6-luna")
EMBEDDINGS = Route("embedding", "/v1/embeddings", "text-embedding-3-small")
ROUTES = [CHAT, RESPONSES, EMBEDDINGS]

no_deadline = settings(deadline=None)  # The machine may be busy.

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def mutated(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the fields of a vendor's answer, filled with anything."""
    inner = st.dictionaries(st.sampled_from(names), json_values, max_size=6)
    several = st.lists(inner, max_size=3)
    return st.dictionaries(st.sampled_from(names), json_values | inner | several, max_size=8)


bodies = mutated(
    *["id", "model", "choices", "usage", "error", "message", "content", "finish_reason"],
    *["tool_calls", "output", "status", "type", "data", "embedding", "index", "summary"],
)
likely_bodies = st.one_of(
    bodies,
    bodies.map(lambda message: {"choices": [{"message": message}]}),
    bodies.map(lambda item: {"output": [{"type": "message", **item}], "status": "completed"}),
    bodies.map(lambda item: {"data": [{"embedding": [1.0], "index": 0, **item}]}),
)
rows = st.fixed_dictionaries(
    {"custom_id": st.text()},
    optional={
        "response": json_values
        | st.fixed_dictionaries(
            {"status_code": st.sampled_from([200, 200, 200, 400, 500, 0]) | json_values},
            optional={"body": likely_bodies | json_values, "request_id": json_values},
        ),
        "error": st.none() | json_values,
    },
)


def _line(request: ChatRequest | EmbeddingRequest, route: Route = CHAT) -> bytes:
    return wire.encode(request, route, "t0k3n-7", max_tokens=9, token_parameter="max_tokens")


@pytest.mark.parametrize(
    ("route", "field"), [(CHAT, "messages"), (RESPONSES, "input"), (EMBEDDINGS, "input")]
)
def test_a_line(route: Route, field: str) -> None:
    """A line names its id, method, endpoint and body, and the route's model is asked."""
    embedding = EmbeddingRequest(id="mine", texts=("Hi",), model="other")
    chat = ChatRequest(id="mine", messages=(user("Hi"),), model="other")

    line = json.loads(_line(embedding if route is EMBEDDINGS else chat, route))

    assert list(line) == ["custom_id", "method", "url", "body"]
    assert (line["custom_id"], line["method"], line["url"]) == ("t0k3n-7", "POST", route.endpoint)
    assert line["body"]["model"] == route.model
    assert field in line["body"]


def test_a_line_is_compact() -> None:
    """No byte is wasted: files are limited to 200 MB."""
    line = _line(ChatRequest(messages=(user("grüß"),)))

    assert (
        line
        == (
            '{"custom_id":"t0k3n-7","method":"POST","url":"/v1/chat/completions","body":'
            '{"model":"gpt-6-luna","messages":[{"role":"user","content":"grüß"}],"max_tokens":9}}'
        ).encode()
    )


def test_the_body_alone() -> None:
    """A live call sends the same body without the envelope."""
    request = ChatRequest(messages=(user("Hi"),))
    body = wire.encode_body(request, CHAT, max_tokens=9, token_parameter="max_tokens")

    assert json.loads(body) == json.loads(_line(request))["body"]


@no_deadline
@given(st.text(), st.sampled_from(ROUTES))
def test_any_text_stays_one_line(text: str, route: Route) -> None:
    """Newlines, emoji, U+2028 and all else arrive as they are, in one line of UTF-8."""
    if route is EMBEDDINGS:
        line = _line(EmbeddingRequest(texts=(text,)), route)
        found = json.loads(line)["body"]["input"][0]
    else:
        line = _line(ChatRequest(messages=(user(text),)), route)
        body = json.loads(line)["body"]
        found = body["messages" if route is CHAT else "input"][0]["content"]

    assert found == text
    assert b"\n" not in line
    assert b"\r" not in line


def test_line_separators_do_not_split() -> None:
    """What only some programs take for a line's end is no control character of JSON."""
    line = _line(ChatRequest(messages=(user("a\u2028b\u2029c\x85d\n\r\0😀"), assistant("\n"))))

    assert len(line.splitlines()) == 1
    assert json.loads(line)["body"]["messages"][0]["content"] == "a\u2028b\u2029c\x85d\n\r\0😀"


@no_deadline
@given(st.binary(), st.sampled_from(ROUTES))
def test_any_bytes_raise_nothing_but_value_error(data: bytes, route: Route) -> None:
    """A torn or foreign row never takes anything else down."""
    for read in (wire.decode, wire.scan):
        with contextlib.suppress(ValueError):  # Among any bytes are some that are a row.
            assert read(data, route)


@no_deadline
@given(json_values, st.sampled_from(ROUTES))
def test_any_json_raises_nothing_but_value_error(value: object, route: Route) -> None:
    """JSON that is no row at all is a ValueError, or a row of nobody."""
    for read in (wire.decode, wire.scan):
        with contextlib.suppress(ValueError):
            assert read(json.dumps(value).encode(), route)


@settings(deadline=None, max_examples=400)
@given(rows, st.sampled_from(ROUTES))
def test_any_row_has_one_outcome_and_scan_agrees(row: dict[str, Any], route: Route) -> None:
    """However mad a row is, decode and scan tell the same id, error and tokens of it."""
    data = json.dumps(row, ensure_ascii=False).encode()

    wire_id, outcome = wire.decode(data, route)
    scan = wire.scan(data, route)

    assert (scan.wire_id, wire_id) == (row["custom_id"], row["custom_id"])
    if isinstance(outcome, ItemError):
        assert scan.error == outcome
    else:
        assert scan[1:] == (None, *outcome.usage.model_dump().values())


@no_deadline
@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_has_an_outcome(body: bytes) -> None:
    """The body of a live call never raises: it is an answer or an error."""
    for route in ROUTES:
        outcome = wire.decode_body(body, route)
        assert isinstance(outcome, ItemError)
        assert outcome.code


@pytest.mark.parametrize(
    ("model", "is_openai", "expected"),
    [
        ("gpt-4o", True, "max_completion_tokens"),
        ("gpt-6-luna", True, "max_completion_tokens"),
        ("my-deployment", True, "max_completion_tokens"),
        ("gpt-4o", False, "max_tokens"),
        ("gpt-4.1-mini", False, "max_tokens"),
        ("gpt-35-turbo", False, "max_tokens"),
        ("gpt-oss-120b", False, "max_tokens"),
        ("Qwen/Qwen3-8B", False, "max_tokens"),
        ("olmo-2", False, "max_tokens"),
        ("gpt-5", False, "max_completion_tokens"),
        ("gpt-5.4-mini", False, "max_completion_tokens"),
        ("gpt-6-luna", False, "max_completion_tokens"),
        ("openai/gpt-5-mini", False, "max_completion_tokens"),
        ("o1", False, "max_completion_tokens"),
        ("o3-mini", False, "max_completion_tokens"),
        ("openai/o4-mini", False, "max_completion_tokens"),
    ],
)
def test_token_parameter(model: str, is_openai: bool, expected: str) -> None:
    """OpenAI takes the new name always; elsewhere only reasoning models demand it."""
    assert wire.token_parameter(model, is_openai) == expected


def test_no_sdk_is_imported() -> None:
    """The wire formats load without the SDK, which takes seconds."""
    code = "import sys, ai_batch.openai.wire; print(*sorted({'openai', 'httpx2'} & {*sys.modules}))"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert shown.stdout.strip() == ""
