"""A conversation as Anthropic takes it: a system prompt, and turns made of blocks.

Tool results are no turn of their own but blocks at the start of the user's next one.
https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Sequence

from ai_batch.anthropic.wire_media import document_block, image_block
from ai_batch.core.messages import (
    Document,
    Image,
    JSONObject,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

__all__ = ["REDACTED", "system_prompt", "turns"]

REDACTED = "redacted_thinking:"
"""In front of the signature of a thought that came encrypted, so that it goes back as one."""


def system_prompt(messages: Sequence[Message]) -> tuple[str | list[JSONObject], int]:
    """What the system messages at the beginning say, and how many they are.

    Later ones stay where they are.
    https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
    """
    texts: list[str] = []
    count = 0
    for message in messages:
        if message.role != "system":
            break
        count += 1
        texts += [part.text for part in message.parts if isinstance(part, Text) and part.text]
    if len(texts) == 1:
        return texts[0], count
    return [{"type": "text", "text": text} for text in texts], count


def turns(messages: Sequence[Message]) -> list[JSONObject]:
    """The messages as turns; each tool's results and what the user says next are one."""
    items: list[JSONObject] = []
    results: list[JSONObject] | None = None
    for message in messages:
        role, parts = message.role, message.parts
        if role == "tool":
            if results is None:
                results = []
                items.append({"role": "user", "content": results})
            results.extend(_block(part) for part in parts)
        elif results is not None and role == "user":
            results.extend(_blocks(parts))
            results = None
        else:
            results = None
            items.append({"role": role, "content": _content(parts)})
    return items


def _content(parts: Sequence[Part]) -> str | list[JSONObject]:
    if len(parts) == 1 and type(parts[0]) is Text:
        return parts[0].text
    return _blocks(parts)


def _blocks(parts: Sequence[Part]) -> list[JSONObject]:
    # Empty text, as stands beside tool calls, says nothing, and the vendor refuses it.
    return [_block(part) for part in parts if not isinstance(part, Text) or part.text]


def _block(part: Part) -> JSONObject:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, ToolResult):
        return _result(part)
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    if isinstance(part, Thinking):
        return _thought(part)
    if isinstance(part, Image):
        return image_block(part)
    if isinstance(part, Document):
        return document_block(part)
    raise ValueError(f"Anthropic has no block for a part of type {part.type!r}")


def _result(result: ToolResult) -> JSONObject:
    block: JSONObject = {"type": "tool_result", "tool_use_id": result.id, "content": result.content}
    if result.is_error:
        block["is_error"] = True
    return block


def _thought(thought: Thinking) -> JSONObject:
    signature = thought.signature or ""
    if signature.startswith(REDACTED):
        return {"type": "redacted_thinking", "data": signature.removeprefix(REDACTED)}
    return {"type": "thinking", "thinking": thought.text, "signature": signature}
