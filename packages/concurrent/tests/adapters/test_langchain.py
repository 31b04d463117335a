"""LangChain's chat models and embeddings behind a concurrent processor."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest
from packages.concurrent.tests.adapters.conftest import Recorder, completion
from pydantic import BaseModel

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.concurrent.langchain import LangChainChat, LangChainEmbedder
from ai_batch.core import (
    Audio,
    AuthenticationFailed,
    ChatRequest,
    ChatResponse,
    Document,
    EmbeddingRequest,
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

models: Any = importlib.import_module("langchain_core.language_models")
embeddings: Any = importlib.import_module("langchain_core.embeddings")
messages: Any = importlib.import_module("langchain_core.messages")
langchain_openai: Any = importlib.import_module("langchain_openai")

# LangChain keeps its connections for all models of an address, and never closes them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PICTURE = b"\x89PNG\r\n\x1a\n"


class City(BaseModel):
    name: str


def chat_model(openai: Recorder, **options: Any) -> Any:
    """LangChain's own model of OpenAI."""
    options = {"model": "gpt-5-mini", "api_key": "sk-made-up", **options}
    return langchain_openai.ChatOpenAI(base_url=openai.url, **options)


def embedding_model(openai: Recorder) -> Any:
    """LangChain's own embeddings of OpenAI."""
    return langchain_openai.OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=openai.url,
        api_key="sk-made-up",
        check_embedding_ctx_length=False,
    )


def ask(model: Any, /, **request: Any) -> ChatResponse:
    """One answer."""
    request.setdefault("messages", "Which city?")
    return asyncio.run(LangChainChat(model).chat(ChatRequest(**request)))


def faults_of(model: Any, /, **request: Any) -> list[str | None]:
    """The fields in which a request is refused."""
    request.setdefault("messages", "hello")
    return [problem.field for problem in LangChainChat(model).check(ChatRequest(**request))]


def giving(message: Any) -> Any:
    """A model of LangChain's that gives this message."""
    return models.GenericFakeChatModel(messages=iter([message]))


# -- through the processor ---------------------------------------------------------------------


def test_any_chat_model_is_a_client() -> None:
    """A model of LangChain's is given as it is, and its texts come back in order."""
    model = models.FakeListChatModel(responses=["Paris"])
    with ConcurrentProcessor(chat=model) as processor:
        response = processor.process(["Capital of France?", "And again?"])

        assert [result.chat and result.chat.content for result in response] == ["Paris", "Paris"]


def test_any_embeddings_are_a_client() -> None:
    """Embeddings of LangChain's give one vector per text, the same ones as without us."""
    model = embeddings.DeterministicFakeEmbedding(size=3)
    with ConcurrentProcessor(embedder=model) as processor:
        [result] = processor.process([EmbeddingRequest(texts=["a", "b"])])

    assert result.embedding is not None
    wanted = model.embed_documents(["a", "b"])
    assert result.embedding.vectors == [pytest.approx(vector) for vector in wanted]


def test_what_can_not_be_carried_over_is_told_before_anything_is_sent() -> None:
    """Options that a model has no field for, and media without a form, name their request."""
    model = models.FakeListChatModel(responses=["never"])
    requests = [ChatRequest(id="hot", messages="hello", temperature=0.5)]

    with ConcurrentProcessor(chat=model) as processor, pytest.raises(UsageError) as caught:
        processor.process(requests)

    [problem] = caught.value.problems
    assert (problem.id, problem.field) == ("hot", "temperature")
    assert "FakeListChatModel" in problem.message


def test_a_vendors_refusal_is_one_call_and_is_tried_again_by_us(openai: Recorder) -> None:
    """LangChain's own retries are off: a request has as many calls as we count attempts."""
    openai.answer = (500, {"error": {"message": "broken", "type": "server_error"}})
    model = chat_model(openai, max_retries=5)

    with ConcurrentProcessor(chat=model, max_attempts=2) as processor:
        [result] = processor.process(["hello"])

    assert result.error is not None
    assert (result.error.status, result.error.retryable) == (500, True)
    assert result.attempts == len(openai.asked) == 2
    assert model.root_async_client.max_retries == 5  # The user's own is as it was.


