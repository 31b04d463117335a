"""Chat requests as Google's REST API has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from packages.gemini.tests.rows import CHAT, KEY, VERTEX, answered, row
from pydantic import BaseModel

from ai_batch.core import (
    ChatRequest,
    Document,
    Image,
    Text,
    Thinking,
    Tool,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.messages import Message
from ai_batch.core.provider import Route
from ai_batch.core.results import ChatResponse
from ai_batch.gemini import wire


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


WEATHER = Tool(
    name="weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)


def sent(
    request: ChatRequest, route: Route = CHAT, max_tokens: int | None = None
) -> dict[str, Any]:
    """The request of the line that is sent."""
    line = json.loads(wire.encode(request, route, KEY, max_tokens=max_tokens))
    assert line.keys() == {"key", "request"}
    assert line["key"] == KEY
    found: dict[str, Any] = line["request"]
    return found


def contents(*messages: Message) -> list[dict[str, Any]]:
    """The contents that become of messages."""
    found: list[dict[str, Any]] = sent(ChatRequest(messages=messages))["contents"]
    return found


def test_a_plain_request_is_only_its_contents() -> None:
    """No model, which stands in the URL, and nothing that was not asked for."""
    request = ChatRequest(id="mine", messages="Hello", model="m", metadata={"a": "b"})

    assert sent(request) == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_vertex_gets_the_key_as_a_label_too() -> None:
    """Labels of the user's stay beside it."""
    assert sent(ChatRequest(messages="Hello"), VERTEX)["labels"] == {"ai_batch_key": KEY}

    request = ChatRequest(messages="Hello", extra={"labels": {"team": "search"}})
    assert sent(request, VERTEX)["labels"] == {"team": "search", "ai_batch_key": KEY}
    assert sent(request, CHAT)["labels"] == {"team": "search"}


def test_the_wire_id_is_a_label() -> None:
    """Lower case, digits, dashes and underscores, 63 of them at most, whatever the index."""
    longest = f"{'a' * 16}-{10**9}_999999_1000000"

    assert len(longest) <= 63
    assert not set(longest) - set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_system_messages_are_the_instruction() -> None:
    """All in front, in one."""
    body = sent(ChatRequest(messages=[system("Be brief."), system("Be kind."), user("Hello")]))

    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}]}]


def test_turns_alternate_between_user_and_model() -> None:
    """The assistant is called model."""
    assert contents(user("a", "b"), assistant("c"), user("d")) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ]


def test_options_go_into_the_generation_config() -> None:
    """A line with one of them beside it fails."""
    body = sent(
        ChatRequest(
            messages="Hello",
            temperature=0.0,
            top_p=0.5,
            seed=7,
            stop=["END"],
            max_tokens=50,
            reasoning_effort="low",
        )
    )

    assert body.keys() == {"contents", "generationConfig"}
    assert body["generationConfig"] == {
        "temperature": 0.0,
        "topP": 0.5,
        "seed": 7,
        "stopSequences": ["END"],
        "maxOutputTokens": 50,
        "thinkingConfig": {"thinkingBudget": 1024},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 9), ({"max_tokens": 5}, 5), ({"temperature": 1.0}, 9)],
    ids=["plain", "own", "other"],
)
def test_the_processors_limit_is_the_default(given: dict[str, Any], expected: int) -> None:
    """A request's own limit counts before it."""
    body = sent(ChatRequest(messages="Hello", **given), max_tokens=9)

    assert body["generationConfig"]["maxOutputTokens"] == expected


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192}),
        ("models/gemini-2.5-flash-lite", "high", {"thinkingBudget": 24576}),
        ("gemini-3-pro-preview", "low", {"thinkingLevel": "low"}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "minimal"}),
        ("gemini-flash-latest", "high", {"thinkingLevel": "high"}),
    ],
)
def test_effort_is_told_as_the_model_wants_it(
    model: str, effort: str, config: dict[str, Any]
) -> None:
    """A budget until Gemini 2.5, a level for all that come after it."""
    route = CHAT._replace(model=model)

    body = sent(ChatRequest(messages="Hello", reasoning_effort=effort), route)

    assert body["generationConfig"]["thinkingConfig"] == config


def test_an_output_type_is_a_response_schema() -> None:
    """Not ``responseJsonSchema``, with which batches were seen to answer nonsense."""
    config = sent(ChatRequest(messages="Hello", output_type=City))["generationConfig"]

    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"]["type"] == "OBJECT"
    assert config["responseSchema"]["propertyOrdering"] == ["name", "inhabitants"]
    assert "responseJsonSchema" not in config


def test_tools_are_declared() -> None:
    """With their parameters in Gemini's own schema; one without parameters has none."""
    bare = Tool(name="now", description=None)

    body = sent(ChatRequest(messages="Hello", tools=[WEATHER, bare]))

    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "The weather in a city.",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"city": {"type": "STRING"}},
                        "propertyOrdering": ["city"],
                        "required": ["city"],
                    },
                },
                {"name": "now"},
            ]
        }
    ]
    assert "toolConfig" not in body


