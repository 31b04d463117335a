"""Chat completions: the body we send and the answer we read."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import BaseModel, TypeAdapter

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    JSONObject,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.provider import Route
from ai_batch.core.requests import ChatRequest
from ai_batch.core.results import ChatResponse
from ai_batch.openai import wire

RECORDING = Path(__file__).parent / "recordings" / "chat.jsonl"
ROWS = {json.loads(line)["custom_id"]: line for line in RECORDING.read_bytes().splitlines()}
ROUTE = Route("chat", "/v1/chat/completions", "gpt-6-luna")
PARAMETERS = TypeAdapter(CompletionCreateParamsNonStreaming)
WEATHER = Tool(name="weather", description="Look outside.", strict=False)


class Answer(BaseModel):
    city: str
    guesses: int = 1


def _body_of(*, max_tokens: int | None = None, **fields: Any) -> JSONObject:
    """The body of a request, after its way through JSON; the SDK's own types must take it."""
    request = ChatRequest.model_validate({"messages": "Hi", **fields})
    data = wire.encode_body(
        request, ROUTE, max_tokens=max_tokens, token_parameter="max_completion_tokens"
    )
    body = cast("JSONObject", json.loads(data))
    assert _exhausted(PARAMETERS.validate_python(body)) == body
    return body


def _messages_of(*messages: Message) -> list[JSONObject]:
    return cast("list[JSONObject]", _body_of(messages=messages)["messages"])


def _exhausted(value: object) -> object:
    """Iterables are validated by pydantic only when they are iterated."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        items = cast("JSONObject", value).items()
        return {key: _exhausted(item) for key, item in items}
    if isinstance(value, Iterable):
        return [_exhausted(item) for item in cast("Iterable[object]", value)]
    return value


def _answer_of(name: str) -> ChatResponse:
    wire_id, outcome = wire.decode(ROWS[name], ROUTE)
    assert wire_id == name
    assert isinstance(outcome, ChatResponse)
    return outcome


def test_a_plain_question() -> None:
    """A string is one user message, and nothing is sent that was not asked for."""
    assert _body_of() == {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hi"}]}


def test_every_parameter() -> None:
    """All parameters arrive under the vendor's names."""
    body = _body_of(
        max_tokens=7,
        temperature=0,
        top_p=0.5,
        seed=42,
        stop="END",
        reasoning_effort="low",
        metadata={"mine": "only"},
    )

    assert body == {
        "model": "gpt-6-luna",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_completion_tokens": 7,
        "temperature": 0,
        "top_p": 0.5,
        "seed": 42,
        "stop": ["END"],
        "reasoning_effort": "low",
    }


def test_the_requests_own_limit_goes_before_the_default() -> None:
    """``max_tokens`` of the processor is for requests that have none."""
    request = ChatRequest(messages=(user("Hi"),), max_tokens=5)
    data = wire.encode_body(request, ROUTE, max_tokens=9, token_parameter="max_tokens")

    assert json.loads(data)["max_tokens"] == 5


def test_a_limit_in_extra_replaces_the_default() -> None:
    """A body may hold only one limit, so that a caller's own drops the processor's."""
    body = _body_of(max_tokens=9, extra={"max_tokens": 5})

    assert body["max_tokens"] == 5
    assert "max_completion_tokens" not in body


def test_extra_is_merged_last_and_deeply() -> None:
    """``extra`` goes into the body as it is, objects within objects too."""
    schema = {"schema": {"additionalProperties": True}, "strict": False}
    body = _body_of(
        output_type=Answer,
        temperature=0.1,
        extra={
            "temperature": 0.9,
            "store": True,
            "response_format": {"json_schema": schema},
        },
    )

    assert (body["temperature"], body["store"]) == (0.9, True)
    assert body["response_format"]["json_schema"]["name"] == "Answer"
    assert body["response_format"]["json_schema"]["schema"]["additionalProperties"] is True
    assert _body_of(output_type=Answer)["response_format"]["json_schema"]["strict"] is True


def test_an_output_type_becomes_a_response_format() -> None:
    """A pydantic model is sent as a strict schema under its name."""
    assert _body_of(output_type=Answer)["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "Answer",
            "strict": True,
            "schema": {
                "title": "Answer",
                "type": "object",
                "properties": {
                    "city": {"title": "City", "type": "string"},
                    "guesses": {"title": "Guesses", "type": "integer"},
                },
                "required": ["city", "guesses"],
                "additionalProperties": False,
            },
        },
    }


