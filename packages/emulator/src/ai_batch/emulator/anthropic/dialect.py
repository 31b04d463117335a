"""How Anthropic words its answers, and how a conversation reads for an OpenAI-compatible server."""

from __future__ import annotations

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.anthropic.errors import error_body
from ai_batch.emulator.anthropic.message_echo import message, usage_object
from ai_batch.emulator.anthropic.prompt_tokens import PromptTokens
from ai_batch.emulator.items import item_key
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_count,
    as_list,
    as_object,
    as_text,
    decode,
    encode,
)
from ai_batch.emulator.texts import content_text

_CANNED = "This is the emulator's canned answer."
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


class AnthropicDialect:
    """The bodies of `/v1/messages`; `service_tier` is "batch" or "standard"."""

    def __init__(self, service_tier: str) -> None:
        self._service_tier = service_tier

    def echo(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the answer that depends on nothing but the request."""
        return message(body, item_key(endpoint, body), self._service_tier)

    def canned_key(self, endpoint: str, body: JsonObject) -> str:
        """Return what the canned answer depends on: its model."""
        return as_text(body.get("model"))

    def canned_request(self, endpoint: str, body: JsonObject) -> JsonObject:
        """Return the request whose echo is the canned answer."""
        said: JsonObject = {"role": "user", "content": _CANNED}
        return {"model": body.get("model"), "messages": [said]}

    def failure(self, status: int, message: str) -> JsonObject:
        """Return the body of a failed request."""
        return error_body(status, message)

    def to_upstream(self, endpoint: str, body: JsonObject) -> tuple[str, JsonObject]:
        """Translate the text of a conversation into a chat completion."""
        messages = [*_system(body.get("system")), *map(_message, as_list(body.get("messages")))]
        chat: JsonObject = {"model": body.get("model"), "messages": messages}
        names = {
            "max_tokens": "max_tokens",
            "stop_sequences": "stop",
            "temperature": "temperature",
            "top_p": "top_p",
        }
        chat |= {theirs: body[ours] for ours, theirs in names.items() if ours in body}
        wanted = as_object(as_object(body.get("output_config")).get("format"))
        if wanted:
            schema: JsonObject = {"name": "answer", "schema": wanted.get("schema")}
            chat["response_format"] = {"type": "json_schema", "json_schema": schema}
        return "/v1/chat/completions", chat

    def from_upstream(self, endpoint: str, body: JsonObject, answered: Answered) -> Answered:
        """Translate a chat completion into a message."""
        found = as_object(decode(answered.body))
        if not answered.ok:
            error = as_object(found.get("error"))
            said = as_text(error.get("message")) or "The upstream server failed."
            return Answered(answered.status, encode(self.failure(answered.status, said)))
        choice = as_object((as_list(found.get("choices")) or [None])[0])
        text = as_text(as_object(choice.get("message")).get("content"))
        usage = as_object(found.get("usage"))
        read = PromptTokens(as_count(usage.get("prompt_tokens")) or 0, 0, 0)
        written = as_count(usage.get("completion_tokens")) or 0
        content: list[JsonValue] = [{"type": "text", "text": text}] if text else []
        return Answered(
            200,
            encode(
                {
                    "id": f"msg_{as_text(found.get('id'))}",
                    "type": "message",
                    "role": "assistant",
                    "model": as_text(found.get("model")),
                    "content": content,
                    "stop_reason": _STOPS.get(as_text(choice.get("finish_reason")), "end_turn"),
                    "stop_sequence": None,
                    "usage": usage_object(read, written, self._service_tier),
                }
            ),
        )


def _system(system: JsonValue) -> list[JsonValue]:
    text = content_text(system)
    return [{"role": "system", "content": text}] if text else []


def _message(message: JsonValue) -> JsonValue:
    message = as_object(message)
    return {"role": message.get("role"), "content": content_text(message.get("content"))}
