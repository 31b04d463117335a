"""Lines of OpenAI batch files, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from ai_batch.cli.openai_lines import read_openai_line
from ai_batch.cli.templates import Template
from ai_batch.core import ChatRequest, EmbeddingRequest, Image, ToolCall, ToolResult, UsageError


def line(url: str, **body: Any) -> dict[str, Any]:
    """A line of a batch file."""
    return {"custom_id": "x", "method": "POST", "url": f"/v1/{url}", "body": body}


def chat(**body: Any) -> ChatRequest:
    """The request of a chat completion, with one message where none is given."""
    given = {"messages": [{"role": "user", "content": "hi"}], **body}
    read = read_openai_line(line("chat/completions", **given), keep_extra=True)
    return ChatRequest.model_validate(read)


def test_parameters_keep_their_meaning() -> None:
    """What both call alike, or by another name, is a field of the request."""
    request = chat(model="m", temperature=0.5, max_completion_tokens=7, seed=1, stop=["a"], n=1)

    assert (request.id, request.model, request.temperature) == ("x", "m", 0.5)
    assert (request.max_tokens, request.seed, request.stop) == (7, 1, ("a",))
    assert request.extra is None


def test_tools_and_their_results_are_read() -> None:
    """A conversation with tools has calls and results of ours."""
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    turns = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]

    request = chat(
        messages=turns,
        tools=[{"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "f"}},
    )

    assert request.messages[1].parts == (ToolCall(id="c", name="f", arguments={"a": 1}),)
    assert request.messages[2].parts == (ToolResult(id="c", content="done"),)
    assert [tool.name for tool in request.tools or ()] == ["f"]
    assert request.tool_choice == "f"


def test_pictures_come_along() -> None:
    """A picture is a URL, or the data of one."""
    parts = [
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]

    request = chat(messages=[{"role": "user", "content": parts}])

    assert request.messages[0].parts == (
        Image(url="https://x/y.png", detail="low"),
        Image(data=b"\0\0\0", media_type="image/png"),
    )


def test_a_schema_of_answers_is_an_output_type() -> None:
    """response_format with a JSON schema is what other providers call by other names."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}

    request = chat(
        response_format={"type": "json_schema", "json_schema": {"name": "A", "schema": schema}}
    )

    assert request.output_type == {"title": "A", **schema}


def test_responses_are_read_as_chats() -> None:
    """Lines for the Responses API have instructions, an input and other names."""
    body = {"model": "m", "instructions": "Be brief.", "input": "hi", "max_output_tokens": 9}

    read = read_openai_line(line("responses", **body), keep_extra=True)
    request = ChatRequest.model_validate(read)

    assert [(turn.role, turn.text) for turn in request.messages] == [
        ("system", "Be brief."),
        ("user", "hi"),
    ]
    assert request.max_tokens == 9


def test_texts_to_embed_are_read() -> None:
    """Lines for embeddings become requests for vectors; the format of numbers is our own."""
    body = {"model": "e", "input": ["a", "b"], "dimensions": 8, "encoding_format": "float"}

    read = read_openai_line(line("embeddings", **body), keep_extra=False)
    request = EmbeddingRequest.model_validate(read)

    assert (request.texts, request.dimensions, request.model) == (("a", "b"), 8, "e")


def test_what_only_openai_knows_is_kept_or_refused() -> None:
    """A parameter without a field of ours goes to OpenAI as it is, and to nobody else."""
    given = line("chat/completions", messages=[], logit_bias={"1": 2})

    assert read_openai_line(given, keep_extra=True)["extra"] == {"logit_bias": {"1": 2}}
    with pytest.raises(ValueError, match="only OpenAI knows logit_bias"):
        read_openai_line(given, keep_extra=False)


def test_other_endpoints_are_refused() -> None:
    """What is no chat and no embedding can't be a request."""
    with pytest.raises(ValueError, match="no request of ours for the url '/v1/completions'"):
        read_openai_line(line("completions", prompt="x"), keep_extra=True)


def test_braces_hold_columns() -> None:
    """A template has columns in braces, doubled braces, and nothing else."""
    template = Template("{{{a b}}} and {c}")

    assert template.columns == ["a b", "c"]
    assert template.fill({"a b": 1, "c": None, "d": 2}) == "{1} and "
    with pytest.raises(UsageError, match="--prompt"):
        Template("{}")
