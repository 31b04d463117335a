"""What Anthropic refuses of a conversation: parts in the wrong place, and turns out of order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ai_batch.anthropic.wire_media import Unsuitable, document_block, image_block
from ai_batch.core.errors import Problem
from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

__all__ = ["check_turns"]

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")

_ALLOWED: dict[Role, tuple[type[Part], ...]] = {
    "system": (Text,),
    "user": (Text, Image, Document),
    "assistant": (Text, ToolCall, Thinking, Document),
    "tool": (ToolResult,),
}


def check_turns(messages: Sequence[Message]) -> Iterator[Problem]:
    """Every fault of a conversation."""
    if _is_plain(messages):
        return
    if messages and all(message.role == "system" for message in messages):
        yield Problem("there are only system messages; Anthropic wants a user's", field="messages")
    else:
        yield from _placed_systems(messages)
    for place, message in enumerate(messages):
        if not (message.only_text and message.role != "tool"):
            yield from _parts(message, f"messages[{place}]")
    yield from _answered(messages)


def _is_plain(messages: Sequence[Message]) -> bool:
    """Whether it is text throughout, and a system message at most at the beginning."""
    begun = False
    for message in messages:
        role = message.role
        if role == "tool" or not message.only_text or (begun and role == "system"):
            return False
        begun = begun or role != "system"
    return begun


def _placed_systems(messages: Sequence[Message]) -> Iterator[Problem]:
    """The rules for system messages that do not stand at the beginning.

    https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
    """
    roles: list[str] = [message.role for message in messages]
    begun = False
    for place, role in enumerate(roles):
        begun = begun or role != "system"
        if role != "system" or not begun:
            continue
        before, after = roles[place - 1], roles[place + 1 : place + 2]
        if before not in ("user", "tool") or after not in ([], ["assistant"]):
            found = "a system message within the conversation must follow one of the user's"
            hint = "and stand before one of the assistant's, or last"
            yield Problem(f"{found} {hint}", field=f"messages[{place}]")


def _answered(messages: Sequence[Message]) -> Iterator[Problem]:
    """Each tool call must have its result in the messages right after it."""
    waiting: set[str] = set()
    for place, message in enumerate(messages):
        field = f"messages[{place}]"
        if message.role != "tool":
            yield from _unanswered(waiting, field)
            parts = message.parts if message.role == "assistant" else ()
            calls = [part.id for part in parts if type(part) is ToolCall]
            waiting = set(calls)
            if len(calls) > len(waiting):
                yield Problem("two tool calls have the same id", field=field)
            continue
        for part in message.parts:
            if type(part) is ToolResult and part.id not in waiting:
                found = f"the message before has no tool call {part.id!r} that wants a result"
                yield Problem(found, field=field)
            elif type(part) is ToolResult:
                waiting.remove(part.id)
    yield from _unanswered(waiting, "messages")


def _unanswered(waiting: set[str], field: str) -> Iterator[Problem]:
    for call in sorted(waiting):
        found = f"the tool call {call!r} has no result in the messages right after it"
        yield Problem(found, field=field)


def _parts(message: Message, field: str) -> Iterator[Problem]:
    if message.role == "tool" and not message.parts:
        yield Problem("a message of role tool needs a tool result", field=field)
    for place, part in enumerate(message.parts):
        problem = _misplaced(message.role, part) or _part(part)
        if problem:
            yield Problem(problem, field=f"{field}.parts[{place}]")


def _misplaced(role: Role, part: Part) -> str | None:
    if isinstance(part, _ALLOWED[role]):
        return None
    if isinstance(part, Audio):
        return "Anthropic takes no audio; send a transcript"
    allowed = ", ".join(kind.__name__ for kind in _ALLOWED[role])
    found = f"{type(part).__name__} can't be in a message of role {role}, only {allowed}"
    return f"{found}; use tool_result()" if isinstance(part, ToolResult) else found


def _part(part: Part) -> str | None:
    if isinstance(part, ToolCall):
        return _call(part)
    if isinstance(part, Thinking) and not part.signature:
        return "Anthropic takes back only thoughts that it has signed; remove this one"
    if isinstance(part, Image | Document):
        return _medium(part)
    return None


def _call(call: ToolCall) -> str | None:
    if not _CALL_ID.fullmatch(call.id):
        return f"the id {call.id!r} of a tool call must be made of letters, digits, _ and -"
    if call.raw_arguments is not None:
        return "the arguments are no JSON object, and Anthropic takes nothing else back"
    return None


def _medium(part: Image | Document) -> str | None:
    try:
        if isinstance(part, Image):
            image_block(part)
        else:
            document_block(part)
    except Unsuitable as error:
        return str(error)
    return None
