"""Random conversations: what people ask, and what they get wrong."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

from ai_batch.core import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from ai_batch.core.messages import Part, Role

__all__ = ["PLAIN_SCHEMA", "chats", "texts"]

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(16) + b"\xff\xd9"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
WAV = b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + bytes(28)

PLAIN_SCHEMA = {
    "title": "answer",
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
SCHEMAS: tuple[dict[str, Any], ...] = (
    PLAIN_SCHEMA,
    {**PLAIN_SCHEMA, "properties": {"city": {"enum": ["a", "b"]}, "people": {"type": "number"}}},
    {
        "title": "nested",
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"$ref": "#/$defs/one"}}},
        "required": ["list"],
        "additionalProperties": False,
        "$defs": {"one": PLAIN_SCHEMA},
    },
)

NAMES = ("weather", "search_web", "t", "a-b")

texts = st.one_of(
    st.sampled_from(("hello", "grüß dich", "a\nb", "😀\u2028x", "{}", "  padded  ", "-", "\x7f")),
    st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip())),
)
blanks = st.sampled_from(("", " ", "\n"))
any_text = st.one_of(texts, texts, texts, texts, blanks)

images = st.sampled_from(
    (
        Image(data=PNG),
        Image(data=JPEG, media_type="image/jpeg"),
        Image(url="https://example.com/a.png"),
        Image(data=PNG, detail="low"),
        Image(url=f"data:image/png;base64,{base64.b64encode(PNG).decode()}"),
    )
)
documents = st.sampled_from(
    (
        Document(data=PDF, media_type="application/pdf"),
        Document(data=b"plain words", media_type="text/plain", name="a.txt"),
        Document(url="https://example.com/a.pdf"),
        Document(data=PDF),
    )
)
sounds = st.sampled_from(
    (Audio(data=WAV, format="wav"), Audio(data=WAV, media_type="audio/wav"), Audio(data=b"x"))
)
NAMED: tuple[str, ...] = ("city", "n")

arguments: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(NAMED), st.one_of(st.integers(), st.text(max_size=5), st.none())
)
ids = st.sampled_from(("call_1", "call_2", "call_3"))


def _calls(named: st.SearchStrategy[str]) -> st.SearchStrategy[ToolCall]:
    return st.builds(ToolCall, id=ids, name=named, arguments=arguments)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    """A call of tools and its results, most often as it should be."""
    count = draw(st.integers(1, 2))
    names = [draw(st.sampled_from(NAMES)) for _ in range(count)]
    calls = [
        ToolCall(id=f"call_{place}", name=name, arguments=draw(arguments))
        for place, name in enumerate(names)
    ]
    said = draw(st.lists(texts.map(lambda text: Text(text=text)), max_size=1))
    results = [
        ToolResult(id=call.id, name=call.name, content=draw(any_text), is_error=draw(st.booleans()))
        for call in calls
    ]
    apart = draw(st.booleans())
    groups = [[result] for result in results] if apart else [results]
    return [
        Message(role="assistant", parts=(*said, *calls)),
        *(Message(role="tool", parts=tuple(group)) for group in groups),
    ]


user_parts = st.lists(
    st.one_of(
        any_text.map(lambda text: Text(text=text)),
        images,
        documents,
        sounds,
    ),
    min_size=1,
    max_size=3,
)
plain_users = texts.map(lambda text: Message(role="user", parts=(Text(text=text),)))
users = user_parts.map(lambda parts: Message(role="user", parts=tuple(parts)))
assistants = any_text.map(lambda text: Message(role="assistant", parts=(Text(text=text),)))
systems = any_text.map(lambda text: Message(role="system", parts=(Text(text=text),)))
odd_parts = st.one_of(
    any_text.map(lambda text: Text(text=text)),
    images,
    documents,
    sounds,
    _calls(st.sampled_from(("", "weather", "with space", "é", "x" * 200))),
    st.builds(ToolResult, id=ids, content=any_text, name=st.sampled_from((None, "t", "odd name"))),
    st.builds(Thinking, text=any_text, signature=st.sampled_from((None, "c2ln"))),
)


def _message(role: Role, parts: list[Part]) -> Message:
    return Message(role=role, parts=tuple(parts))


ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")

odd_messages = st.builds(
    _message,
    st.sampled_from(ROLES),
    st.lists(odd_parts, max_size=3),
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Mostly what makes sense, with a message that does not now and then."""
    turns: list[Message] = draw(st.lists(systems, max_size=1))
    for kind in draw(st.lists(st.sampled_from("uuuaaxso"), max_size=4)):
        if kind == "x":
            turns += [draw(plain_users), *draw(exchanges())]
        elif kind == "o":
            turns.append(draw(odd_messages))
        else:
            turns.append(draw({"u": users, "a": assistants, "s": systems}[kind]))
    if draw(st.integers(0, 5)):
        turns.append(draw(plain_users))
    return tuple(turns)


tools = st.lists(
    st.builds(
        Tool,
        name=st.sampled_from((*NAMES, "_", "9x", "x" * 64)),
        description=st.none() | any_text,
        parameters=st.sampled_from(
            (
                {"type": "object", "properties": {}},
                *SCHEMAS,
                {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}},
            )
        ),
        strict=st.sampled_from((None, None, True, False)),
    ),
    min_size=1,
    max_size=3,
)

PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "max_tokens": st.sampled_from((1, 16, 100, 4096, 0, -1)),
    "temperature": st.sampled_from((0.0, 0.5, 1.0, 1.3, 2.0, 2.1, -0.1)),
    "top_p": st.sampled_from((0.0, 0.5, 1.0, 1.1, -0.5)),
    "stop": st.lists(st.one_of(texts, texts, blanks), max_size=6).map(tuple),
    "seed": st.sampled_from((0, 7, -1, 2**31 - 1, 2**31, 2**40, 2**63)),
    "tools": tools.map(tuple),
    "output_type": st.sampled_from(SCHEMAS),
    "reasoning_effort": st.sampled_from(
        ("none", "minimal", "low", "medium", "high", "xhigh", "max", "extreme")
    ),
}


@st.composite
def chats(draw: st.DrawFn, model: str | None = None) -> ChatRequest:
    """A request; about half of them are such as a vendor takes."""
    fields: dict[str, Any] = {"messages": draw(conversations()), "model": model}
    for name in draw(st.sets(st.sampled_from(sorted(PARAMETERS)), max_size=3)):
        fields[name] = draw(PARAMETERS[name])
    if "tools" in fields and draw(st.booleans()):
        names = [tool.name for tool in fields["tools"]]
        fields["tool_choice"] = draw(
            st.sampled_from(("auto", "none", "required", "nobody", *names))
        )
    return ChatRequest(**fields)
