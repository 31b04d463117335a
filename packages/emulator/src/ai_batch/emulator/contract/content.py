"""What a chat may hold: instructions, turns, tools, pictures, documents, and answers of a type."""

from __future__ import annotations

import base64

from pydantic import BaseModel

from ai_batch.core import ChatRequest, Tool
from ai_batch.core.messages import (
    Document,
    Image,
    Message,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.results import ChatResponse
from ai_batch.emulator.contract.laboratory import Laboratory
from ai_batch.emulator.contract.laboratory_fixtures import WithLaboratory, needs

__all__ = ["ContentContract"]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

WEATHER = Tool(
    name="get_weather",
    description="The weather of a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)


class Street(BaseModel):
    """A part of an address."""

    name: str
    number: int | None


class Address(BaseModel):
    """What an answer is to be, with a model within it."""

    city: str
    streets: list[Street]
    confirmed: bool


def answer_to(lab: Laboratory, *messages: Message, **fields: object) -> ChatResponse:
    """The answer to one chat; it must not fail."""
    request = ChatRequest.model_validate({"messages": messages, **fields})
    [result] = lab.processor().process([request])
    assert result.chat is not None, result.error
    assert lab.emulator.stats.items_billed == 1
    return result.chat


class ContentContract(WithLaboratory):
    """Nothing of a chat is lost on the way there or back."""

    @needs("chat")
    def test_instructions_and_turns(self, lab: Laboratory) -> None:
        """A system message and earlier turns are sent; the last one is answered."""
        answer = answer_to(
            lab,
            system("Be brief."),
            user("What is 1 + 1?"),
            assistant("2"),
            user("And 2 + 2?"),
            max_tokens=100,
        )
        assert answer.content == "And 2 + 2?"
        assert answer.finish_reason == "stop"
        assert answer.usage.input_tokens > 0
        assert answer.usage.output_tokens > 0
        assert answer.model
        assert answer.raw

    @needs("tools")
    def test_a_tool_that_must_be_called_is_called(self, lab: Laboratory) -> None:
        """The call comes back with its name and arguments that fit the tool's schema."""
        answer = answer_to(
            lab, user("How is the weather?"), tools=[WEATHER], tool_choice="required"
        )
        assert answer.finish_reason == "tool_calls"
        [call] = answer.tool_calls
        assert (call.name, bool(call.id)) == ("get_weather", True)
        assert isinstance(call.arguments["city"], str)

    @needs("tools")
    def test_a_tool_that_is_named_is_called(self, lab: Laboratory) -> None:
        """Of two tools, the one that ``tool_choice`` names."""
        other = Tool(name="get_time", parameters={"type": "object", "properties": {}})
        answer = answer_to(lab, user("Well?"), tools=[other, WEATHER], tool_choice="get_weather")
        assert [call.name for call in answer.tool_calls] == ["get_weather"]

    @needs("tools")
    def test_a_tools_results_go_back(self, lab: Laboratory) -> None:
        """Two calls, their results, one of them an error, and a last question."""
        answer = answer_to(
            lab,
            user("Compare the weather of Paris and Rome."),
            assistant(
                "Let me see.",
                ToolCall(id="call_1", name="get_weather", arguments={"city": "Paris"}),
                ToolCall(id="call_2", name="get_weather", arguments={"city": "Rome"}),
            ),
            tool_result("call_1", '{"sky": "clear"}', name="get_weather"),
            tool_result("call_2", "no such city", name="get_weather", is_error=True),
            user("So?"),
            tools=[WEATHER],
        )
        # Where consecutive turns of a user are one, the echo begins with the results.
        assert answer.content.endswith("So?")

    @needs("images")
    def test_pictures_are_sent(self, lab: Laboratory) -> None:
        """By their bytes, between texts."""
        answer = answer_to(lab, user("What is", Image(data=PIXEL), "this?"))
        assert "this?" in answer.content

    @needs("documents")
    def test_documents_are_sent(self, lab: Laboratory) -> None:
        """A PDF by its bytes."""
        document = Document(data=PDF, media_type="application/pdf", name="paper.pdf")
        answer = answer_to(lab, user(document, "Summarise it."))
        assert "Summarise it." in answer.content

    @needs("structured")
    def test_an_answer_of_a_type(self, lab: Laboratory) -> None:
        """``output_type`` makes the vendor keep to its schema; ``parsed`` is an instance."""
        answer = answer_to(lab, user("Where do you live?"), output_type=Address)
        assert isinstance(answer.parsed, Address)
        assert all(isinstance(street, Street) for street in answer.parsed.streets)

    @needs("chat")
    def test_parameters_are_sent(self, lab: Laboratory) -> None:
        """What a request asks for beside its messages is no reason to fail."""
        answer = answer_to(lab, user("Hello"), max_tokens=50, metadata={"a": "b"})
        assert answer.content == "Hello"
