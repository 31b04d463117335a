"""The live endpoints of the Gemini Developer API, and the answers themselves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from ai_batch.emulator import Emulator, GeminiLimits, item_key
from ai_batch.emulator.gemini.errors import rpc_status
from ai_batch.emulator.gemini.fields import GENERATE, UnknownField, canonical_object
from ai_batch.emulator.json_types import JsonObject

MODEL = "gemini-2.5-flash"


class Live:
    """An emulator and a client of it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        options = types.HttpOptions(base_url=emulator.gemini_url)
        self.client = genai.Client(api_key="test", http_options=options)
        # Its types name PIL, which is not here.
        self.models: Any = self.client.models

    def generate(self, contents: Any, **config: Any) -> types.GenerateContentResponse:
        """An answer."""
        full = types.GenerateContentConfig(**config)
        found: types.GenerateContentResponse = self.models.generate_content(
            model=MODEL, contents=contents, config=full
        )
        return found

    def embed(self, texts: list[str], model: str = "gemini-embedding-001", **config: Any) -> Any:
        """The vectors of several texts."""
        full = types.EmbedContentConfig(**config)
        found: types.EmbedContentResponse = self.models.embed_content(
            model=model, contents=list(texts), config=full
        )
        return [each.values for each in found.embeddings or []]

    def post(self, path: str, body: Any) -> httpx2.Response:
        """A call without the SDK."""
        return httpx2.post(f"{self.emulator.gemini_url}{path}?key=test", json=body)


@pytest.fixture
def make_live() -> Iterator[Callable[..., Live]]:
    """Make clients of emulators with these options."""
    with ExitStack() as stack:

        def make(**options: Any) -> Live:
            live = Live(stack.enter_context(Emulator(**options)))
            stack.callback(live.client.close)
            return live

        yield make


@pytest.fixture
def live(make_live: Callable[..., Live]) -> Live:
    """A client of an emulator as it comes."""
    return make_live()


def parts_of(response: types.GenerateContentResponse) -> list[types.Part]:
    """The parts of the first candidate."""
    return response.parts or []


def test_the_last_user_text_is_repeated(live: Live) -> None:
    """Part for part, without what the model said or thought before."""
    thought = types.Part(text="hm", thought=True)
    turns = [
        types.Content(role="user", parts=[types.Part(text="first")]),
        types.Content(role="model", parts=[thought, types.Part(text="second")]),
        types.Content(role="user", parts=[types.Part(text="one"), types.Part(text="two")]),
    ]
    response = live.generate(turns)
    assert [part.text for part in parts_of(response)] == ["one", "two"]
    assert response.text == "onetwo"
    assert response.response_id
    assert response.candidates
    assert response.candidates[0].finish_reason == types.FinishReason.STOP


def test_limits_of_an_answer_are_kept(live: Live) -> None:
    """Tokens, stop sequences and the number of candidates."""
    cut = live.generate("a long text of many words", max_output_tokens=2)
    assert cut.candidates
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert cut.text == "a long t"
    assert live.generate("before END after", stop_sequences=["END"]).text == "before "
    assert len(live.generate("x", candidate_count=3).candidates or []) == 3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "STRING", "enum": ["red", "green"]},
        {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": 2},
        {"type": "OBJECT", "properties": {"a": {"type": "BOOLEAN"}}, "required": ["a"]},
    ],
)
def test_schemas_give_instances(live: Live, schema: dict[str, Any]) -> None:
    """The smallest value that Google's kind of schema allows."""
    response = live.generate("x", response_mime_type="application/json", response_schema=schema)
    wanted = {"STRING": "red", "ARRAY": [0, 0], "OBJECT": {"a": False}}[schema["type"]]
    assert json.loads(response.text or "") == wanted


def test_json_schemas_give_instances_too(live: Live) -> None:
    """With references; and plain JSON without a schema."""
    schema = {
        "type": "object",
        "properties": {"inner": {"$ref": "#/$defs/Inner"}},
        "required": ["inner"],
        "$defs": {"Inner": {"type": "object", "properties": {"n": {"type": "number"}}}},
    }
    kind = "application/json"
    response = live.generate("x", response_mime_type=kind, response_json_schema=schema)
    assert json.loads(response.text or "") == {"inner": {}}
    assert json.loads(live.generate("x", response_mime_type=kind).text or "") == {"echo": "x"}
    enum = {"type": "STRING", "enum": ["red", "green"]}
    plain = live.generate("x", response_mime_type="text/x.enum", response_schema=enum)
    assert plain.text == "red"


