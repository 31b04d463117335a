"""What requests are answered with, in batches and live."""

from __future__ import annotations

import base64
import json
import math
import struct
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import openai
import pytest

from ai_batch.emulator import Emulator, Limits, item_key
from ai_batch.emulator.json_types import JsonObject

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer", "minimum": 18},
        "kind": {"enum": ["cat", "dog"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "optional": {"type": "string"},
    },
    "required": ["name", "age", "kind", "tags"],
}
SMALLEST = {"name": "text", "age": 18, "kind": "cat", "tags": ["text"]}
FUNCTION: dict[str, Any] = {"name": "save", "parameters": SCHEMA}


def chat(lab: Lab, **options: Any) -> Any:
    """A live chat answer."""
    body: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hello"}],
        **options,
    }
    create: Callable[..., Any] = lab.client.chat.completions.create
    return create(**body)


def test_chat_repeats_the_last_user_text(lab: Lab) -> None:
    """Parts of text are joined; pictures only count as tokens."""
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "well"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
            ],
        },
        {"role": "system", "content": "be brief"},
    ]
    answer = chat(lab, messages=messages)
    assert answer.choices[0].message.content.strip() == "look"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 85
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_equal_requests_get_equal_answers(lab: Lab) -> None:
    """Nothing but the request decides the answer."""
    assert chat(lab) == chat(lab)
    assert chat(lab).id != chat(lab, seed=1).id


def test_chat_knows_its_options(lab: Lab) -> None:
    """Several choices, log probabilities, and a limit that cuts."""
    assert [choice.index for choice in chat(lab, n=3).choices] == [0, 1, 2]
    probabilities = chat(lab, logprobs=True).choices[0].logprobs
    assert probabilities.content[0].token == "hello"
    messages = [{"role": "user", "content": "x" * 400}]
    cut = chat(lab, messages=messages, max_completion_tokens=10)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 10
    assert len(cut.choices[0].message.content) == 40


def test_chat_gives_an_instance_of_a_schema(lab: Lab) -> None:
    """Structured outputs are the smallest value that the schema allows."""
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    content = chat(lab, response_format=wanted).choices[0].message.content
    assert json.loads(content) == SMALLEST
    content = chat(lab, response_format={"type": "json_object"}).choices[0].message.content
    assert json.loads(content) == {"echo": "hello"}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["first"]),
        ({"type": "function", "function": {"name": "save"}}, ["save"]),
    ],
)
def test_chat_calls_tools_when_it_must(lab: Lab, choice: Any, names: list[str]) -> None:
    """A call that is demanded is made, with the smallest arguments."""
    tools = [{"type": "function", "function": {"name": "first"}}]
    tools.append({"type": "function", "function": FUNCTION})
    found = chat(lab, tools=tools, tool_choice=choice).choices[0]
    calls: list[Any] = found.message.tool_calls or []
    assert [call.function.name for call in calls] == names
    assert found.finish_reason == ("tool_calls" if names else "stop")
    if names == ["save"]:
        assert json.loads(calls[0].function.arguments) == SMALLEST


