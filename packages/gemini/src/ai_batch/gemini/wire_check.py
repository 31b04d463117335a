"""What Gemini cannot do, found before anything is sent or paid."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import msgspec

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
    ToolCall,
    ToolResult,
)
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, Request
from ai_batch.gemini.wire_chat import PLAIN
from ai_batch.gemini.wire_embeddings import TASKS, task_type
from ai_batch.gemini.wire_media import media_problem
from ai_batch.gemini.wire_rows import LABEL
from ai_batch.gemini.wire_schema import NotExpressible, output_schema_of
from ai_batch.gemini.wire_thinking import effort_problem

__all__ = ["check"]

MAX_STOP = 5
"""https://ai.google.dev/api/generate-content#generationconfig"""

MAX_SEED = 2**31 - 1

_CHOICES = frozenset({"auto", "none", "required"})


def check(request: Request, model: str, *, predict: bool = False) -> list[Problem]:
    """Every fault of ``request`` for this vendor and model, each with its field.

    ``predict`` tells that the model is one of Vertex AI's older models of embeddings. What else
    a model refuses depends on the model and changes: that comes back as the error of the item.
    """
    if not isinstance(request, ChatRequest):
        return [*_embedding(request, model, predict=predict), *_extra(request)]
    if request.model_fields_set <= PLAIN:
        return list(_messages(request))
    return [
        *_numbers(request, model),
        *_tools(request),
        *_output(request),
        *_messages(request),
        *_extra(request),
    ]


def _embedding(request: EmbeddingRequest, model: str, *, predict: bool) -> Iterator[Problem]:
    if request.task is not None:
        if task_type(request.task) is None:
            found = f"{request.task!r} is not one of {', '.join(TASKS)}"
            yield Problem(found, field="task")
        elif "gemini-embedding-2" in model:
            # https://ai.google.dev/gemini-api/docs/embeddings
            yield Problem(f"{model} wants the task told in the text; leave it out", field="task")
    if request.dimensions is not None and predict:
        found = f"batches of {model} have no choice of dimensions; use gemini-embedding-001"
        yield Problem(found, field="dimensions")


def _numbers(request: ChatRequest, model: str) -> Iterator[Problem]:
    if request.temperature is not None and not 0 <= request.temperature <= 2:
        yield Problem(f"{request.temperature} is not within 0 and 2", field="temperature")
    if request.top_p is not None and not 0 <= request.top_p <= 1:
        yield Problem(f"{request.top_p} is not within 0 and 1", field="top_p")
    if request.seed is not None and abs(request.seed) > MAX_SEED:
        yield Problem(f"{request.seed} does not fit 32 bits", field="seed")
    if request.stop and len(request.stop) > MAX_STOP:
        found = f"{len(request.stop)} sequences; Gemini takes at most {MAX_STOP}"
        yield Problem(found, field="stop")
    if request.reasoning_effort is not None:
        problem = effort_problem(request.reasoning_effort, model)
        if problem:
            yield Problem(problem, field="reasoning_effort")


def _tools(request: ChatRequest) -> Iterator[Problem]:
    tools = request.tools or ()
    counts = Counter(tool.name for tool in tools)
    for name, count in counts.items():
        if count > 1:
            yield Problem(f"{count} tools are called {name!r}", field="tools")
        if not (name[0].isalpha() or name[0] == "_"):
            found = f"{name!r} must begin with a letter or an underscore"
            yield Problem(found, field="tools")
    for place, tool in enumerate(tools):
        yield from _json(tool.parameters, f"tools[{place}].parameters")
    choice = request.tool_choice
    if choice is None or "tools" in (request.extra or ()):
        return
    if not tools:
        yield Problem(f"{choice!r} is given, but no tools are", field="tool_choice")
    elif choice not in _CHOICES and choice not in counts:
        known = ", ".join(counts)
        found = f"{choice!r} is not auto, none, required or the name of a tool ({known})"
        yield Problem(found, field="tool_choice")


