"""What is wrong with a single request, found when it runs (or at once, when it is live)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

if TYPE_CHECKING:
    from packages.emulator.tests.anthropic.conftest import AnthropicLab

OLD, NEW = "2023-06-01", "2026-10-21"
INVALID = "invalid_request_error"
SCHEMA = {"type": "object"}
DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
CITED = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}


def said(role: str, content: object) -> dict[str, Any]:
    """Changes that make a conversation of one user's word and this message."""
    return {"messages": [{"role": "user", "content": "x"}, {"role": role, "content": content}]}


def formed(**schema: Any) -> dict[str, Any]:
    """Changes that ask for an answer with a property of this schema."""
    whole = {"type": "object", "properties": {"a": schema}, "additionalProperties": False}
    if "$defs" in schema:
        whole["$defs"] = schema.pop("$defs")
    return {"output_config": {"format": {"type": "json_schema", "schema": whole}}}


REFERENCE = {"$ref": "#/$defs/b"}

BAD_ITEMS: list[tuple[dict[str, Any], str]] = [
    ({"messages": None}, "messages: Field required"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"model": None}, "model: Field required"),
    ({"model": 3}, "model: Input should be a valid string"),
    ({"max_tokens": 0}, "max_tokens: must be greater than or equal to 1"),
    ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    (
        {"max_tokens": 9_999_999},
        "max_tokens: 9999999 > 64000, which is the maximum allowed number of output tokens for",
    ),
    ({"stream": True}, '"stream=True" is not supported in the Message Batches API'),
    ({"speed": "fast"}, '"speed" is not supported in the Message Batches API'),
    ({"extra_body": {}}, "extra_body: Extra inputs are not permitted"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": {}}, "messages: Input should be a valid list"),
    ({"messages": ["x"]}, "messages.0: Input should be a valid dictionary"),
    (said("robot", "x"), "messages.1.role: Input should be 'user' or 'assistant'"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    (said("user", ""), "messages.1: all messages must have non-empty content"),
    (said("user", [{"type": "text", "text": ""}]), "messages: text content blocks must be"),
    (said("user", [{"type": "text"}]), "messages.1.content.0.text.text: Field required"),
    (said("user", [{"type": "song"}]), "messages.1.content.0: Input tag 'song' found"),
    (
        said("user", [{"type": "image", "source": {"type": "url", "url": "http://x.invalid/"}}]),
        "Unable to download the file. Please verify the URL and try again.",
    ),
    ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 9}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    (
        {"model": "claude-opus-5", "thinking": {"type": "enabled", "budget_tokens": 2000}},
        '"thinking.type.enabled" is not supported for this model.',
    ),
    ({"thinking": {"type": []}}, "thinking.type: Input should be"),
    (
        {"model": "claude-opus-5", **said("assistant", "Well,")},
        "This model does not support assistant message prefill.",
    ),
    ({"tool_choice": {"type": "any"}}, "tool_choice: may only be specified while"),
    ({"tools": [{"name": "a b", "input_schema": SCHEMA}]}, "tools.0.custom.name: String"),
    ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
    (
        {"tools": [{"name": "a", "input_schema": SCHEMA}] * 2},
        "tools: Tool names must be unique.",
    ),
    (
        {
            "tools": [{"name": "a", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "b"},
        },
        "tool_choice: Tool 'b' not found in provided tools",
    ),
    ({"output_config": {"effort": "huge"}}, "output_config.effort: Input should be"),
    (
        {"output_config": {"format": {"type": "json_schema"}}},
        "output_config.format.schema: Field required",
    ),
    (
        formed(type="object", properties={}),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be",
    ),
    (
        formed(type="array", items={"type": "integer", "minimum": 1, "maximum": 2}),
        "output_config.format.schema: For 'integer' type, properties maximum, minimum",
    ),
    (
        formed(anyOf=[{"type": "null"}, {"type": "string", "maxLength": 1}]),
        "output_config.format.schema: For 'string' type, properties maxLength are not supported",
    ),
    (
        formed(oneOf=[{"type": "null"}]),
        "output_config.format.schema: Schema type 'oneOf' is not supported",
    ),
    (
        formed(
            **{"$defs": {"b": {"anyOf": [{"$ref": "#/$defs/c"}]}, "c": REFERENCE}},
            **REFERENCE,
        ),
        "output_config.format.schema: Circular reference detected in schema definitions: b ->",
    ),
    ({"metadata": {"user_id": "x" * 513}}, "metadata.user_id: String should have at most"),
    ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid list"),
    ({"stop_sequences": [3]}, "stop_sequences.0: Input should be a valid string"),
    ({"system": 3}, "system: Input should be a valid string or list"),
    ({"tools": {}}, "tools: Input should be a valid list"),
    ({"model": ""}, "model: Input should be a valid string"),
    ({"temperature": 0.5}, "temperature: Extra inputs are not permitted"),
    ({"top_p": 1}, "top_p: Extra inputs are not permitted"),
    ({"top_k": 1}, "top_k: Extra inputs are not permitted"),
    (said("assistant", [DOCUMENT]), "messages.1.content.0: document blocks are not permitted"),
    (
        said("user", [CITED]),
        "messages.1.content.0.citations: Extra inputs are not permitted",
    ),
    (
        said("user", [{"type": "search_result", "content": [CITED]}]),
        "messages.1.content.0.citations: Extra inputs are not permitted",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ITEMS, ids=str)
def test_a_bad_item_is_an_error_of_its_own(
    lab: AnthropicLab, changes: dict[str, Any], message: str
) -> None:
    """The batch is created and ends; only that item is errored, with the vendor's words."""
    kind, found = lab.error_of(**changes)
    assert kind == INVALID
    assert found.startswith(message)
    assert lab.emulator.stats.items_billed == 0


def test_an_unknown_model_is_not_found(lab: AnthropicLab) -> None:
    """Its error has another type than those of bad requests."""
    assert lab.error_of(model="no-such-model") == ("not_found_error", "model: no-such-model")


def test_the_first_version_takes_what_the_new_one_refuses(lab: AnthropicLab) -> None:
    """Sampling, documents of assistants and citations of users are of the older version."""
    fine: list[dict[str, Any]] = [
        {"temperature": 0.5, "top_p": 0.5, "top_k": 5},
        {"model": "claude-opus-5", "temperature": 1},
        said("assistant", [DOCUMENT]),
        said("user", [CITED]),
    ]
    items = [lab.item(number, **changes) for number, changes in enumerate(fine)]
    assert lab.run(items, OLD).request_counts.succeeded == len(fine)
    assert lab.run(items, NEW).request_counts.errored == len(fine)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 2}, "temperature: Input should be less than or equal to 1"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"temperature": 0, "model": "claude-opus-5"}, "temperature: is not supported with"),
        ({"top_k": 3, "model": "claude-sonnet-5-5"}, "top_k: is not supported with"),
    ],
)
def test_the_first_version_checks_sampling(
    lab: AnthropicLab, changes: dict[str, Any], message: str
) -> None:
    """Values have bounds, and new models take only their own."""
    assert lab.error_of(OLD, **changes)[1].startswith(message)