def test_a_call_that_must_be_made_is_made(live: Live) -> None:
    """In mode ANY the first function that is allowed; in mode AUTO there is text."""
    functions = [
        types.FunctionDeclaration(
            name=name,
            parameters=types.Schema(
                type=types.Type.OBJECT,
                properties={"x": types.Schema(type=types.Type.INTEGER)},
                required=["x"],
            ),
        )
        for name in ("first", "second")
    ]
    tools = [types.Tool(function_declarations=functions)]

    def calling(mode: str, *allowed: str) -> Any:
        return {"function_calling_config": {"mode": mode, "allowed_function_names": [*allowed]}}

    called = live.generate("x", tools=tools, tool_config=calling("ANY", "second"))
    (call,) = called.function_calls or []
    assert (call.name, call.args) == ("second", {"x": 0})
    assert live.generate("x", tools=tools, tool_config=calling("AUTO")).text == "x"


def test_tokens_are_counted(live: Live) -> None:
    """Thoughts and cached contents have counts of their own, which add up."""
    thinking = types.ThinkingConfig(include_thoughts=True)
    response = live.generate("x" * 400, thinking_config=thinking, cached_content="cachedContents/c")
    usage = response.usage_metadata
    assert usage
    assert usage.thoughts_token_count
    assert usage.cached_content_token_count
    assert usage.prompt_token_count == 100 + usage.cached_content_token_count
    assert usage.candidates_token_count == 100
    assert usage.prompt_token_count
    assert usage.total_token_count == usage.prompt_token_count + 100 + usage.thoughts_token_count
    thought, answer = parts_of(response)
    assert thought.thought
    assert answer.thought_signature
    counted = live.models.count_tokens(model=MODEL, contents="x" * 400)
    assert counted.total_tokens == 100


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("safety", types.FinishReason.SAFETY),
        ("recitation", types.FinishReason.RECITATION),
        ("malformed_function_call", types.FinishReason.MALFORMED_FUNCTION_CALL),
        ("empty", types.FinishReason.STOP),
    ],
)
def test_answers_end_without_content(live: Live, word: str, reason: types.FinishReason) -> None:
    """A word makes an answer end for a reason of its own, and nothing is written."""
    response = live.generate(f"say emulator:{word}")
    assert response.text is None
    assert response.candidates
    assert response.candidates[0].finish_reason == reason
    assert response.usage_metadata
    assert response.usage_metadata.candidates_token_count is None


def test_words_make_answers_odd(live: Live) -> None:
    """A blocked prompt, a text in two parts, a thought that nobody asked for."""
    blocked = live.generate("emulator:blocked")
    assert blocked.candidates is None
    assert blocked.prompt_feedback
    assert blocked.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
    assert [part.text for part in parts_of(live.generate("a emulator:parts b"))] == ["a ", " b"]
    thought, answer = parts_of(live.generate("emulator:thinking"))
    assert thought.thought
    assert answer.text == "emulator:thinking"


def test_texts_become_vectors(live: Live) -> None:
    """One for each text, equal for equal texts, with as many numbers as wanted."""
    first, second, third = live.embed(["a", "b", "a"], output_dimensionality=16)
    assert first == third != second
    assert len(first) == 16
    assert sum(value * value for value in first) < 0.5
    (scaled,) = live.embed(["a"], "gemini-embedding-2", output_dimensionality=16)
    assert sum(value * value for value in scaled) == pytest.approx(1.0)
    body = {"content": {"parts": [{"text": "a"}]}, "output_dimensionality": 16}
    path = "/v1beta/models/gemini-embedding-001:embedContent"
    single = live.post(path, body).json()
    assert single == {"embedding": {"values": first}}
    size = live.embed(["a"])[0]
    assert len(size) == 3072
    assert live.emulator.stats.live_calls == 6


def test_items_are_known_by_what_they_ask(live: Live) -> None:
    """Live or in a batch, in either spelling, and whatever a client labels them with."""
    path = f"/v1beta/models/{MODEL}:generateContent"
    contents = [{"parts": [{"text": "x"}]}]
    config = {"topP": 0.5}
    live.post(path, {"contents": contents, "generationConfig": config})
    live.post(path, {"contents": contents, "generation_config": {"top_p": 0.5}})
    labels = {"ai_batch_id": "t-1"}
    live.post(path, {"contents": contents, "generationConfig": config, "labels": labels})
    body: Any = {"contents": contents, "generationConfig": config}
    key = item_key(f"/models/{MODEL}:generateContent", body)
    assert live.emulator.stats.executions == {key: 3}
    live.post(path, {**body, "labels": {**labels, "team": "a"}})
    assert len(live.emulator.stats.executions) == 2


