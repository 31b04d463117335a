"""What is checked of the messages of a request."""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.emulator.anthropic.models import is_adaptive_only
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text

MAX_MESSAGES = 100_000
_ROLES = ("user", "assistant", "system")
_BLOCKS = frozenset(
    {
        "text",
        "image",
        "document",
        "search_result",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "tool_result",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
    }
)
_SOURCES = frozenset({"base64", "url", "file", "text", "content"})


def message_problems(body: JsonObject, *, strict: bool) -> Iterator[str]:
    """Yield what is wrong with the messages; `strict` for the version 2026-10-21."""
    messages = body["messages"]
    if not isinstance(messages, list):
        yield "messages: Input should be a valid list"
        return
    if not messages:
        yield "messages: at least one message is required"
    if len(messages) > MAX_MESSAGES:
        yield f"messages: List should have at most {MAX_MESSAGES} items"
    for index, message in enumerate(messages):
        last = index == len(messages) - 1
        yield from _message(f"messages.{index}", message, last=last, strict=strict)
    if _is_prefill(messages) and is_adaptive_only(as_text(body["model"])):
        yield (
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )


def _is_prefill(messages: list[JsonValue]) -> bool:
    """Tell whether the answer is begun by the caller; a paused turn that is sent back is not."""
    last = as_object(messages[-1])
    content = last.get("content")
    if last.get("role") != "assistant":
        return False
    kinds = {as_text(as_object(block).get("type")) for block in as_list(content)}
    return isinstance(content, str) or kinds <= {"text"}


def _message(place: str, message: JsonValue, *, last: bool, strict: bool) -> Iterator[str]:
    if not isinstance(message, dict):
        yield f"{place}: Input should be a valid dictionary"
        return
    role = message.get("role")
    if role not in _ROLES:
        yield f"{place}.role: Input should be 'user' or 'assistant'"
    if "content" not in message:
        yield f"{place}.content: Field required"
        return
    content = message["content"]
    if not isinstance(content, (str, list)):
        yield f"{place}.content: Input should be a valid string or list"
    if not content and not (last and role == "assistant"):
        yield (
            f"{place}: all messages must have non-empty content "
            "except for the optional final assistant message"
        )
    for index, block in enumerate(as_list(content)):
        yield from _block(f"{place}.content.{index}", block)
        if strict:
            yield from _outdated(f"{place}.content.{index}", as_object(block), as_text(role))


def _block(place: str, block: JsonValue) -> Iterator[str]:
    block = as_object(block)
    kind = as_text(block.get("type"))
    if kind not in _BLOCKS:
        yield (
            f"{place}: Input tag '{kind}' found using 'type' does not match any of the "
            "expected tags"
        )
    if kind == "text" and not isinstance(block.get("text"), str):
        yield f"{place}.text.text: Field required"
    if kind == "text" and block.get("text") == "":
        yield "messages: text content blocks must be non-empty"
    if kind in {"image", "document"}:
        yield from _source(f"{place}.{kind}.source", as_object(block.get("source")))
    if kind == "tool_result" and not as_text(block.get("tool_use_id")):
        yield f"{place}.tool_result.tool_use_id: Field required"


def _source(place: str, source: JsonObject) -> Iterator[str]:
    kind = as_text(source.get("type"))
    if kind not in _SOURCES:
        yield f"{place}: Input tag '{kind}' found using 'type' does not match any expected tag"
    # Nothing is ever downloaded here: names under .invalid are those that nobody can reach.
    if kind == "url" and ".invalid/" in as_text(source.get("url")) + "/":
        yield "Unable to download the file. Please verify the URL and try again."


def _outdated(place: str, block: JsonObject, role: str) -> Iterator[str]:
    kind = as_text(block.get("type"))
    if kind == "document" and role == "assistant":
        yield f"{place}: document blocks are not permitted in assistant messages"
    if role != "user":
        return
    inner = [block, *map(as_object, as_list(block.get("content")))]
    cited = inner if kind == "search_result" else inner[:1]
    if any(part.get("type") == "text" and as_list(part.get("citations")) for part in cited):
        yield f"{place}.citations: Extra inputs are not permitted"