def test_texts_of_one_message_stay_apart() -> None:
    """Several texts are several parts; only a single one is a plain string."""
    assert _messages_of(system("Be", "brief"), user("Hi")) == [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief"}],
        },
        {"role": "user", "content": "Hi"},
    ]


def test_pictures() -> None:
    """A picture travels as its URL, or as a data URL of the type that its bytes show."""
    [message] = _messages_of(
        user(
            "Which?",
            Image(url="https://example.com/a.png", detail="low"),
            Image(data=b"\xff\xd8\xff\xe0"),
            Image(data=b"\x89PNG"),
            Image(data=b"GIF89a"),
            Image(data=b"RIFF\0\0\0\0WEBP"),
            Image(data=b"?", media_type="image/avif"),
        )
    )
    urls = [part["image_url"]["url"] for part in message["content"][1:]]

    assert message["content"][1]["image_url"]["detail"] == "low"
    assert urls[0] == "https://example.com/a.png"
    assert [url.partition(";")[0] for url in urls[1:]] == [
        "data:image/jpeg",
        "data:image/png",
        "data:image/gif",
        "data:image/webp",
        "data:image/avif",
    ]


def test_documents_and_sounds(tmp_path: Path) -> None:
    """Both travel as base64, a document with the file name that OpenAI demands."""
    pdf, wav = tmp_path / "report.pdf", tmp_path / "hello.WAV"
    pdf.write_bytes(b"%PDF")
    wav.write_bytes(b"RIFF")
    [message] = _messages_of(
        user(
            Document(path=pdf),
            Document(data=b"text", media_type="text/plain"),
            Document(url="data:application/pdf;base64,JVBERg==", name="a.pdf"),
            Audio(path=wav),
            Audio(data=b"ID3", media_type="audio/mpeg"),
            Audio(data=b"ID3", format="MP3"),
        )
    )
    files = [part["file"] for part in message["content"][:3]]
    sounds = [part["input_audio"] for part in message["content"][3:]]

    assert files == [
        {"filename": "report.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"filename": "document.txt", "file_data": "data:text/plain;base64,dGV4dA=="},
        {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
    ]
    assert [sound["format"] for sound in sounds] == ["wav", "mp3", "mp3"]
    assert base64.b64decode(sounds[0]["data"]) == b"RIFF"


def test_a_conversation_with_tools() -> None:
    """Calls go back word for word, and each result is a message of its own."""
    messages = _messages_of(
        user("Weather in Köln and Bonn?"),
        assistant(
            "Let me look.",
            ToolCall(id="c1", name="weather", arguments={"city": "Köln"}),
            ToolCall(id="c2", name="weather", raw_arguments='{"city": '),
        ),
        Message(
            role="tool",
            parts=(
                ToolResult(id="c1", content="rain"),
                ToolResult(id="c2", content="no such city", is_error=True),
            ),
        ),
        assistant(ToolCall(id="c3", name="weather")),
        tool_result("c3", "sun"),
        assistant("Done."),
    )

    assert messages[1]["content"] == "Let me look."
    assert [call["function"]["arguments"] for call in messages[1]["tool_calls"]] == [
        '{"city":"Köln"}',
        '{"city": ',
    ]
    assert messages[2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "tool", "tool_call_id": "c2", "content": "Error: no such city"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c3",
                    "type": "function",
                    "function": {"name": "weather", "arguments": "{}"},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c3", "content": "sun"},
        {"role": "assistant", "content": "Done."},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tool_choice(choice: str, expected: object) -> None:
    """The three words stay; any other is the name of a tool."""
    body = _body_of(tools=[WEATHER], tool_choice=choice)

    assert body["tool_choice"] == expected


def test_tools() -> None:
    """A strict tool gets a strict schema; one that says nothing of it is sent as it is."""
    parameters = {"type": "object", "properties": {"city": {"type": "string", "default": "Köln"}}}
    tools = [
        Tool(name="a", parameters=parameters),
        Tool(name="b", parameters=parameters, strict=True, description="B"),
    ]

    first, second = (tool["function"] for tool in _body_of(tools=tools)["tools"])

    assert first == {"name": "a", "parameters": parameters}
    assert (second["strict"], second["description"]) == (True, "B")
    assert second["parameters"] == {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "message",
    [
        assistant(Thinking(text="Hm")),
        user(ToolResult(id="c", content="x")),
        Message(role="tool", parts=(Text(text="x"),)),
    ],
)
def test_nothing_is_left_out_in_silence(message: Message) -> None:
    """A part that has no place raises, should a caller skip ``check``."""
    with pytest.raises(ValueError, match="has no place"):
        _messages_of(message)


@pytest.mark.parametrize(
    ("name", "reason", "content"),
    [
        ("text", "stop", "Paris."),
        ("tool", "tool_calls", ""),
        ("forced-tool", "tool_calls", ""),
        ("bad-arguments", "tool_calls", ""),
        ("refused", "refusal", ""),
        ("cut", "length", ""),
        ("filtered", "content_filter", ""),
        ("legacy", "tool_calls", ""),
        ("unknown-reason", "other", "x"),
    ],
)
def test_answers(name: str, reason: str, content: str) -> None:
    """Content and the reason why it ends, for every way in which it may end."""
    answer = _answer_of(name)

    assert (answer.finish_reason, answer.content) == (reason, content)
    assert answer.parsed is None


def test_the_answers_particulars() -> None:
    """Model, id, all five counts of tokens and the vendor's own body are there."""
    answer = _answer_of("text")

    assert (answer.model, answer.response_id) == ("gpt-6-luna", "chatcmpl-CZx1")
    assert answer.usage.model_dump() == {
        "input_tokens": 20,
        "output_tokens": 11,
        "cached_input_tokens": 16,
        "cache_write_tokens": 4,
        "reasoning_tokens": 8,
    }
    assert answer.raw == json.loads(ROWS["text"])["response"]["body"]
    assert wire.scan(ROWS["text"], ROUTE) == ("text", None, 20, 11, 16, 4, 8)


def test_a_refusal_is_told() -> None:
    """What the model says when it refuses is kept apart from the content."""
    assert _answer_of("refused").refusal == "I can't help with that."


def test_tool_calls() -> None:
    """Arguments are parsed; what is no JSON object is kept as the model wrote it."""
    [good] = _answer_of("tool").tool_calls
    [bad] = _answer_of("bad-arguments").tool_calls
    [legacy] = _answer_of("legacy").tool_calls

    assert (good.id, good.name, good.arguments) == ("call_9", "weather", {"city": "Köln"})
    assert good.raw_arguments is None
    assert (bad.arguments, bad.raw_arguments) == ({}, '{"city": ')
    assert (legacy.id, legacy.name) == ("call_0", "weather")


def _answer_with(message: JSONObject) -> ChatResponse:
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    outcome = wire.decode_body(json.dumps(body).encode(), ROUTE)
    assert isinstance(outcome, ChatResponse)
    return outcome


@pytest.mark.parametrize(
    ("arguments", "expected", "raw"),
    [
        ("", {}, None),
        ("[1]", {}, "[1]"),
        ({"a": 1}, {"a": 1}, None),
        (None, {}, None),
        ('{"a": "\\ud800"}', {}, '{"a": "\\ud800"}'),
    ],
)
def test_arguments(arguments: object, expected: object, raw: str | None) -> None:
    """Servers send no arguments, or parsed ones, and models write what is no object."""
    call = {"function": {"name": "f", "arguments": arguments}}
    [found] = _answer_with({"tool_calls": [call]}).tool_calls

    assert (found.id, found.arguments, found.raw_arguments) == ("call_0", expected, raw)


def test_custom_tool_calls() -> None:
    """The input of a custom tool is free text, and is kept as such."""
    call = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    [found] = _answer_with({"tool_calls": [call]}).tool_calls

    assert (found.name, found.raw_arguments) == ("sql", "SELECT 1")


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thinking_of_open_models(field: str) -> None:
    """Servers of open models show the thoughts, under one of two names."""
    answer = _answer_with({"content": "4", field: "2+2"})

    assert (answer.content, answer.thinking) == ("4", "2+2")
    assert answer.thoughts == (Thinking(text="2+2"),)


@pytest.mark.parametrize("name", ["text", "tool", "refused", "cut", "filtered", "legacy"])
def test_the_sdk_reads_the_recorded_answers(name: str) -> None:
    """What we take for answers are answers for the SDK, too, and say the same."""
    body = json.loads(ROWS[name])["response"]["body"]

    theirs = ChatCompletion.model_validate(body)

    assert (theirs.choices[0].message.content or "") == _answer_of(name).content
