"""What is checked of a Messages request: at once when it is live, when it runs when it is batched.

Sources: https://platform.claude.com/docs/en/api/messages and, for what the version 2026-10-21
refuses, https://platform.claude.com/docs/en/api/migration-2026-10-21
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.anthropic.errors import error_body
from ai_batch.emulator.anthropic.message_rules import message_problems
from ai_batch.emulator.anthropic.models import (
    LEAST_MAX_OUTPUT,
    LONG_OUTPUT,
    is_adaptive_only,
    max_output,
)
from ai_batch.emulator.anthropic.schema_rules import schema_faults
from ai_batch.emulator.anthropic.tool_rules import tool_problems
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
    encode,
)

SAMPLING = ("temperature", "top_p", "top_k")
_PARAMETERS = frozenset(
    {
        "model",
        "max_tokens",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "stop_sequences",
        "thinking",
        "metadata",
        "output_config",
        "cache_control",
        "service_tier",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "mcp_servers",
        "speed",
        "stream",
        "user_profile_id",
        *SAMPLING,
    }
)
_PLAIN = frozenset({"model", "max_tokens", "messages", "system"})
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "system": ((str, list), "string or list"),
    "tools": ((list,), "list"),
    "tool_choice": ((dict,), "dictionary"),
    "thinking": ((dict,), "dictionary"),
    "metadata": ((dict,), "dictionary"),
    "output_config": ((dict,), "dictionary"),
    "stop_sequences": ((list,), "list"),
}
_MIN_BUDGET = 1024
_MAX_USER_ID = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a request is checked against."""

    strict: bool
    """The API version is 2026-10-21 or later."""
    batched: bool
    known_model: Callable[[str], bool]
    betas: tuple[str, ...] = ()

    def refusal(self, body: JsonObject) -> Answered | None:
        """Return the error that a request gets, or None if it is fine."""
        if self._is_plain(body):
            return None
        problem = next(self._problems(body), None)
        if problem is not None:
            return _refused(400, problem)
        model = as_text(body["model"])
        return None if self.known_model(model) else _refused(404, f"model: {model}")

    def _is_plain(self, body: JsonObject) -> bool:
        """Tell whether nothing is wrong with a request, as with almost all."""
        if not body.keys() <= _PLAIN or not isinstance(body.get("system", ""), str):
            return False
        messages, limit = body.get("messages"), body.get("max_tokens")
        return (
            isinstance(messages, list)
            and len(messages) == 1
            and _is_plain_user(messages[0])
            and type(limit) is int
            and 1 <= limit <= LEAST_MAX_OUTPUT
            and isinstance(model := body.get("model"), str)
            and bool(model)
            and self.known_model(model)
        )

    def _problems(self, body: JsonObject) -> Iterator[str]:
        for name in ("model", "max_tokens", "messages"):
            if name not in body:
                yield f"{name}: Field required"
        for name in sorted(body.keys() - _PARAMETERS):
            yield f"{name}: Extra inputs are not permitted"
        if not as_text(body["model"]):
            yield "model: Input should be a valid string"
        yield from self._sampling(body)
        if self.batched:
            yield from _unbatched(body)
        for name, (kinds, spoken) in _TYPES.items():
            if not isinstance(body.get(name), (*kinds, type(None))):
                yield f"{name}: Input should be a valid {spoken}"
        yield from self._limit(body)
        yield from message_problems(body, strict=self.strict)
        yield from tool_problems(body)
        yield from _thinking(body)
        yield from _rest(body)

    def _sampling(self, body: JsonObject) -> Iterator[str]:
        model = as_text(body["model"])
        for name in SAMPLING:
            if name not in body:
                continue
            if self.strict:
                yield f"{name}: Extra inputs are not permitted"
            value = body[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield f"{name}: Input should be a valid number"
            elif value < 0:
                yield f"{name}: Input should be greater than or equal to 0"
            elif name != "top_k" and value > 1:
                yield f"{name}: Input should be less than or equal to 1"
            elif is_adaptive_only(model) and (name == "top_k" or value < 0.99):
                yield f"{name}: is not supported with {model}"

    def _limit(self, body: JsonObject) -> Iterator[str]:
        limit = as_count(body["max_tokens"])
        model = as_text(body["model"])
        if limit is None:
            yield "max_tokens: Input should be a valid integer"
        elif limit < 1:
            yield "max_tokens: must be greater than or equal to 1"
        elif limit > (most := max_output(model, long_output=LONG_OUTPUT in self.betas)):
            yield (
                f"max_tokens: {limit} > {most}, which is the maximum allowed number of output "
                f"tokens for {model}"
            )


def _is_plain_user(message: JsonValue) -> bool:
    if not isinstance(message, dict) or len(message) != 2 or message.get("role") != "user":
        return False
    content = message.get("content")
    return isinstance(content, str) and bool(content)


def _refused(status: int, message: str) -> Answered:
    return Answered(status, encode(error_body(status, message)))


def _unbatched(body: JsonObject) -> Iterator[str]:
    if body.get("stream"):
        yield '"stream=True" is not supported in the Message Batches API'
    if body.get("speed") not in (None, "standard"):
        yield '"speed" is not supported in the Message Batches API'


def _thinking(body: JsonObject) -> Iterator[str]:
    if body.get("thinking") is None:
        return
    thinking, model = as_object(body["thinking"]), as_text(body["model"])
    kind = as_text(thinking.get("type"))
    if kind not in {"enabled", "disabled", "adaptive", "between_tools"}:
        yield "thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'"
    if kind != "enabled":
        return
    if is_adaptive_only(model):
        yield (
            '"thinking.type.enabled" is not supported for this model. '
            'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    budget = as_count(thinking.get("budget_tokens"))
    if budget is None:
        yield "thinking.enabled.budget_tokens: Field required"
    elif budget < _MIN_BUDGET:
        message = f"Input should be greater than or equal to {_MIN_BUDGET}"
        yield f"thinking.enabled.budget_tokens: {message}"
    elif budget >= (as_count(body["max_tokens"]) or 0):
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."
    if as_text(as_object(body.get("tool_choice")).get("type")) in {"any", "tool"}:
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _rest(body: JsonObject) -> Iterator[str]:
    user_id = as_object(body.get("metadata")).get("user_id")
    if isinstance(user_id, str) and len(user_id) > _MAX_USER_ID:
        yield f"metadata.user_id: String should have at most {_MAX_USER_ID} characters"
    config = as_object(body.get("output_config"))
    wanted = as_object(config.get("format"))
    if wanted and wanted.get("type") != "json_schema":
        yield "output_config.format.type: Input should be 'json_schema'"
    if wanted and not isinstance(wanted.get("schema"), dict):
        yield "output_config.format.schema: Field required"
    for fault in schema_faults(as_object(wanted.get("schema"))):
        yield f"output_config.format.schema: {fault}"
    effort = config.get("effort")
    if effort not in (None, "low", "medium", "high", "xhigh", "max"):
        yield "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
    for index, stop in enumerate(as_list(body.get("stop_sequences"))):
        if not isinstance(stop, str):
            yield f"stop_sequences.{index}: Input should be a valid string"
