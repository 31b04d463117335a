"""Pydantic AI's models behind a concurrent processor."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from packages.concurrent.tests.adapters.conftest import Recorder, completion
from pydantic import BaseModel

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.concurrent.pydantic_ai import PydanticAIChat
from ai_batch.core import (
    Audio,
    AuthenticationFailed,
    ChatRequest,
    ChatResponse,
    Document,
    Image,
    Thinking,
    Tool,
    ToolCall,
    Usage,
    UsageError,
    assistant,
    system,
    tool_result,
    user,
)

function: Any = importlib.import_module("pydantic_ai.models.function")
fallback: Any = importlib.import_module("pydantic_ai.models.fallback")
test: Any = importlib.import_module("pydantic_ai.models.test")
models: Any = importlib.import_module("pydantic_ai.models.openai")
providers: Any = importlib.import_module("pydantic_ai.providers.openai")
messages: Any = importlib.import_module("pydantic_ai.messages")
usage: Any = importlib.import_module("pydantic_ai.usage")

# Who does not enter a provider leaves its connections to the program's end.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PICTURE = b"\x89PNG\r\n\x1a\n"


class City(BaseModel):
    name: str


class Heard:
    """A model that writes down what it is asked, and gives these parts."""

    def __init__(self, *parts: Any, profile: Any = None, **fields: Any) -> None:
        self.messages: list[Any] = []
        self.info: Any = None
        self.answer = messages.ModelResponse(parts=list(parts), **fields)
        self.model = function.FunctionModel(self._hear, model_name="heard", profile=profile)

    def _hear(self, given: list[Any], info: Any) -> Any:
        self.messages, self.info = given, info
        return self.answer


def text(content: str = "Ulm") -> Any:
    """A part of an answer."""
    return messages.TextPart(content)


def openai_model(openai: Recorder, name: str = "gpt-4.1", **options: Any) -> Any:
    """Pydantic AI's own model of OpenAI."""
    provider = providers.OpenAIProvider(base_url=openai.url, api_key="sk-made-up")
    return models.OpenAIChatModel(name, provider=provider, **options)


def ask(model: Any, /, **request: Any) -> ChatResponse:
    """One answer."""
    request.setdefault("messages", "Which city?")
    return asyncio.run(PydanticAIChat(model).chat(ChatRequest(**request)))


def faults_of(model: Any, /, **request: Any) -> list[str | None]:
    """The fields in which a request is refused."""
    request.setdefault("messages", "hello")
    return [problem.field for problem in PydanticAIChat(model).check(ChatRequest(**request))]


# -- through the processor ---------------------------------------------------------------------


def test_any_model_is_a_client() -> None:
    """A model of Pydantic AI's is given as it is, and its texts come back in order."""
    model = test.TestModel(custom_output_text="Paris")
    with ConcurrentProcessor(chat=model) as processor:
        response = processor.process(["Capital of France?", "And again?"])

        assert [result.chat and result.chat.content for result in response] == ["Paris", "Paris"]


def test_what_can_not_be_carried_over_is_told_before_anything_is_sent() -> None:
    """A request that the model can't answer names its id and its field."""
    heard = Heard(text())
    requests = [ChatRequest(id="other", messages="hello", model="another")]

    with ConcurrentProcessor(chat=heard.model) as processor, pytest.raises(UsageError) as caught:
        processor.process(requests)

    [problem] = caught.value.problems
    assert (problem.id, problem.field) == ("other", "model")
    assert heard.messages == []


def test_a_vendors_refusal_is_one_call_and_is_tried_again_by_us(openai: Recorder) -> None:
    """The SDK's own retries are off: a request has as many calls as we count attempts."""
    openai.answer = (500, {"error": {"message": "broken", "type": "server_error"}})

    with ConcurrentProcessor(chat=openai_model(openai), max_attempts=2) as processor:
        [result] = processor.process(["hello"])

    assert result.error is not None
    assert (result.error.status, result.error.retryable) == (500, True)
    assert result.attempts == len(openai.asked) == 2


def test_a_wrong_key_stops_the_run(openai: Recorder) -> None:
    """What only a person can mend is raised, without the key."""
    openai.answer = (401, {"error": {"message": "Incorrect API key: sk-made-up", "code": "x"}})

    with (
        ConcurrentProcessor(chat=openai_model(openai)) as processor,
        pytest.raises(AuthenticationFailed, match="Incorrect API key") as caught,
    ):
        processor.process(["hello"])

    assert "sk-made-up" not in str(caught.value)


# -- what is sent -------------------------------------------------------------------------------


def test_parameters_reach_the_vendor(openai: Recorder) -> None:
    """All options of a request are sent, under the vendor's names."""
    ask(
        openai_model(openai),
        max_tokens=50,
        temperature=0.5,
        top_p=0.9,
        stop=["END"],
        seed=7,
        extra={"user": "somebody"},
    )

    wanted = {
        "model": "gpt-4.1",
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "user": "somebody",
    }
    assert {name: openai.last.get(name) for name in wanted} == wanted