REFUSED: list[tuple[JsonObject, str]] = [
    ({}, "contents is not specified"),
    ({"contents": [{"parts": []}]}, "contents.parts must not be empty"),
    ({"contents": [{"parts": [{"text": "x"}]}], "thinkingConfig": {}}, "Unknown name"),
    (
        {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"temperature": 3}},
        "Temperature",
    ),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_bad_requests_are_refused(live: Live, body: Any, message: str) -> None:
    """With a 400 in Google's words."""
    answer = live.post(f"/v1/models/{MODEL}:generateContent", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert message in answer.json()["error"]["message"]


def test_models_are_listed(live: Live) -> None:
    """What is known of models, and a 404 for others."""
    names = [model.name for model in live.client.models.list(config={"query_base": True})]
    assert f"models/{MODEL}" in names
    found = live.client.models.get(model=MODEL)
    assert "batchGenerateContent" in (found.supported_actions or [])
    with pytest.raises(errors.ClientError) as caught:
        live.client.models.get(model="no-such-model")
    assert caught.value.code == 404


def test_live_calls_are_limited(make_live: Callable[..., Live]) -> None:
    """A minute's quota, after which there is a 429."""
    live = make_live(gemini_limits=GeminiLimits(requests_per_minute=2))
    for _ in range(2):
        live.generate("x")
    with pytest.raises(errors.ClientError) as caught:
        live.generate("x")
    assert caught.value.code == 429
    live.emulator.advance(seconds=61)
    assert live.generate("x").text == "x"


def test_a_function_answers(make_live: Callable[..., Live]) -> None:
    """With a body, with a status, or not at all; its exceptions are a 500."""

    def answer(endpoint: str, body: Any) -> Any:
        assert endpoint == f"/models/{MODEL}:generateContent"
        match body["contents"][0]["parts"][0]["text"]:
            case "body":
                return {"candidates": [{"content": {"parts": [{"text": "mine"}]}}]}
            case "status":
                return 503, {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}
            case "bug":
                raise KeyError
            case _:
                return None

    live = make_live(answer=answer)
    assert live.generate("body").text == "mine"
    assert live.generate("other").text == "other"
    for said in ("status", "bug"):
        with pytest.raises(errors.ServerError):
            live.generate(said)


def test_another_server_answers(make_live: Callable[..., Live]) -> None:
    """An OpenAI-compatible one, here another emulator, in Gemini's words."""
    with Emulator() as upstream:
        live = make_live(answer=upstream.openai_url)
        response = live.generate("hello", system_instruction="s", max_output_tokens=100)
        assert response.text == "hello"
        assert response.usage_metadata
        assert response.usage_metadata.total_token_count
        assert live.generate("hello hello hello", max_output_tokens=1).text == "hell"
        schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}
        kind = "application/json"
        instance = live.generate("x", response_mime_type=kind, response_schema=schema)
        assert json.loads(instance.text or "") == {"a": "text"}
        assert len(live.embed(["x"], output_dimensionality=5)[0]) == 5
        with pytest.raises(errors.ClientError, match="temperature"):
            live.generate("x", temperature=7)


def test_another_server_that_talks_nonsense_is_an_error(make_live: Callable[..., Live]) -> None:
    """What is no answer of OpenAI's is told as an error of the upstream."""

    class Nonsense(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(502)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Nonsense)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    live = make_live(answer=f"http://127.0.0.1:{server.server_port}/v1")
    with pytest.raises(errors.ServerError) as caught:
        live.generate("x")
    assert caught.value.code == 502
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_field_has_two_spellings() -> None:
    """Names are turned on every level, but not inside of what users name themselves."""
    body: JsonObject = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"any_of": []}}]}],
        "generation_config": {
            "thinking_config": {"include_thoughts": True},
            "response_schema": {"property_ordering": ["a_b"], "properties": {"a_b": {}}},
        },
        "labels": {"my_label": "x"},
    }
    assert canonical_object(body, GENERATE) == {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"anyOf": []}}]}],
        "generationConfig": {
            "thinkingConfig": {"includeThoughts": True},
            "responseSchema": {"propertyOrdering": ["a_b"], "properties": {"a_b": {}}},
        },
        "labels": {"my_label": "x"},
    }
    with pytest.raises(UnknownField) as caught:
        canonical_object({"contents": [{"parts": [{"txt": "x"}]}]}, GENERATE)
    assert (caught.value.name, caught.value.path) == ("txt", ("contents", "parts"))


def test_failed_items_have_grpc_codes() -> None:
    """HTTP's numbers are translated, those of gRPC are kept, and a message is always there."""
    assert rpc_status(404, {"error": {"code": 404, "message": "m"}}) == {"code": 5, "message": "m"}
    assert rpc_status(400, {"error": {"code": 9, "message": "m"}}) == {"code": 9, "message": "m"}
    assert rpc_status(502, {})["code"] == 13
    assert rpc_status(418, {})["code"] == 3
    assert rpc_status(500, None)["message"]