def test_a_wrong_key_stops_the_run(openai: Recorder) -> None:
    """What only a person can mend is raised, without the key."""
    openai.answer = (401, {"error": {"message": "Incorrect API key: sk-made-up", "code": "x"}})

    with (
        ConcurrentProcessor(chat=chat_model(openai)) as processor,
        pytest.raises(AuthenticationFailed, match="Incorrect API key") as caught,
    ):
        processor.process(["hello"])

    assert "sk-made-up" not in str(caught.value)


# -- what is sent -------------------------------------------------------------------------------


def test_parameters_reach_the_vendor(openai: Recorder) -> None:
    """All options that the model has a field for are sent with this request alone."""
    model = chat_model(openai, model="gpt-4.1", temperature=1.0)
    ask(
        model,
        model="gpt-4.1-mini",
        max_tokens=50,
        temperature=0.5,
        top_p=0.9,
        stop=["END"],
        seed=7,
        extra={"user": "somebody"},
    )
    sent = openai.last
    assert sent["messages"] == [{"role": "user", "content": "Which city?"}]
    assert (
        sent.items()
        >= {
            "model": "gpt-4.1-mini",
            "max_completion_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
            "user": "somebody",
        }.items()
    )
    assert sent["stop"] == ["END"]
    assert (model.model_name, model.temperature, model.stop) == ("gpt-4.1", 1.0, None)


def test_conversations_reach_the_vendor(openai: Recorder) -> None:
    """System text, calls of tools and their results keep their order and their ids."""
    call = ToolCall(id="call_1", name="weather", arguments={"city": "Ulm"})
    ask(
        chat_model(openai),
        messages=[
            system("Be short."),
            user("Weather?"),
            assistant("I look.", call),
            tool_result("call_1", "rain", name="weather"),
        ],
    )

    first, second, third, fourth = openai.last["messages"]
    assert (first["role"], first["content"]) == ("system", "Be short.")
    assert (second["role"], second["content"]) == ("user", "Weather?")
    assert (third["role"], third["content"]) == ("assistant", "I look.")
    assert third["tool_calls"][0]["id"] == "call_1"
    assert third["tool_calls"][0]["function"]["name"] == "weather"
    assert (fourth["role"], fourth["content"], fourth["tool_call_id"]) == ("tool", "rain", "call_1")


def test_media_reach_the_vendor(openai: Recorder) -> None:
    """Pictures, documents and sounds are sent in the vendor's form, beside the text."""
    ask(
        chat_model(openai),
        messages=user(
            "Look:",
            Image(url="https://example.com/a.png"),
            Image(data=PICTURE),
            Document(data=b"%PDF-1.4", name="a.pdf"),
            Audio(data=b"RIFF", format="wav"),
        ),
    )

    text, linked, given, document, sound = openai.last["messages"][0]["content"]
    assert text == {"type": "text", "text": "Look:"}
    assert linked["image_url"]["url"] == "https://example.com/a.png"
    assert given["image_url"]["url"].startswith("data:image/png;base64,")
    assert document["file"]["filename"] == "a.pdf"
    assert document["file"]["file_data"].startswith("data:application/pdf;base64,")
    assert sound["input_audio"]["format"] == "wav"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
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
    tool = Tool(name="weather", description="Tells it.", strict=True)
    ask(chat_model(openai), tools=[tool], tool_choice=choice)

    [function] = [given["function"] for given in openai.last["tools"]]
    assert (function["name"], function["description"], function["strict"]) == (
        "weather",
        "Tells it.",
        True,
    )
    assert openai.last.get("tool_choice") == sent


# -- what comes back ----------------------------------------------------------------------------


def test_answers_come_back_whole(openai: Recorder) -> None:
    """Text, reason, all kinds of tokens, the model and the vendor's id are those of the vendor."""
    openai.answer = completion(content="Ulm")

    answer = ask(chat_model(openai))

    assert (answer.content, answer.finish_reason) == ("Ulm", "stop")
    assert answer.usage == Usage(
        input_tokens=20, output_tokens=9, cached_input_tokens=15, reasoning_tokens=4
    )
    assert (answer.model, answer.response_id) == ("gpt-5-mini-2025", "chatcmpl-7")
    assert answer.raw["content"] == "Ulm"