def test_efforts_reach_the_vendor(openai: Recorder) -> None:
    """A model that thinks is told how much; one that does not refuses to be told."""
    ask(openai_model(openai, "gpt-5-mini"), reasoning_effort="low")

    assert openai.last["reasoning_effort"] == "low"
    assert faults_of(openai_model(openai), reasoning_effort="low") == ["reasoning_effort"]
    assert faults_of(openai_model(openai, "gpt-5-mini"), reasoning_effort="huge") == [
        "reasoning_effort"
    ]


def test_conversations_reach_the_model() -> None:
    """System text, thoughts, calls of tools and their results keep their order and their ids."""
    heard = Heard(text())
    call = ToolCall(id="call_1", name="weather", arguments={"city": "Ulm"})
    broken = ToolCall(id="call_2", name="weather", raw_arguments="{oops")
    ask(
        heard.model,
        messages=[
            system("Be short."),
            user("Weather?"),
            assistant(Thinking(text="Hm.", signature="s"), "I look.", call, broken),
            tool_result("call_1", "rain"),
            tool_result("call_2", "what?", is_error=True),
        ],
    )

    first, second, third = heard.messages
    assert [(part.part_kind, part.content) for part in first.parts] == [
        ("system-prompt", "Be short."),
        ("user-prompt", "Weather?"),
    ]
    thinking, said, called, wrong = second.parts
    assert (thinking.content, thinking.signature) == ("Hm.", "s")
    assert said.content == "I look."
    assert (called.tool_call_id, called.tool_name, called.args) == (
        "call_1",
        "weather",
        {"city": "Ulm"},
    )
    assert wrong.args == "{oops"
    assert [(p.tool_name, p.tool_call_id, p.content, p.outcome) for p in third.parts] == [
        ("weather", "call_1", "rain", "success"),
        ("weather", "call_2", "what?", "failed"),
    ]


def test_media_reach_the_vendor(openai: Recorder) -> None:
    """Pictures, documents and sounds are sent in the vendor's form, beside the text."""
    ask(
        openai_model(openai),
        messages=user(
            "Look:",
            Image(url="https://example.com/a.png", detail="low"),
            Image(data=PICTURE),
            Document(data=b"%PDF-1.4", name="a.pdf"),
        ),
    )

    said, linked, given, document = openai.last["messages"][0]["content"]
    assert said == {"type": "text", "text": "Look:"}
    assert linked["image_url"] == {"url": "https://example.com/a.png", "detail": "low"}
    assert given["image_url"]["url"].startswith("data:image/png;base64,")
    assert document["file"]["file_data"].startswith("data:application/pdf;base64,")


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tools_and_their_choice_reach_the_vendor(
    openai: Recorder, choice: str | None, sent: object
) -> None:
    """A choice is sent in the vendor's words."""
    tools = [Tool(name="weather", description="Tells it."), Tool(name="time")]
    ask(openai_model(openai), tools=tools, tool_choice=choice)

    given = [given["function"] for given in openai.last["tools"]]
    assert [(tool["name"], tool.get("description")) for tool in given] == [
        ("weather", "Tells it."),
        ("time", ""),
    ]
    assert openai.last.get("tool_choice") == sent


# -- what comes back ----------------------------------------------------------------------------


def test_answers_come_back_whole(openai: Recorder) -> None:
    """Text, reason, all kinds of tokens, the model and the vendor's id are those of the vendor."""
    openai.answer = completion(content="Ulm")

    answer = ask(openai_model(openai))

    assert (answer.content, answer.finish_reason) == ("Ulm", "stop")
    assert answer.usage == Usage(
        input_tokens=20, output_tokens=9, cached_input_tokens=15, reasoning_tokens=4
    )
    assert (answer.model, answer.response_id) == ("gpt-5-mini-2025", "chatcmpl-7")
    assert answer.raw["provider_response_id"] == "chatcmpl-7"


def test_calls_of_tools_come_back() -> None:
    """Arguments are objects; those that are none come as the model wrote them."""
    call, broken = (
        messages.ToolCallPart("f", args, tool_call_id=id)
        for args, id in (({"x": 1}, "a"), ("{oops", "b"))
    )

    answer = ask(Heard(call, broken).model, tools=[Tool(name="f")])

    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == (
        ToolCall(id="a", name="f", arguments={"x": 1}),
        ToolCall(id="b", name="f", raw_arguments="{oops"),
    )


def test_thoughts_and_tokens_come_back() -> None:
    """Thoughts are apart from the text; tokens written to a cache are counted."""
    tokens = usage.RequestUsage(
        input_tokens=30, output_tokens=9, cache_read_tokens=5, cache_write_tokens=20
    )
    heard = Heard(messages.ThinkingPart("Hm.", signature="s"), text(), usage=tokens)

    answer = ask(heard.model)

    assert (answer.content, answer.thinking) == ("Ulm", "Hm.")
    assert answer.thoughts == (Thinking(text="Hm.", signature="s"),)
    assert answer.usage == Usage(
        input_tokens=30, output_tokens=9, cached_input_tokens=5, cache_write_tokens=20
    )


