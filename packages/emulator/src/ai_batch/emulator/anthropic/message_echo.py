"""Messages that echo the request."""

from __future__ import annotations

from typing import NamedTuple

from ai_batch.emulator.anthropic.models import resolved
from ai_batch.emulator.anthropic.prompt_tokens import PromptTokens, prompt_tokens
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text, encode
from ai_batch.emulator.schema_instance import minimal_instance
from ai_batch.emulator.texts import content_text, cut_to_tokens, positive, tokens_of

REFUSE = "emulator:refusal"
PAUSE = "emulator:pause_turn"
THINK = "emulator:thinking"
OVERFLOW = "emulator:model_context_window_exceeded"
_THOUGHT = "The user wants to hear this again."
_SIGNATURE = "ZW11bGF0b3I="


class _Ending(NamedTuple):
    content: list[JsonValue]
    stop_reason: str
    stop_sequence: str | None = None


def message(body: JsonObject, identity: str, service_tier: str) -> JsonObject:
    """Return a `message`: the last user text, an instance of a schema, or the call of a tool.

    The words `emulator:refusal`, `emulator:pause_turn` and
    `emulator:model_context_window_exceeded` in that text make the message end so, and
    `emulator:thinking` makes it begin with a thought that nobody asked for.
    """
    said = _said(body)
    ending = _ending(body, said, identity)
    thought = THINK in said or _thinks(body)
    blocks: list[JsonValue] = [*([_thinking_block()] if thought else []), *ending.content]
    written = sum(_tokens(as_object(block)) for block in blocks)
    found: JsonObject = {
        "id": f"msg_01{(identity * 2)[:22]}",
        "type": "message",
        "role": "assistant",
        "model": resolved(as_text(body.get("model"))),
        "content": blocks,
        "stop_reason": ending.stop_reason,
        "stop_sequence": ending.stop_sequence,
        "usage": usage_object(prompt_tokens(body), written, service_tier, hit=_is_hit(identity)),
    }
    if thought:
        as_object(found["usage"])["output_tokens_details"] = {
            "thinking_tokens": tokens_of(_THOUGHT)
        }
    if ending.stop_reason == "refusal":
        found["stop_details"] = {
            "type": "refusal",
            "category": "general_harms",
            "explanation": "The emulator was asked to refuse.",
        }
    return found


def usage_object(
    prompt: PromptTokens, output: int, service_tier: str, *, hit: bool = False
) -> JsonObject:
    """Return the `usage` of a message; a `hit` finds in the cache what is marked."""
    made_5m, made_1h = (0, 0) if hit else (prompt.cached_5m, prompt.cached_1h)
    return {
        "input_tokens": prompt.fresh,
        "cache_creation_input_tokens": made_5m + made_1h,
        "cache_read_input_tokens": prompt.cached_5m + prompt.cached_1h if hit else 0,
        "cache_creation": {
            "ephemeral_5m_input_tokens": made_5m,
            "ephemeral_1h_input_tokens": made_1h,
        },
        "output_tokens": output,
        "service_tier": service_tier,
        "inference_geo": "not_available",
    }


def _is_hit(identity: str) -> bool:
    """Draw hits from the content, for answers depend on nothing else."""
    return int(identity[-3], 16) % 2 == 0


def _thinks(body: JsonObject) -> bool:
    return as_text(as_object(body.get("thinking")).get("type")) in {"enabled", "adaptive"}


def _thinking_block() -> JsonObject:
    return {"type": "thinking", "thinking": _THOUGHT, "signature": _SIGNATURE}


def _said(body: JsonObject) -> str:
    """Return what the user said last: words, or what a tool has found."""
    texts: list[str] = []
    for message in reversed(as_list(body.get("messages"))):
        if as_object(message).get("role") == "user":
            content = as_object(message).get("content")
            if isinstance(content, str):
                return content
            for block in map(as_object, as_list(content)):
                is_result = block.get("type") == "tool_result"
                texts.append(content_text(block.get("content") if is_result else [block]))
            break
    return "\n".join(text for text in texts if text)


def _ending(body: JsonObject, said: str, identity: str) -> _Ending:
    if "emulator:" in said and (odd := _odd(body, said, identity)) is not None:
        return odd
    tools = forced_tools(body)
    if tools:
        calls: list[JsonValue] = [
            _call(tool, identity, number) for number, tool in enumerate(tools)
        ]
        return _Ending(calls, "tool_use")
    wanted = as_object(as_object(body.get("output_config")).get("format"))
    if wanted:
        return _limited(body, encode(minimal_instance(wanted.get("schema"))).decode())
    return _limited(body, said)


def _odd(body: JsonObject, said: str, identity: str) -> _Ending | None:
    if REFUSE in said:
        return _Ending([], "refusal")
    if OVERFLOW in said:
        return _Ending([_text(said)], "model_context_window_exceeded")
    # What has been paused goes on when the assistant's turn is sent back.
    last = as_object((as_list(body.get("messages")) or [None])[-1])
    if PAUSE in said and last.get("role") == "user":
        use: JsonObject = {
            "type": "server_tool_use",
            "id": f"srvtoolu_01{(identity * 2)[:22]}",
            "name": "web_search",
            "input": {"query": said},
        }
        return _Ending([use], "pause_turn")
    return None


def _limited(body: JsonObject, text: str) -> _Ending:
    stops = [as_text(stop) for stop in as_list(body.get("stop_sequences"))]
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    limit = positive(body, "max_tokens")
    if found:
        position, stop = min(found)
        text = text[:position]
        if limit is None or tokens_of(text) <= limit:
            return _Ending([_text(text)] if text else [], "stop_sequence", stop)
    if limit is not None and tokens_of(text) > limit:
        return _Ending([_text(cut_to_tokens(text, limit))], "max_tokens")
    return _Ending([_text(text)] if text else [], "end_turn")


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def forced_tools(body: JsonObject) -> list[JsonObject]:
    """Return the tools to call: the one named, or the first if any must be called."""
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    choice = as_object(body.get("tool_choice"))
    match choice.get("type"):
        case "tool":
            return [tool for tool in tools if tool.get("name") == choice.get("name")]
        case "any":
            return tools[:1]
        case _:
            return []


def _call(tool: JsonObject, identity: str, number: int) -> JsonObject:
    return {
        "type": "tool_use",
        "id": f"toolu_01{(identity * 2)[:20]}{number:02d}",
        "name": as_text(tool.get("name")),
        "input": minimal_instance(tool.get("input_schema")) or {},
    }


def _tokens(block: JsonObject) -> int:
    for name in ("text", "thinking"):
        if name in block:
            return tokens_of(as_text(block[name]))
    return tokens_of(encode(block["input"]).decode())
