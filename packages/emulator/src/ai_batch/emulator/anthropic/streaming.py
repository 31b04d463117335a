"""A message as server-sent events: https://platform.claude.com/docs/en/build-with-claude/streaming."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text, encode


async def events(message: JsonObject) -> AsyncIterator[bytes]:
    """Yield the events of a finished message."""
    usage = as_object(message.get("usage"))
    begun: JsonObject = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 0},
    }
    yield _event("message_start", message=begun)
    for index, block in enumerate(map(as_object, as_list(message.get("content")))):
        empty, deltas = _parts(block)
        yield _event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ending: JsonObject = {
        name: message.get(name) for name in ("stop_reason", "stop_sequence", "stop_details")
    }
    yield _event("message_delta", delta=ending, usage=usage)
    yield _event("message_stop")


def _event(kind: str, **members: JsonValue) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **members}))


def _parts(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """Return a block without its content, and the content in pieces."""
    match block.get("type"):
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": word} for word in _words(as_text(block["text"]))
            ]
        case "thinking":
            thought, signature = block["thinking"], block["signature"]
            return {**block, "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": thought},
                {"type": "signature_delta", "signature": signature},
            ]
        case _:
            said = encode(block.get("input")).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": said}]


def _words(text: str) -> Iterator[str]:
    for index, word in enumerate(text.split(" ")):
        yield word if index == 0 else f" {word}"