def test_refusals_come_back(openai: Recorder) -> None:
    """A refusal is told as one, with the model's words."""
    openai.answer = completion(content=None, refusal="I can't.")

    answer = ask(openai_model(openai))

    assert (answer.finish_reason, answer.refusal) == ("refusal", "I can't.")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"finish_reason": "error"}, "other"),
        ({"finish_reason": "stop", "provider_details": {"finish_reason": "pause_turn"}}, "pause"),
        (
            {"finish_reason": "stop", "provider_details": {"finish_reason": "stop_sequence"}},
            "stop_sequence",
        ),
        (
            {"finish_reason": "content_filter", "provider_details": {"finish_reason": "refusal"}},
            "refusal",
        ),
        ({}, "stop"),
    ],
)
def test_every_reason_is_understood(fields: dict[str, Any], reason: str) -> None:
    """The vendor's own word is more exact than the library's."""
    assert ask(Heard(text(), **fields).model).finish_reason == reason


def test_an_answer_by_a_schema_is_parsed(openai: Recorder) -> None:
    """The schema goes to the vendor, and an instance comes back."""
    openai.answer = completion(content='{"name": "Ulm"}')
    requests = [ChatRequest(messages="Which city?", output_type=City)]

    with ConcurrentProcessor(chat=openai_model(openai)) as processor:
        [result] = processor.process(requests)

    assert result.chat is not None
    assert result.chat.parsed == City(name="Ulm")
    sent = openai.last["response_format"]["json_schema"]
    assert (sent["name"], set(sent["schema"]["properties"])) == ("City", {"name"})


def test_an_answer_by_a_schema_may_be_a_call() -> None:
    """A model without schemas of its own gives the answer to a tool; calls of others stay calls."""
    no_schemas = {"supports_json_schema_output": False}
    answering = Heard(messages.ToolCallPart("City", {"name": "Ulm"}), profile=no_schemas)
    calling = Heard(messages.ToolCallPart("f", {}, tool_call_id="a"), profile=no_schemas)

    answer = ask(answering.model, output_type=City)
    call = ask(calling.model, output_type=City, tools=[Tool(name="f")])

    assert [tool.name for tool in answering.info.output_tools] == ["City"]
    assert (answer.parsed, answer.tool_calls) == (City(name="Ulm"), ())
    assert answer.finish_reason == "stop"
    assert (call.parsed, call.tool_calls) == (None, (ToolCall(id="a", name="f"),))


# -- what is refused ----------------------------------------------------------------------------


def test_what_a_model_ignores_is_refused() -> None:
    """Settings that a class says it ignores would be dropped without a word."""

    class Deaf(test.TestModel):  # type: ignore[misc]
        unsupported_settings = frozenset({"seed", "stop_sequences"})

    assert faults_of(Deaf(), seed=1, stop="x", temperature=0.1) == ["seed", "stop"]
    both = fallback.FallbackModel(test.TestModel(), Deaf())
    assert faults_of(both, seed=1, temperature=0.1) == ["seed"]


@pytest.mark.parametrize(
    ("profile", "request_of", "field"),
    [
        ({"supports_tools": False}, lambda: {"tools": [Tool(name="f")]}, "tools"),
        (
            {"supports_tools": False, "supports_json_schema_output": False},
            lambda: {"output_type": City},
            "output_type",
        ),
        ({"supports_json_schema_output": False}, lambda: {"output_type": list[int]}, "output_type"),
        (
            {"supports_image_input": False},
            lambda: {"messages": user(Image(data=PICTURE))},
            "messages[0]",
        ),
        (
            {"supports_document_input": False},
            lambda: {"messages": user(Document(data=b"%PDF"))},
            "messages[0]",
        ),
        (
            {"supports_audio_input": False},
            lambda: {"messages": user(Audio(data=b"RIFF"))},
            "messages[0]",
        ),
        ({}, lambda: {"messages": user(Image(data=PICTURE, detail="low"))}, "messages[0]"),
        ({}, lambda: {"messages": [user("x"), tool_result("a", "b")]}, "messages[1]"),
        ({}, lambda: {"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_a_model_can_not_do_is_refused(
    profile: dict[str, bool], request_of: Callable[[], dict[str, Any]], field: str
) -> None:
    """What the model's profile denies is told before anything is sent."""
    assert faults_of(Heard(text(), profile=profile).model, **request_of()) == [field]


# -- identity -----------------------------------------------------------------------------------


def test_a_model_is_known_by_what_changes_its_answers(openai: Recorder) -> None:
    """The same model and settings are the same client in the next program."""
    plain = PydanticAIChat(openai_model(openai)).identity

    assert (plain["model"], plain["system"]) == ("gpt-4.1", "openai")
    assert plain == PydanticAIChat(openai_model(openai)).identity
    assert plain != PydanticAIChat(openai_model(openai, settings={"temperature": 0.1})).identity
    assert plain != PydanticAIChat(openai_model(openai, "gpt-5")).identity
    assert "sk-" not in str(plain)
