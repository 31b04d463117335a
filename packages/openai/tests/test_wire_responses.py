"""The Responses API: the body we send and the answer we read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import BaseModel, TypeAdapter

from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    JSONObject,
    Message,
    Thinking,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.provider import Route
from ai_batch.core.requests import ChatRequest
from ai_batch.core.results import ChatResponse, ItemError
from ai_batch.openai import wire

RECORDING = Path(__file__).parent / "recordings" / "responses.jsonl"
ROWS = {json.loads(line)["custom_id"]: line for line in RECORDING.read_bytes().splitlines()}
ROUTE = Route("chat", "/v1/responses", "gpt-6-luna")
PARAMETERS = TypeAdapter(ResponseCreateParamsNonStreaming)
WEATHER = Tool(name="weather", description="Look outside.")


class Answer(BaseModel):
    city: str


def _body_of(*, default: int | None = None, **fields: Any) -> JSONObject:
    """The body of a request, after its way through JSON; the SDK's own types must take it."""
    request = ChatRequest.model_validate({"messages": "Hi", **fields})
    data = wire.encode_body(request, ROUTE, max_tokens=default, token_parameter="max_tokens")
    body = cast("JSONObject", json.loads(data))
    _exhaust(PARAMETERS.validate_python(body))
    return body


def _exhaust(value: object) -> None:
    """Iterables are validated by pydantic only when they are iterated."""
    if isinstance(value, dict):
        _exhaust(cast("JSONObject", value).values())
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for item in cast("Iterable[object]", value):
            _exhaust(item)


def _answer_of(name: str) -> ChatResponse:
    _, outcome = wire.decode(ROWS[name], ROUTE)
    assert isinstance(outcome, ChatResponse)
    return outcome


def test_a_plain_question() -> None:
    """A string is one user message, and nothing is sent that was not asked for."""
    assert _body_of() == {"model": "gpt-6-luna", "input": [{"role": "user", "content": "Hi"}]}


def test_every_parameter() -> None:
    """All parameters arrive under this endpoint's own names, which differ from chat's."""
    body = _body_of(
        max_tokens=70,
        default=90,
        temperature=0,
        top_p=0.5,
        reasoning_effort="low",
        output_type=Answer,
        extra={"reasoning": {"summary": "auto"}, "text": {"verbosity": "low"}},
    )

    assert body["max_output_tokens"] == 70
    assert (body["temperature"], body["top_p"]) == (0, 0.5)
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["text"]["verbosity"] == "low"
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["text"]["format"]["name"] == "Answer"
    assert body["text"]["format"]["strict"] is True
    assert body["text"]["format"]["schema"]["required"] == ["city"]


def test_the_default_limit() -> None:
    """``max_tokens`` of the processor has the same name as the request's own."""
    assert _body_of(default=90)["max_output_tokens"] == 90


def test_media() -> None:
    """Pictures and documents travel by URL or as data; only documents need a file name."""
    body = _body_of(
        messages=[
            user(
                "See",
                Image(url="https://example.com/a.png"),
                Document(url="https://example.com/a.pdf"),
                Document(data=b"%PDF", name="b.pdf"),
            )
        ]
    )

    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {
            "type": "input_file",
            "filename": "b.pdf",
            "file_data": "data:application/pdf;base64,JVBERg==",
        },
    ]


def test_a_conversation_with_tools() -> None:
    """Each text, call and result is an item of the input, in their order."""
    body = _body_of(
        messages=[
            system("Be brief."),
            user("Weather?"),
            assistant("Let me look.", ToolCall(id="c1", name="weather", arguments={"a": 1})),
            tool_result("c1", "rain", is_error=True),
        ],
        tools=[WEATHER],
        tool_choice="weather",
    )

    assert body["input"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Let me look."},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "Error: rain"},
    ]
    assert body["tool_choice"] == {"type": "function", "name": "weather"}
    assert body["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "Look outside.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]


def test_strict_tools() -> None:
    """A strict tool gets a strict schema, and the words of tool_choice stay."""
    body = _body_of(tools=[Tool(name="a", strict=True)], tool_choice="required")

    assert body["tools"][0]["strict"] is True
    assert body["tools"][0]["parameters"]["additionalProperties"] is False
    assert body["tool_choice"] == "required"


@pytest.mark.parametrize("message", [user(Audio(data=b"x")), assistant(Thinking(text="Hm"))])
def test_nothing_is_left_out_in_silence(message: Message) -> None:
    """A part that has no place raises, should a caller skip ``check``."""
    with pytest.raises(ValueError, match="has no place"):
        _body_of(messages=[message])


@pytest.mark.parametrize(
    ("name", "reason", "content", "thinking"),
    [
        ("text", "stop", "Paris.", "France: Paris."),
        ("tool", "tool_calls", "", None),
        ("cut", "length", "", None),
        ("filtered", "content_filter", "", None),
        ("refused", "refusal", "", None),
        ("open-model", "stop", "Yes", "Hm."),
        ("custom-tool", "tool_calls", "", None),
    ],
)
def test_answers(name: str, reason: str, content: str, thinking: str | None) -> None:
    """Content, thoughts and the reason of the end; an incomplete answer is an answer."""
    answer = _answer_of(name)

    assert (answer.finish_reason, answer.content) == (reason, content)
    assert answer.thinking == thinking


def test_the_answers_particulars() -> None:
    """Ids, tokens, calls, the signature of a thought and the refusal are all read."""
    answer = _answer_of("text")

    assert (answer.model, answer.response_id) == ("gpt-6-luna", "resp_68")
    assert wire.scan(ROWS["text"], ROUTE) == ("text", None, 20, 11, 16, 4, 8)
    assert answer.thoughts == (Thinking(text="France: Paris.", signature="gAAA"),)
    assert answer.raw["object"] == "response"
    assert _answer_of("tool").tool_calls[0].arguments == {"city": "Köln"}
    assert _answer_of("tool").tool_calls[0].id == "call_9"
    assert _answer_of("custom-tool").tool_calls[0].raw_arguments == "SELECT 1"
    assert _answer_of("refused").refusal == "No."


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("failed", "server_error", "The model failed."),
        ("queued", "invalid_response", "the response ended with status 'queued'"),
        ("no-output", "invalid_response", "the vendor's answer has no output"),
    ],
)
def test_failures_within_status_200(name: str, code: str, message: str) -> None:
    """A response that failed has HTTP status 200 all the same, and is no answer."""
    _, outcome = wire.decode(ROWS[name], ROUTE)

    assert isinstance(outcome, ItemError)
    assert (outcome.code, outcome.message, outcome.retryable) == (code, message, True)
    assert wire.scan(ROWS[name], ROUTE).error == outcome


def test_an_unknown_reason_to_stop() -> None:
    """Reasons that come one day are ``other``, and missing usage is none."""
    body = b'{"status":"incomplete","incomplete_details":{"reason":"new"},"output":[]}'

    outcome = wire.decode_body(body, ROUTE)

    assert isinstance(outcome, ChatResponse)
    assert outcome.finish_reason == "other"
    assert outcome.usage.total_tokens == 0


@pytest.mark.parametrize("name", ["text", "tool", "refused"])
def test_the_sdk_reads_the_recorded_answers(name: str) -> None:
    """What we take for answers are answers for the SDK, too, and say the same."""
    body = json.loads(ROWS[name])["response"]["body"]

    theirs = Response.model_construct(**Response.construct(**body).__dict__)

    assert theirs.output_text == _answer_of(name).content