def test_a_beta_lifts_the_limit_of_output(lab: AnthropicLab) -> None:
    """With it, a large model writes up to 300,000 tokens in a batch."""
    changes: dict[str, Any] = {"model": "claude-opus-5", "max_tokens": 300_000}
    beta = "other-beta, output-300k-2026-03-24"
    assert lab.run([lab.item(0, **changes)], betas=beta).request_counts.succeeded == 1
    assert "300000 > 128000" in lab.error_of(**changes)[1]


def test_an_errored_item_has_the_vendors_shape(lab: AnthropicLab) -> None:
    """The error is nested twice, names no request, and says who may see it."""
    raw = lab.raw(lab.run([lab.item(0, max_tokens=0)]))
    assert json.loads(raw) == {
        "custom_id": "r0",
        "result": {
            "type": "errored",
            "error": {
                "type": "error",
                "error": {
                    "details": {"error_visibility": "user_facing"},
                    "type": INVALID,
                    "message": "max_tokens: must be greater than or equal to 1",
                },
                "request_id": None,
            },
        },
    }


def test_a_request_that_cannot_be_read_is_errored(lab: AnthropicLab) -> None:
    """A number of 5000 digits is valid JSON, and yet more than anybody can count."""
    body = json.dumps({"requests": [lab.item(0, max_tokens=77_777), lab.item(1)]}).encode()
    body = body.replace(b"77777", b"7" * 5000)
    batch_id = lab.http.post("/v1/messages/batches", content=body).json()["id"]
    batch = lab.ended(lab.client.messages.batches.retrieve(batch_id))
    assert batch.request_counts.errored == batch.request_counts.succeeded == 1


def test_a_live_request_is_checked_at_once(lab: AnthropicLab) -> None:
    """What errs in a batch is an HTTP error here; streaming is fine here only."""
    with pytest.raises(anthropic.BadRequestError) as refused:
        lab.live("x", max_tokens=0)
    assert refused.value.api_message == "max_tokens: must be greater than or equal to 1"
    assert refused.value.request_id == refused.value.response.headers["request-id"]
    with pytest.raises(anthropic.NotFoundError):
        lab.live("x", model="no-such")
    events = lab.http.post("/v1/messages", json=lab.params("x", stream=True))
    assert events.text.startswith("event: message_start\n")


def test_models_are_known_as_one_likes(make_lab: Callable[..., AnthropicLab]) -> None:
    """A function decides which models exist, in batches and live."""

    def known_model(name: str) -> bool:
        return name == "claude-haiku-4-5"

    lab = make_lab(known_model=known_model)
    assert lab.run(lab.items(2)).request_counts.succeeded == 2
    assert lab.error_of(model="claude-opus-5")[0] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        lab.client.models.retrieve("claude-opus-5")
