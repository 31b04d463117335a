"""The messages that the emulator answers with: echoes, tools, schemas, thoughts, refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import anthropic
import pytest
from anthropic.types import Message

from ai_batch.emulator import AnthropicLimits, Emulator, item_key

if TYPE_CHECKING:
    from packages.emulator.tests.anthropic.conftest import AnthropicLab

TOOL = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
    },
}

ANSWER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "enum": [2]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def answer(lab: AnthropicLab, text: str = "Hello", **changes: Any) -> Message:
    """The message that answers one request of a batch."""
    item = {"custom_id": "r0", "params": lab.params(text, **changes)}
    (row,) = lab.results(lab.run([item]))
    assert row.result.type == "succeeded", row
    return row.result.message


def text_of(message: Message) -> str:
    """All its words."""
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_live_message_equals_the_one_of_a_batch(lab: AnthropicLab) -> None:
    """But for its service tier, an answer depends on the request alone."""
    live = lab.live("Good morning")
    batched = answer(lab, "Good morning")
    assert text_of(live) == "Good morning"
    assert (live.usage.service_tier, batched.usage.service_tier) == ("standard", "batch")
    live.usage.service_tier = "batch"
    assert live == batched
    key = item_key("/v1/messages", lab.params("Good morning"))
    assert lab.emulator.stats.billings == {key: 2}


def test_a_tool_that_must_be_called_is_called(lab: AnthropicLab) -> None:
    """Its input is a small instance of its schema."""
    tools = [{"name": "other", "input_schema": {"type": "object"}}, TOOL]
    message = answer(lab, tools=tools, tool_choice={"type": "tool", "name": "weather"})
    assert message.stop_reason == "tool_use"
    (block,) = message.content
    assert block.type == "tool_use"
    assert block.id.startswith("toolu_01")
    assert (block.name, block.input) == ("weather", {"city": "text", "days": 2})
    (block,) = answer(lab, tools=tools, tool_choice={"type": "any"}).content
    assert block.type == "tool_use"
    assert block.name == "other"
    assert answer(lab, tools=[TOOL], tool_choice={"type": "auto"}).stop_reason == "end_turn"


def test_the_result_of_a_tool_is_echoed(lab: AnthropicLab) -> None:
    """It is what the user side said last."""
    use: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "5"}]}
    conversation: list[Any] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    assert text_of(answer(lab, messages=conversation, tools=[TOOL])) == "5"


def test_a_schema_is_obeyed(lab: AnthropicLab) -> None:
    """Structured output is the text of a small instance."""
    wanted = {"type": "json_schema", "schema": ANSWER}
    message = answer(lab, output_config={"format": wanted})
    assert json.loads(text_of(message)) == {"city": "text", "days": 2}


@pytest.mark.parametrize("asked", [True, False])
def test_a_thought_comes_first(lab: AnthropicLab, asked: bool) -> None:
    """Because thinking was asked for, or because the newer models do it anyway."""
    if asked:
        changes: dict[str, Any] = {"max_tokens": 3000}
        changes["thinking"] = {"type": "enabled", "budget_tokens": 2000}
        message = answer(lab, "Hello", **changes)
    else:
        message = answer(lab, "Hello emulator:thinking")
    thought, text = message.content
    assert text.type == "text"
    assert thought.type == "thinking"
    assert thought.signature
    details = message.usage.output_tokens_details
    assert details is not None
    assert message.usage.output_tokens > details.thinking_tokens > 0


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", "model_context_window_exceeded"])
def test_words_make_a_message_end_oddly(lab: AnthropicLab, reason: str) -> None:
    """All are successes, and yet no ordinary answers."""
    message = answer(lab, f"Please emulator:{reason}")
    assert message.stop_reason == reason
    details = message.stop_details
    assert (details is not None and details.type == "refusal") is (reason == "refusal")


def test_a_paused_turn_goes_on(lab: AnthropicLab) -> None:
    """The assistant's turn is sent back as it is, and the next answer is an ordinary one."""
    paused = answer(lab, "emulator:pause_turn")
    (block,) = paused.content
    assert block.type == "server_tool_use"
    conversation = [
        {"role": "user", "content": "emulator:pause_turn"},
        {"role": "assistant", "content": [block.to_dict()]},
    ]
    assert answer(lab, messages=conversation, model="claude-opus-5").stop_reason == "end_turn"