def test_parameters_that_gemini_cannot_say_go_as_they_are() -> None:
    """Tools have a field for JSON schemas, which works."""
    parameters = {"type": "object", "patternProperties": {"^x": {"type": "string"}}}
    tool = Tool(name="anything", parameters=parameters)

    [declared] = sent(ChatRequest(messages="Hello", tools=[tool]))["tools"][0][
        "functionDeclarations"
    ]

    assert declared == {"name": "anything", "parametersJsonSchema": parameters}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("weather", {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_a_choice_of_tools_is_a_mode(choice: str, config: dict[str, Any]) -> None:
    """One tool is demanded by allowing it alone."""
    body = sent(ChatRequest(messages="Hello", tools=[WEATHER], tool_choice=choice))

    assert body["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize("choice", [None, "auto"])
def test_strict_tools_are_validated(choice: str | None) -> None:
    """Gemini's word for arguments that fit the schema for certain."""
    strict = WEATHER.model_copy(update={"strict": True})

    body = sent(ChatRequest(messages="Hello", tools=[strict], tool_choice=choice))

    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_calls_and_results_go_by_the_tools_name() -> None:
    """Results without a name get that of the call before them with their id."""
    call = ToolCall(id="call_0", name="weather", arguments={"city": "Paris"})
    later = ToolCall(id="call_0", name="time", arguments={})

    found = contents(
        user("Hello"),
        assistant(call),
        tool_result("call_0", "rain"),
        assistant(later),
        tool_result("call_0", "noon"),
    )

    assert found[1]["parts"] == [{"functionCall": {"name": "weather", "args": {"city": "Paris"}}}]
    assert found[2] == {
        "role": "user",
        "parts": [{"functionResponse": {"name": "weather", "response": {"output": "rain"}}}],
    }
    assert found[4]["parts"][0]["functionResponse"]["name"] == "time"


def test_results_of_one_turn_stay_together() -> None:
    """As many results in one content as there were calls."""
    calls = [ToolCall(id=f"c{n}", name=f"tool{n}") for n in range(2)]

    found = contents(
        user("Hello"), assistant(*calls), tool_result("c0", "a"), tool_result("c1", "b"), user("?")
    )

    assert [len(content["parts"]) for content in found] == [1, 2, 2, 1]
    names = [part["functionResponse"]["name"] for part in found[2]["parts"]]
    assert names == ["tool0", "tool1"]


@pytest.mark.parametrize(
    ("content", "is_error", "response"),
    [
        ("rain", False, {"output": "rain"}),
        ('{"sky": "grey"}', False, {"sky": "grey"}),
        ("[1, 2]", False, {"output": "[1, 2]"}),
        ("no such city", True, {"error": "no such city"}),
        ('{"code": 5}', True, {"error": '{"code": 5}'}),
    ],
)
def test_what_a_tool_answers_is_an_object(
    content: str, response: dict[str, Any], *, is_error: bool
) -> None:
    """One that it is already, or one around the text that says whether the tool failed."""
    call = ToolCall(id="c", name="weather")

    found = contents(user("?"), assistant(call), tool_result("c", content, is_error=is_error))

    assert found[2]["parts"][0]["functionResponse"]["response"] == response


def test_a_results_own_name_counts() -> None:
    """It need not be looked up."""
    found = contents(user("?"), tool_result("elsewhere", "rain", name="weather"))

    assert found[1]["parts"][0]["functionResponse"]["name"] == "weather"


THOUGHTS: list[Any] = [
    (
        [Thinking(text="Hm.", signature="s1"), Text(text="Yes.")],
        [{"text": "Hm.", "thought": True, "thoughtSignature": "s1"}, {"text": "Yes."}],
    ),
    (
        [Thinking(text="", signature="s1"), Text(text="Yes.")],
        [{"text": "Yes.", "thoughtSignature": "s1"}],
    ),
    (
        [Thinking(text="", signature="s1"), Text(text="So:"), ToolCall(id="c", name="now")],
        [
            {"text": "So:"},
            {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "s1"},
        ],
    ),
    (
        [
            Thinking(text="", signature="s1"),
            ToolCall(id="c", name="now"),
            ToolCall(id="d", name="then"),
        ],
        [
            {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "s1"},
            {"functionCall": {"name": "then", "args": {}}},
        ],
    ),
    ([Thinking(text="", signature="s1")], [{"text": "", "thoughtSignature": "s1"}]),
    ([Thinking(text="Hm.")], [{"text": "Hm.", "thought": True}]),
]


@pytest.mark.parametrize(
    ("parts", "expected"),
    THOUGHTS,
    ids=["thought", "text", "call", "first call", "alone", "unsigned"],
)
def test_signatures_go_back_to_where_they_came_from(
    parts: list[Any], expected: list[dict[str, Any]]
) -> None:
    """Gemini 3 refuses a call that comes back without the signature that it had."""
    assert contents(user("?"), assistant(*parts))[1]["parts"] == expected


def test_an_answer_can_be_continued() -> None:
    """Thoughts and calls of an answer, put into the next request, give back the same parts."""
    parts: list[dict[str, Any]] = [
        {"text": "Hm.", "thought": True},
        {"functionCall": {"name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "sig"},
    ]
    answer = wire.decode(row(response=answered(*parts)), CHAT)[1]
    assert isinstance(answer, ChatResponse)

    found = contents(user("?"), assistant(*answer.thoughts, *answer.tool_calls))

    assert found[1]["parts"] == parts


def test_media_stand_among_the_text() -> None:
    """In the order in which they were given."""
    [content] = contents(
        user("What is this?", Image(data=b"\x89PNG\r\n"), Document(url="https://x.test/a.pdf"))
    )

    assert content["parts"] == [
        {"text": "What is this?"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}},
        {"fileData": {"fileUri": "https://x.test/a.pdf", "mimeType": "application/pdf"}},
    ]


def test_extra_is_merged_last() -> None:
    """Objects within objects too; all else is replaced."""
    request = ChatRequest(
        messages="Hello",
        temperature=0.5,
        extra={
            "generationConfig": {"topK": 4, "temperature": 0.7},
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "cachedContent": "cachedContents/abc",
        },
    )

    body = sent(request)

    assert body["generationConfig"] == {"temperature": 0.7, "topK": 4}
    assert body["safetySettings"][0]["threshold"] == "OFF"
    assert body["cachedContent"] == "cachedContents/abc"