def test_calls_of_tools_come_back(openai: Recorder) -> None:
    """Arguments are objects; those that are none come as the model wrote them."""
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{oops"}},
    ]
    openai.answer = completion(content=None, tool_calls=calls)
    openai.answer["choices"][0]["finish_reason"] = "tool_calls"

    answer = ask(chat_model(openai), tools=[Tool(name="f")])

    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == (
        ToolCall(id="a", name="f", arguments={"x": 1}),
        ToolCall(id="b", name="f", raw_arguments="{oops"),
    )


def test_refusals_come_back(openai: Recorder) -> None:
    """A refusal is told as one, with the model's words."""
    openai.answer = completion(content=None, refusal="I can't.")

    answer = ask(chat_model(openai))

    assert (answer.finish_reason, answer.refusal) == ("refusal", "I can't.")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "SAFETY"}, "content_filter"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "end_turn"}, "stop"),
        ({"stop_reason": "pause_turn"}, "pause"),
        ({"stop_reason": "stop_sequence"}, "stop_sequence"),
        ({"stop_reason": "refusal"}, "refusal"),
        ({"done_reason": "stop"}, "stop"),
        ({"finish_reason": "unheard of"}, "other"),
        ({}, "stop"),
    ],
)
def test_every_vendors_reason_is_understood(metadata: dict[str, str], reason: str) -> None:
    """LangChain hands on the vendors' own words."""
    message = messages.AIMessage("text", response_metadata=metadata)

    assert ask(giving(message)).finish_reason == reason


def test_thoughts_come_back() -> None:
    """Thoughts are apart from the text, with what the vendor wants back."""
    blocks = [
        {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "s"}},
        {"type": "text", "text": "Ulm"},
    ]

    answer = ask(giving(messages.AIMessage(blocks)))

    assert (answer.content, answer.thinking) == ("Ulm", "Hm.")
    assert answer.thoughts == (Thinking(text="Hm.", signature="s"),)


def test_cache_writes_are_counted() -> None:
    """Tokens written to a cache are part of the input, as everywhere."""
    usage = {
        "input_tokens": 30,
        "output_tokens": 1,
        "total_tokens": 31,
        "input_token_details": {"cache_creation": 20, "cache_read": 5},
    }

    answer = ask(giving(messages.AIMessage("x", usage_metadata=usage)))

    assert answer.usage == Usage(
        input_tokens=30, output_tokens=1, cached_input_tokens=5, cache_write_tokens=20
    )


def test_an_answer_by_a_schema_is_parsed(openai: Recorder) -> None:
    """The schema goes to the vendor, and an instance comes back."""
    openai.answer = completion(content='{"name": "Ulm"}')
    requests = [ChatRequest(messages="Which city?", output_type=City)]

    with ConcurrentProcessor(chat=chat_model(openai)) as processor:
        [result] = processor.process(requests)

    assert result.chat is not None
    assert result.chat.parsed == City(name="Ulm")
    sent = openai.last["response_format"]["json_schema"]
    assert (sent["name"], set(sent["schema"]["properties"])) == ("City", {"name"})


def test_an_answer_by_a_schema_may_be_a_call(openai: Recorder) -> None:
    """Where LangChain has the answer given to a tool, the call's arguments are the answer."""

    class ByTool(langchain_openai.ChatOpenAI):  # type: ignore[misc]
        def with_structured_output(self, schema: Any, **options: Any) -> Any:
            parent: Any = super()
            return parent.with_structured_output(schema, method="function_calling", **options)

    function = {"name": "City", "arguments": '{"name": "Ulm"}'}
    calls = [{"id": "a", "type": "function", "function": function}]
    openai.answer = completion(content=None, tool_calls=calls)
    model = ByTool(base_url=openai.url, model="gpt-5-mini", api_key="sk-made-up")

    answer = ask(model, output_type=City)

    assert (answer.parsed, answer.tool_calls) == (City(name="Ulm"), ())
    assert answer.finish_reason == "stop"


# -- what is refused ----------------------------------------------------------------------------