def test_chat_streams(lab: Lab) -> None:
    """The pieces of a live stream add up to the answer."""
    stream = chat(
        lab,
        messages=[{"role": "user", "content": "one two three"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "one two three"
    assert chunks[-1].usage.total_tokens > 0
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_responses_repeat_and_cut(lab: Lab) -> None:
    """The Responses API answers text, schemas and calls; a cut answer is incomplete."""
    create: Callable[..., Any] = lab.client.responses.create
    answer = create(model="gpt-5", input="hello", instructions="be brief")
    assert (answer.output_text, answer.status) == ("hello", "completed")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    cut = create(model="gpt-5", input="x" * 400, max_output_tokens=20)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    wanted = {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}
    assert json.loads(create(model="gpt-5", input="x", text=wanted).output_text) == SMALLEST
    tool = {"type": "function", **FUNCTION}
    (call,) = create(model="gpt-5", input="x", tools=[tool], tool_choice="required").output
    assert (call.type, json.loads(call.arguments)) == ("function_call", SMALLEST)


def test_embeddings_are_unit_vectors(lab: Lab) -> None:
    """Equal texts have equal vectors, in order, of the model's length or the one asked for."""
    create = lab.client.embeddings.create
    answer = create(model="text-embedding-3-small", input=["a", "b", "a"], encoding_format="float")
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(len(vector) == 1536 for vector in vectors)
    assert math.isclose(sum(x * x for x in vectors[0]), 1, rel_tol=1e-4)
    assert len(create(model="m", input="a", dimensions=5).data[0].embedding) == 5
    assert len(create(model="m", input=[1, 2, 3]).data) == 1


def test_embeddings_may_be_base64(lab: Lab) -> None:
    """The SDK decodes them in live calls; in a batch they come as they were asked for."""
    url = "/v1/embeddings"
    lines = [
        lab.line(0, endpoint=url, input="a", encoding_format="base64", dimensions=4),
        lab.line(1, endpoint=url, input="a", dimensions=4),
    ]
    rows = lab.by_id(lab.run(lines, url).output_file_id)
    found = [rows[name]["response"]["body"]["data"][0]["embedding"] for name in ("r0", "r1")]
    assert struct.unpack("<4f", base64.b64decode(found[0])) == pytest.approx(found[1], abs=1e-6)


def test_the_default_dimensions_can_be_set(make_lab: Callable[..., Lab]) -> None:
    """Short vectors make quick tests."""
    lab = make_lab(embedding_dimensions=3)
    answer = lab.client.embeddings.create(model="text-embedding-3-small", input="a")
    assert len(answer.data[0].embedding) == 3


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": "gpt-5-mini", "max_tokens": 5}, "max_tokens", "unsupported_parameter"),
        ({"model": "o3", "max_tokens": 5}, "max_tokens", "unsupported_parameter"),
        ({"model": "gpt-5", "temperature": 0}, "temperature", "unsupported_value"),
        ({"temperature": 2.5}, "temperature", "decimal_above_max_value"),
        ({"temperature": -1}, "temperature", "decimal_below_min_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_p": 2}, "top_p", "decimal_above_max_value"),
    ],
)
def test_bad_values_fail_the_row(lab: Lab, body: dict[str, Any], param: str, code: str) -> None:
    """Live they are a 400; in a batch the row fails with the same body."""
    with pytest.raises(openai.BadRequestError) as caught:
        chat(lab, **body)
    assert (caught.value.param, caught.value.code) == (param, code)
    row = lab.rows(lab.run(lab.lines(1, **body)).error_file_id)[0]
    assert row["response"]["status_code"] == 400
    assert row["response"]["body"]["error"] == caught.value.body


CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def closed(**inner: Any) -> dict[str, Any]:
    """A schema that strict mode takes, but for that of its property."""
    return {**CLOSED, "properties": {"a": inner}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array", "items": {"type": "string"}}, """got 'type: "array"'."""),
        ({**CLOSED, "additionalProperties": True}, "In context=(), 'additionalProperties' is"),
        ({**CLOSED, "required": []}, "including every key in properties. Missing 'a'."),
        (closed(type="string", default="x"), "('properties', 'a'), 'default' is not permitted."),
        (closed(), "schema must have a 'type' key."),
        (closed(type="string", format="uri"), "'uri' is not a valid format."),
        (closed(anyOf=[{"type": "array"}]), "'anyOf', '0'), array schema missing items."),
        (
            {**CLOSED, "$defs": {"b": {"$ref": "#", "title": "B"}}},
            "In context=('$defs', 'b'), $ref cannot have keywords {'title'}.",
        ),
    ],
)
def test_what_strict_mode_refuses_fails_the_row(
    lab: Lab, schema: dict[str, Any], words: str
) -> None:
    """A schema that breaks one of its rules is a 400, whichever endpoint is asked."""
    named = {"name": "n", "schema": schema, "strict": True}
    with pytest.raises(openai.BadRequestError) as caught:
        chat(lab, response_format={"type": "json_schema", "json_schema": named})
    assert "Invalid schema for response_format 'n': " in caught.value.message
    assert words in caught.value.message
    assert (caught.value.param, caught.value.code) == ("response_format", None)
    ask: Callable[..., Any] = lab.client.responses.create
    with pytest.raises(openai.BadRequestError) as caught:
        ask(model="gpt-5", input="x", text={"format": {"type": "json_schema", **named}})
    assert words in caught.value.message
    assert caught.value.param == "text.format.schema"


@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), (SCHEMA, False)])
def test_a_schema_within_the_rules_is_obeyed(
    lab: Lab, schema: dict[str, Any], strict: bool
) -> None:
    """One that is not strict may have anything but another root."""
    named = {"name": "n", "schema": schema, "strict": strict}
    answer = chat(lab, response_format={"type": "json_schema", "json_schema": named})
    assert json.loads(answer.choices[0].message.content)


def test_reasoning_models_take_what_they_know(lab: Lab) -> None:
    """The new name of the limit is fine; so is any temperature without reasoning."""
    assert chat(lab, model="gpt-5", max_completion_tokens=50, temperature=1).choices
    assert chat(lab, model="gpt-6-luna", temperature=0, reasoning_effort="none").choices
    assert chat(lab, model="gpt-4o", max_tokens=50, temperature=0).choices


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        (["a", ""], {}),
        ([], {}),
        (["a"] * 2049, {}),
        ("x" * 40_000, {}),
        (["x" * 32_000] * 40, {}),
        ("a", {"model": "text-embedding-ada-002", "dimensions": 5}),
        ("a", {"encoding_format": "int8"}),
    ],
)
def test_embeddings_have_limits(lab: Lab, text: Any, options: dict[str, Any]) -> None:
    """Empty texts, too many, too long ones and unknown options are refused."""
    create: Callable[..., Any] = lab.client.embeddings.create
    with pytest.raises(openai.BadRequestError):
        create(**{"model": "text-embedding-3-small", "input": text, **options})


@pytest.mark.parametrize(
    ("endpoint", "body", "kind"),
    [
        ("/v1/responses", {"input": "x"}, "response"),
        ("/v1/embeddings", {"input": "x"}, "list"),
        ("/v1/completions", {"prompt": "x"}, "text_completion"),
        ("/v1/moderations", {"input": "flagged"}, None),
        ("/v1/images/generations", {"prompt": "x"}, None),
        ("/v1/images/edits", {"prompt": "x"}, None),
        ("/v1/videos", {"prompt": "x"}, "video"),
    ],
)
def test_all_endpoints_run_in_batches(
    lab: Lab, endpoint: str, body: dict[str, Any], kind: str | None
) -> None:
    """Each endpoint that a batch may have gives its own kind of object."""
    batch = lab.run([lab.line(0, endpoint=endpoint, **body)], endpoint)
    (row,) = lab.rows(batch.output_file_id)
    assert row["response"]["body"].get("object") == kind


def test_a_function_answers(make_lab: Callable[..., Lab]) -> None:
    """It gives a body, a status and a body, nothing (then the echo answers), or it fails."""

    def answer(endpoint: str, body: JsonObject) -> JsonObject | tuple[int, JsonObject] | None:
        assert endpoint == "/v1/chat/completions"
        match body["user"]:
            case "body":
                return {"mine": True}
            case "status":
                return 429, {"error": {"message": "slow down", "code": "x"}}
            case "fail":
                raise RuntimeError("oh")
            case _:
                return None

    lab = make_lab(answer=answer)
    names = ["body", "status", "fail", "echo"]
    batch = lab.run([lab.line(n, user=name) for n, name in enumerate(names)])
    good, bad = lab.by_id(batch.output_file_id), lab.by_id(batch.error_file_id)
    assert good["r0"]["response"]["body"] == {"mine": True}
    assert good["r3"]["response"]["body"]["choices"][0]["message"]["content"] == "say 3"
    assert bad["r1"]["response"]["status_code"] == 429
    assert bad["r2"]["response"]["status_code"] == 500
    assert lab.emulator.stats.items_executed == 4
    assert lab.emulator.stats.items_billed == 2


def test_a_canned_answer_is_always_the_same(make_lab: Callable[..., Lab]) -> None:
    """The quickest answer; it still has the model, and as many vectors as texts."""
    lab = make_lab(answer="canned")
    rows = lab.rows(lab.run(lab.lines(5)).output_file_id)
    bodies = [row["response"]["body"] for row in rows]
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["model"] == "gpt-4o-mini"
    vectors = lab.client.embeddings.create(model="m", input=["a", "b"]).data
    assert len(vectors) == 2


@pytest.mark.parametrize(("form", "kind"), [("base64", str), ("float", list)])
def test_a_canned_vector_has_the_form_that_was_asked_for(
    make_lab: Callable[..., Lab], form: Literal["base64", "float"], kind: type
) -> None:
    """Numbers, or base64, which clients read ten times as fast."""
    lab = make_lab(answer="canned")
    for _ in range(2):
        raw = lab.client.embeddings.with_raw_response.create(
            model="m", input=["a"], encoding_format=form
        )
        assert isinstance(json.loads(raw.content)["data"][0]["embedding"], kind)


def test_another_server_answers(make_lab: Callable[..., Lab]) -> None:
    """Each row goes to the upstream with the caller's key; its refusals fail the row."""
    upstream = make_lab(api_keys=["right"], api_key="right")
    for key, executed in (("right", 39), ("wrong", 0)):
        lab = make_lab(answer=upstream.emulator.openai_url, api_key=key)
        lines = [*lab.lines(39), lab.line(99, temperature=9)]
        batch = lab.run(lines)
        assert batch.request_counts is not None
        assert batch.request_counts.completed == executed
        errors = lab.by_id(batch.error_file_id)
        status = errors["r99"]["response"]["status_code"]
        assert status == (400 if key == "right" else 401)
    assert upstream.emulator.stats.live_calls == 40


def test_an_upstream_that_is_down_fails_the_rows(make_lab: Callable[..., Lab]) -> None:
    """Every row is a 503, which a client may try again."""
    with Emulator() as gone:
        url = gone.openai_url
    lab = make_lab(answer=url)
    (row,) = lab.rows(lab.run(lab.lines(1)).error_file_id)
    assert row["response"]["status_code"] == 503


def test_an_unknown_answer_is_refused() -> None:
    """A typing mistake is told at the start."""
    with pytest.raises(ValueError, match="answer must be"), Emulator(answer="ecko"):
        pass


def test_keys_are_checked(make_lab: Callable[..., Lab]) -> None:
    """Without a known key there is a 401 with the vendor's code, and the key is not repeated."""
    lab = make_lab(api_keys=["sk-right"], api_key="sk-wrong-key")
    with pytest.raises(openai.AuthenticationError) as caught:
        lab.client.models.list()
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    assert "wrong" not in str(caught.value)
    with pytest.raises(urllib.error.HTTPError) as keyless:
        urllib.request.urlopen(f"{lab.emulator.openai_url}/models")  # noqa: S310 - our own server
    with keyless.value:
        assert keyless.value.code == 401
        assert b"didn't provide" in keyless.value.read()
    assert make_lab(emulator=lab.emulator, api_key="sk-right").client.models.list().data


def test_answers_have_the_vendors_headers(lab: Lab) -> None:
    """Every answer can be traced; live ones tell the rate limits too."""
    raw = lab.client.models.with_raw_response.list()
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-organization"]
    assert raw.headers["openai-processing-ms"].isdecimal()
    live = lab.client.embeddings.with_raw_response.create(model="m", input="x")
    assert live.headers["x-ratelimit-limit-requests"]


def test_live_calls_are_limited_per_minute(make_lab: Callable[..., Lab]) -> None:
    """Too many are a 429 that tells when to come back; a minute later there is room again."""
    lab = make_lab(limits=Limits(requests_per_minute=2))
    chat(lab)
    chat(lab)
    with pytest.raises(openai.RateLimitError) as caught:
        chat(lab)
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 61
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    lab.emulator.advance(minutes=1)
    chat(lab)


def test_models_are_listed(lab: Lab) -> None:
    """Known models can be listed and looked up; unknown ones are a 404 everywhere."""
    assert "gpt-4o-mini" in {model.id for model in lab.client.models.list()}
    assert lab.client.models.retrieve("gpt-5").id == "gpt-5"
    with pytest.raises(openai.NotFoundError) as caught:
        lab.client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        chat(lab, model="no-such-model")


def test_unknown_paths_are_not_found(lab: Lab) -> None:
    """An error with all four keys, as for everything else."""
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        lab.client.get("/assistants", cast_to=object)


def test_a_key_of_an_item_is_its_content() -> None:
    """The order of keys does not matter; the endpoint and every value do."""
    key = item_key("/v1/a", {"x": 1, "y": [1, {"b": 1, "a": 2}]})
    assert key == item_key("/v1/a", {"y": [1, {"a": 2, "b": 1}], "x": 1})
    assert key != item_key("/v1/b", {"x": 1, "y": [1, {"b": 1, "a": 2}]})
    assert key != item_key("/v1/a", {"x": 1, "y": [1, {"b": 1, "a": 3}]})
