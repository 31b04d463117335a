"""What OpenAI cannot do, found before anything is sent or paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ai_batch.core.errors import Problem
from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    JSONObject,
    Message,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request, output_schema
from ai_batch.core.wire_json import unwritable
from ai_batch.openai.wire_chat import TOKEN_PARAMETERS
from ai_batch.openai.wire_parts import AUDIO_FORMATS, audio_format
from ai_batch.openai.wire_schema import NotStrict, rooted, strict_parameters

__all__ = ["check"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""What ``reasoning_effort`` may be; which of them a model knows, only the vendor can tell."""

DETAILS = ("auto", "low", "high", "original")
"""What an image's ``detail`` may be."""

MAX_STOP = 4
MAX_TEXTS = 2048

PLAIN = frozenset({"id", "messages", "model", "metadata"})
"""Requests that set nothing else, most of them, need no further checks."""

_CHOICES = frozenset({"auto", "none", "required"})


def check(request: Request, endpoint: str) -> list[Problem]:
    """Every fault of ``request`` for this vendor, each with its field and what is allowed.

    ``endpoint`` is the one for chat requests. Which parameters a model refuses (temperature on
    some reasoning models, say) depends on the model and changes: that comes back as the error
    of the item.
    """
    if not isinstance(request, ChatRequest):
        return [*_embedding(request), *_extra(request)]
    responses = endpoint.endswith("/responses")
    if request.model_fields_set <= PLAIN:
        return list(_messages(request, responses=responses))
    return [
        *_numbers(request),
        *(_only_chat(request) if responses else _stop(request)),
        *_tools(request),
        *_output(request),
        *_messages(request, responses=responses),
        *_extra(request),
    ]


def _embedding(request: EmbeddingRequest) -> Iterator[Problem]:
    if len(request.texts) > MAX_TEXTS:
        found = f"{len(request.texts)} texts in one request; OpenAI takes at most {MAX_TEXTS}"
        yield Problem(found, field="texts")
    if request.task is not None:
        yield Problem("OpenAI's embeddings know no task; leave it out", field="task")
    if request.dimensions is not None and request.dimensions < 1:
        yield _too_small("dimensions", request.dimensions)
    elif request.dimensions is not None and request.model == "text-embedding-ada-002":
        yield Problem("text-embedding-ada-002 has a fixed number of them", field="dimensions")


def _too_small(field: str, value: int) -> Problem:
    return Problem(f"{value} is too small; it must be 1 or more", field=field)


def _numbers(request: ChatRequest) -> Iterator[Problem]:
    if request.max_tokens is not None and request.max_tokens < 1:
        yield _too_small("max_tokens", request.max_tokens)
    if request.temperature is not None and not 0 <= request.temperature <= 2:
        yield Problem(f"{request.temperature} is not within 0 and 2", field="temperature")
    if request.top_p is not None and not 0 <= request.top_p <= 1:
        yield Problem(f"{request.top_p} is not within 0 and 1", field="top_p")
    if request.reasoning_effort is not None and request.reasoning_effort not in EFFORTS:
        found = f"{request.reasoning_effort!r} is not one of {', '.join(EFFORTS)}"
        yield Problem(found, field="reasoning_effort")


def _stop(request: ChatRequest) -> Iterator[Problem]:
    if request.stop and len(request.stop) > MAX_STOP:
        found = f"{len(request.stop)} sequences; OpenAI takes at most {MAX_STOP}"
        yield Problem(found, field="stop")


def _only_chat(request: ChatRequest) -> Iterator[Problem]:
    hint = "/v1/responses does not have it; leave it out, or use /v1/chat/completions"
    if request.stop:
        yield Problem(hint, field="stop")
    if request.seed is not None:
        yield Problem(hint, field="seed")


def _tools(request: ChatRequest) -> Iterator[Problem]:
    tools = request.tools or ()
    counts = Counter(tool.name for tool in tools)
    for name, count in counts.items():
        if count > 1:
            yield Problem(f"{count} tools are called {name!r}", field="tools")
    for place, tool in enumerate(tools):
        yield from _tool(tool, f"tools[{place}].parameters")
    choice = request.tool_choice
    if choice is None or "tools" in (request.extra or ()):
        return
    if not tools:
        yield Problem(f"{choice!r} is given, but no tools are", field="tool_choice")
    elif choice not in _CHOICES and choice not in counts:
        known = ", ".join(counts)
        found = f"{choice!r} is not auto, none, required or the name of a tool ({known})"
        yield Problem(found, field="tool_choice")