def test_models_without_a_method_can_not_be_asked_for_it() -> None:
    """A model that has no tools of its own has neither tools nor answers by a schema."""
    model = models.FakeListChatModel(responses=["x"])

    assert faults_of(model, tools=[Tool(name="f")]) == ["tools"]
    assert faults_of(model, output_type=City) == ["output_type"]
    assert faults_of(model, extra={"a": 1}) == ["extra"]
    assert faults_of(model, max_tokens=1, top_p=0.1, seed=1, model="other") == [
        "model",
        "max_tokens",
        "top_p",
        "seed",
    ]


def test_what_langchain_has_no_form_for_is_refused(openai: Recorder) -> None:
    """Nothing of a conversation is dropped on the way."""
    model = chat_model(openai)
    broken = ToolCall(id="a", name="f", raw_arguments="{oops")

    assert faults_of(model, messages=user(Image(data=PICTURE, detail="low"))) == ["messages[0]"]
    assert faults_of(model, messages=assistant("x", Thinking(text="Hm."))) == [
        "messages[0].parts[1]"
    ]
    assert faults_of(model, messages=assistant(broken)) == ["messages[0]"]
    assert faults_of(model, messages=system("x", Image(data=PICTURE))) == ["messages[0].parts[1]"]
    assert faults_of(model, tools=[Tool(name="f")], output_type=City) == ["tools"]
    assert faults_of(model, tool_choice="required") == ["tool_choice"]
    assert faults_of(model, tools=[Tool(name="f")], tool_choice="g") == ["tool_choice"]


def test_a_deployment_has_the_one_model() -> None:
    """Azure's models are part of the address: a request can't name another one."""
    model = langchain_openai.AzureChatOpenAI(
        azure_deployment="mine",
        azure_endpoint="http://localhost",
        api_key="made-up",
        api_version="2024-10-21",
        model="gpt-4.1",
    )

    assert faults_of(model, model="gpt-5") == ["model"]
    assert faults_of(model, model="gpt-4.1") == []


def test_what_is_made_of_a_model_is_no_model() -> None:
    """A chain has no one answer: the model itself is to be given."""
    chain = models.FakeListChatModel(responses=["x"]).with_retry()

    with pytest.raises(UsageError, match="chat= takes a client"):
        ConcurrentProcessor(chat=chain).process(["hello"])


# -- embeddings ---------------------------------------------------------------------------------


def test_embeddings_take_the_size_of_vectors(openai: Recorder) -> None:
    """The dimensions of a request reach the vendor."""
    embedder = LangChainEmbedder(embedding_model(openai))

    found = asyncio.run(embedder.embed(EmbeddingRequest(texts=["a", "b"], dimensions=8)))

    assert (found.count, found.dimensions, found.model) == (2, 8, "text-embedding-3-small")
    assert (openai.last["input"], openai.last["dimensions"]) == (["a", "b"], 8)


def test_embeddings_do_not_try_again_by_themselves(openai: Recorder) -> None:
    """A request has as many calls as we count attempts."""
    openai.answer = (503, {"error": {"message": "broken"}})

    with ConcurrentProcessor(embedder=embedding_model(openai), max_attempts=2) as processor:
        [result] = processor.process([EmbeddingRequest(texts="a")])

    assert result.error is not None
    assert result.error.status == 503
    assert result.attempts == len(openai.asked) == 2


def test_embeddings_without_options_refuse_them() -> None:
    """Sizes and tasks are not dropped."""
    embedder = LangChainEmbedder(embeddings.DeterministicFakeEmbedding(size=3))
    request = EmbeddingRequest(texts="a", dimensions=2, task="query")

    assert [problem.field for problem in embedder.check(request)] == ["dimensions", "task"]


# -- identity -----------------------------------------------------------------------------------


def test_a_model_is_known_by_what_changes_its_answers(openai: Recorder) -> None:
    """The same settings are the same client in the next program; a key changes nothing."""

    def known(**options: Any) -> dict[str, str]:
        return LangChainChat(chat_model(openai, **{"model": "gpt-4.1", **options})).identity

    plain = known()

    assert plain["model"] == "gpt-4.1"
    assert plain == known(api_key="sk-another", timeout=5, max_retries=7)
    assert plain != known(temperature=0.1)
    assert plain != known(model="gpt-4.1-mini")
    assert "sk-" not in str(plain)