def test_limits_end_a_message(lab: AnthropicLab) -> None:
    """A stop sequence cuts the text and is named; so does the number of tokens."""
    stopped = answer(lab, "one two three", stop_sequences=["nine", " two"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " two")
    assert text_of(stopped) == "one"
    cut = answer(lab, "x" * 100, max_tokens=5)
    assert (cut.stop_reason, cut.usage.output_tokens, len(text_of(cut))) == ("max_tokens", 5, 20)


def test_marked_prompts_are_written_to_or_read_from_the_cache(lab: AnthropicLab) -> None:
    """Some requests hit and some do not; the lifetime asked for is the one reported."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "x" * 4000, "cache_control": mark}]
    batch = lab.run(lab.items(40, system=system))
    hits = 0
    for row in lab.results(batch):
        assert row.result.type == "succeeded"
        usage = row.result.message.usage
        made = usage.cache_creation_input_tokens or 0
        read = usage.cache_read_input_tokens or 0
        assert sorted([made, read]) == [0, 1000]
        assert usage.cache_creation is not None
        assert usage.cache_creation.ephemeral_1h_input_tokens == made
        assert usage.input_tokens < 100
        hits += read == 1000
    assert 0 < hits < 40


def test_a_live_message_may_be_streamed(lab: AnthropicLab) -> None:
    """The SDK puts the events together to the same message."""
    params = lab.params("one two three", max_tokens=3000)
    params["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    with lab.client.messages.stream(**params) as stream:
        words = list(stream.text_stream)
        message = stream.get_final_message()
    assert words == ["one", " two", " three"]
    changes = {name: params[name] for name in ("max_tokens", "thinking")}
    assert message.usage == lab.live("one two three", **changes).usage
    assert [block.type for block in message.content] == ["thinking", "text"]
    called = lab.params("x", tools=[TOOL], tool_choice={"type": "any"})
    with lab.client.messages.stream(**called) as stream:
        (block,) = stream.get_final_message().content
    assert block.type == "tool_use"
    assert block.input == {"city": "text", "days": 2}


def test_tokens_are_counted_without_an_answer(lab: AnthropicLab) -> None:
    """The count is the one that an answer's usage has, and nothing is billed."""
    params = lab.params("How many?", system="Be brief.", tools=[TOOL])
    expected = lab.live("How many?", system="Be brief.", tools=[TOOL]).usage.input_tokens
    params.pop("max_tokens")
    assert lab.client.messages.count_tokens(**params).input_tokens == expected
    assert lab.emulator.stats.items_billed == 1


def test_models_are_listed(lab: AnthropicLab) -> None:
    """They have dated names, and what they take."""
    models = {model.id: model for model in lab.client.models.list()}
    assert models["claude-haiku-4-5-20251001"].display_name == "Claude Haiku 4.5"
    assert models["claude-opus-5"].max_tokens == 128_000
    assert lab.client.models.retrieve("claude-haiku-4-5").id == "claude-haiku-4-5-20251001"
    with pytest.raises(anthropic.NotFoundError):
        lab.client.models.retrieve("no-such")


def test_live_calls_are_limited_by_the_minute(make_lab: Callable[..., AnthropicLab]) -> None:
    """Beyond the limit they get a 429 that says when to come again."""
    lab = make_lab(anthropic_limits=AnthropicLimits(requests_per_minute=2))
    for _ in range(2):
        lab.live("x")
    with pytest.raises(anthropic.RateLimitError) as caught:
        lab.live("x")
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 61
    lab.emulator.advance(minutes=1)
    lab.live("x")


def test_a_live_body_is_limited(make_lab: Callable[..., AnthropicLab]) -> None:
    """It may be smaller than a batch."""
    lab = make_lab(anthropic_limits=AnthropicLimits(max_live_body_bytes=1000))
    with pytest.raises(anthropic.RequestTooLargeError):
        lab.live("x" * 1000)
    lab.run([lab.item(0, system="x" * 1000)])
    assert lab.http.post("/v1/messages", content=b"{").status_code == 400
    assert lab.http.post("/v1/messages", content=b"[]").status_code == 400


def test_canned_answers_are_all_the_same(make_lab: Callable[..., AnthropicLab]) -> None:
    """But bad requests are refused as ever."""
    lab = make_lab(answer="canned")
    rows = lab.by_id(lab.run([*lab.items(3), lab.item(9, max_tokens=0)]))
    assert rows["r9"].result.type == "errored"
    messages = [row.result.message for row in rows.values() if row.result.type == "succeeded"]
    assert len(messages) == 3
    assert messages[0] == messages[1] == messages[2]


def test_a_function_answers(make_lab: Callable[..., AnthropicLab]) -> None:
    """It gets the parameters, and returns a message, a status, or nothing."""

    def function(endpoint: str, body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        match endpoint, text:
            case "/v1/messages", "say 0":
                return {"type": "message", "content": [], "usage": {}, "stop_reason": "end_turn"}
            case "/v1/messages", "say 1":
                return 529, {}
            case "/v1/messages", "say 2":
                error = {"type": "billing_error", "message": "Pay.", "details": {"error_code": "x"}}
                return 402, {"type": "error", "error": error}
            case "/v1/messages", "say 3":
                raise ValueError("no")
            case _:
                return None

    lab = make_lab(answer=function)
    rows = {
        row["custom_id"]: row["result"]
        for row in map(json.loads, lab.raw(lab.run(lab.items(5))).splitlines())
    }
    assert rows["r0"]["message"]["content"] == []
    overloaded, unpaid, failed = (rows[name]["error"] for name in ("r1", "r2", "r3"))
    assert overloaded["error"]["type"] == "overloaded_error"
    assert overloaded["request_id"].startswith("workerreq_")
    assert unpaid["error"]["message"] == "Pay."
    assert unpaid["error"]["details"] == {"error_visibility": "user_facing", "error_code": "x"}
    assert failed["error"] == {
        "details": {"error_visibility": "user_facing"},
        "type": "api_error",
        "message": "The answer function failed: no",
    }
    assert rows["r4"]["type"] == "succeeded"


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    """An OpenAI-compatible server: another emulator."""
    with Emulator() as emulator:
        yield emulator


def test_another_server_answers(make_lab: Callable[..., AnthropicLab], upstream: Emulator) -> None:
    """The conversation becomes a chat completion, and its answer a message."""
    lab = make_lab(answer=upstream.openai_url)
    message = answer(
        lab,
        "What do you say?",
        system=[{"type": "text", "text": "Be kind."}],
        model="gpt-4o-mini",
        stop_sequences=["never"],
    )
    assert text_of(message) == "What do you say?"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 4
    assert message.usage.input_tokens > 4
    wanted = {"type": "json_schema", "schema": ANSWER}
    structured = answer(lab, model="gpt-4o-mini", output_config={"format": wanted})
    assert json.loads(text_of(structured)) == {"city": "text", "days": 2}
    assert answer(lab, "x" * 100, max_tokens=5, model="gpt-4o-mini").stop_reason == "max_tokens"
    kind, said = lab.error_of(model="gpt-5-mini")
    assert kind == "invalid_request_error"
    assert "max_completion_tokens" in said


def test_a_server_that_is_down_fails_the_requests(make_lab: Callable[..., AnthropicLab]) -> None:
    """The batch ends all the same."""
    lab = make_lab(answer="http://127.0.0.1:9")
    kind, said = lab.error_of()
    assert (kind, said[:9]) == ("api_error", "Upstream:")


def test_the_asynchronous_client_works(lab: AnthropicLab) -> None:
    """It creates, polls, pages and reads like the other."""

    async def main() -> list[str]:
        url = lab.emulator.anthropic_url
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
            batches = client.messages.batches
            batch = await batches.create(requests=lab.items(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            while batch.processing_status != "ended":
                batch = await batches.retrieve(batch.id)
            assert [found.id async for found in batches.list()] == [batch.id]
            return [row.custom_id async for row in await batches.results(batch.id)]

    assert sorted(asyncio.run(main())) == ["r0", "r1", "r2"]