def _tool(tool: Tool, field: str) -> Iterator[Problem]:
    yield from _json(tool.parameters, field)
    if tool.strict:
        try:
            strict_parameters(tool)
        except NotStrict as error:
            yield Problem(f"strict mode can't express the schema: {error}", field=field)


def _output(request: ChatRequest) -> Iterator[Problem]:
    if request.output_type is None:
        return
    schema = output_schema(request.output_type).json_schema
    yield from _json(schema, "output_type")
    try:
        kind = rooted(schema).get("type")
    except NotStrict as error:
        yield Problem(str(error), field="output_type")
        return
    if kind != "object":
        found = f"the schema is of type {kind!r}, and OpenAI answers with an object only"
        yield Problem(f"{found}; make it the field of a model", field="output_type")


def _messages(request: ChatRequest, *, responses: bool) -> Iterator[Problem]:
    asked: set[str] = set()
    answered: set[str] = set()
    for place, message in enumerate(request.messages):
        if message.role in ("user", "system") and message.only_text:
            continue
        yield from _parts(message, f"messages[{place}]", responses=responses)
        asked.update(part.id for part in message.parts if isinstance(part, ToolCall))
        for part in message.parts:
            if not isinstance(part, ToolResult):
                continue
            if part.id not in asked and part.id and not _continues(request):
                found = f"no earlier message has a tool call with the id {part.id!r}"
                yield Problem(found, field=f"messages[{place}]")
            answered.add(part.id)
    for call in sorted(asked - answered):
        yield Problem(f"the tool call {call!r} has no result", field="messages")


def _continues(request: ChatRequest) -> bool:
    """Whether the conversation began at the vendor, so that the calls are there."""
    return not {"previous_response_id", "conversation"}.isdisjoint(request.extra or ())


def _parts(message: Message, field: str, *, responses: bool) -> Iterator[Problem]:
    if message.role == "tool" and not message.parts:
        yield Problem("a message of role tool needs a tool result", field=field)
    for place, part in enumerate(message.parts):
        problem = _misplaced(message.role, part) or _part(part, responses=responses)
        if problem:
            yield Problem(problem, field=f"{field}.parts[{place}]")


_ALLOWED: dict[str, tuple[type, ...]] = {
    "system": (Text,),
    "user": (Text, Image, Document, Audio),
    "assistant": (Text, ToolCall),
    "tool": (ToolResult,),
}


def _misplaced(role: str, part: Part) -> str | None:
    if isinstance(part, _ALLOWED[role]):
        return None
    if isinstance(part, Thinking):
        return "OpenAI takes no thoughts back; remove the Thinking part from the message"
    allowed = ", ".join(kind.__name__ for kind in _ALLOWED[role])
    found = f"a {type(part).__name__} can't be in a message of role {role}, only {allowed}"
    if isinstance(part, ToolResult):
        return f"{found}; use tool_result()"
    return found


def _part(part: Part, *, responses: bool) -> str | None:
    if isinstance(part, ToolCall | ToolResult):
        return None if part.id else "the id of a tool call must not be empty"
    if isinstance(part, Image):
        return _image(part)
    if isinstance(part, Document):
        return None if responses else _document(part)
    if isinstance(part, Audio):
        return _audio(part, responses=responses)
    return None


def _image(image: Image) -> str | None:
    if image.detail is None or image.detail in DETAILS:
        return None
    return f"detail {image.detail!r} is not one of {', '.join(DETAILS)}"


def _document(document: Document) -> str | None:
    if document.url is None or document.url.startswith("data:"):
        return None
    return "only /v1/responses takes a document by URL; give its path or data"


def _audio(audio: Audio, *, responses: bool) -> str | None:
    if responses:
        return "/v1/responses takes no audio; use /v1/chat/completions"
    if audio.url is not None:
        return "OpenAI takes no audio by URL; give its path or data"
    found = audio_format(audio)
    if found in AUDIO_FORMATS:
        return None
    return f"audio format {found!r} is not one of {', '.join(AUDIO_FORMATS)}"


def _extra(request: Request) -> Iterator[Problem]:
    extra = request.extra
    if not extra:
        return
    yield from _json(extra, "extra")
    if extra.get("stream"):
        yield Problem("answers cannot stream here; leave it out", field="extra.stream")
    if "model" in extra:
        found = "give the model as model: a batch has one model for all its requests"
        yield Problem(found, field="extra.model")
    if isinstance(request, ChatRequest) and request.max_tokens is not None:
        for name in sorted(TOKEN_PARAMETERS & extra.keys()):
            yield Problem("max_tokens is given too; give one of them", field=f"extra.{name}")


def _json(value: JSONObject, field: str) -> Iterator[Problem]:
    if (reason := unwritable(value)) is not None:
        yield Problem(reason, field=field)