def _output(request: ChatRequest) -> Iterator[Problem]:
    if request.output_type is None:
        return
    try:
        schema = output_schema_of(request.output_type)
    except NotExpressible as error:
        way = "another type, or extra={'generationConfig': {'responseJsonSchema': ...}}, will do"
        yield Problem(f"Gemini can't express the schema: {error}; {way}", field="output_type")
        return
    yield from _json(schema, "output_type")


def _messages(request: ChatRequest) -> Iterator[Problem]:
    names: dict[str, str] = {}
    turns = 0
    for place, message in enumerate(request.messages):
        field = f"messages[{place}]"
        if message.role != "system":
            turns += 1
        elif turns:
            found = "Gemini takes instructions of the system in front of all others only"
            yield Problem(found, field=field)
        if message.role in ("user", "system") and message.only_text:
            continue
        yield from _parts(message, field, names)
        for part in message.parts if message.role == "assistant" else ():
            if isinstance(part, ToolCall):
                names[part.id] = part.name
    if not turns:
        yield Problem("Gemini wants a message beside those of the system", field="messages")
    if names and _open_calls(request.messages):
        yield Problem("each tool call needs its result in the next messages", field="messages")


def _open_calls(messages: tuple[Message, ...]) -> bool:
    """Whether some turn's calls and the results that follow it are not as many."""
    expected = found = 0
    for message in messages:
        if message.role == "tool":
            found += len(message.parts)
            continue
        if found != expected:
            return True
        calls = message.parts if message.role == "assistant" else ()
        expected = sum(isinstance(part, ToolCall) for part in calls)
        found = 0
    return found != expected


_ALLOWED: dict[str, tuple[type, ...]] = {
    "system": (Text,),
    "user": (Text, Image, Document, Audio),
    "assistant": (Text, Image, ToolCall, Thinking),
    "tool": (ToolResult,),
}


def _parts(message: Message, field: str, names: dict[str, str]) -> Iterator[Problem]:
    if not message.parts:
        yield Problem("the message has no parts", field=field)
    for place, part in enumerate(message.parts):
        problem = _misplaced(message.role, part) or _part(part, names)
        if problem:
            yield Problem(problem, field=f"{field}.parts[{place}]")


def _misplaced(role: str, part: Part) -> str | None:
    if isinstance(part, _ALLOWED[role]):
        return None
    allowed = ", ".join(kind.__name__ for kind in _ALLOWED[role])
    found = f"a {type(part).__name__} can't be in a message of role {role}, only {allowed}"
    return f"{found}; use tool_result()" if isinstance(part, ToolResult) else found


def _part(part: Part, names: dict[str, str]) -> str | None:
    if isinstance(part, ToolCall):
        return "the call's arguments are no JSON object" if part.raw_arguments else None
    if isinstance(part, ToolResult):
        if part.name or part.id in names:
            return None
        return f"no earlier message has a tool call with the id {part.id!r}, and no name is given"
    if isinstance(part, Image | Document | Audio):
        return media_problem(part)
    return None


_ELSEWHERE = {"contents": "messages", "model": "model"}


def _extra(request: Request) -> Iterator[Problem]:
    extra = request.extra
    if not extra:
        return
    yield from _json(extra, "extra")
    for name, field in _ELSEWHERE.items():
        if name in extra:
            yield Problem(f"give it as {field}", field=f"extra.{name}")
    labels = extra.get("labels")
    if isinstance(labels, dict) and LABEL in labels:
        yield Problem("this label is the library's own", field=f"extra.labels.{LABEL}")


def _json(value: JSONObject, field: str) -> Iterator[Problem]:
    """A value that JSON can't hold: encoding it would fail, or (NaN) change it silently."""
    try:
        json.dumps(value, allow_nan=False)
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        yield Problem(f"this can't be written as JSON: {error}", field=field)
