"""What Anthropic cannot do, found before anything is sent or paid."""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.anthropic.wire_check_turns import check_turns
from ai_batch.anthropic.wire_schema import Inexpressible, output_format, transformed
from ai_batch.core.errors import Problem
from ai_batch.core.messages import JSONObject, Tool
from ai_batch.core.requests import ChatRequest, Request, output_schema
from ai_batch.core.wire_json import unwritable

__all__ = ["EFFORTS", "NO_EMBEDDINGS", "check"]

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""What ``reasoning_effort`` may be; which of them a model knows, only the vendor can tell."""

NO_EMBEDDINGS = (
    "Anthropic has no embeddings API; it points to Voyage AI, and ai-batch-openai and "
    "ai-batch-gemini embed in batches"
)

NOT_IN_BODY = {
    "betas": "betas are a header of the whole batch: give betas= to the processor",
    "extra_body": "it is an argument of the SDK; put what it holds into extra itself",
    "extra_headers": "headers are the whole batch's: give extra_headers= to the processor",
    "extra_query": "it is an argument of the SDK, and means nothing in a batch",
    "model": "give the model as model: a batch here has one model for all its requests",
    "speed": "batches have no fast mode; leave it out",
    "timeout": "it is an argument of the SDK: give timeout= to the processor",
}
"""Keys that never belong into ``extra``: an unknown one would make the request fail after hours
in the queue."""

LIVE_ONLY = frozenset({"speed"})
"""Keys of these that a call which is answered at once may have."""

PLAIN = frozenset({"id", "messages", "model", "metadata", "max_tokens"})
"""Requests that set nothing else need no looks but at their messages."""

CHOICES = frozenset({"auto", "none", "required"})


def check(request: Request, *, live: bool = False) -> list[Problem]:
    """Every fault of ``request`` for this vendor, each with its field and what is allowed.

    ``live`` is for a call that is answered at once, which may be a fast one.

    What depends on the model (which efforts it knows, whether it thinks, how long its answers
    may be) changes with time: that comes back as the error of the item, unbilled.
    """
    if not isinstance(request, ChatRequest):
        return [Problem(NO_EMBEDDINGS)]
    if request.model_fields_set <= PLAIN:
        return list(check_turns(request.messages))
    return [
        *_numbers(request),
        *_words(request),
        *_tools(request),
        *_output(request),
        *check_turns(request.messages),
        *_extra(request, live=live),
    ]


def _numbers(request: ChatRequest) -> Iterator[Problem]:
    for name in ("temperature", "top_p"):
        value: float | None = getattr(request, name)
        if value is not None and not 0 <= value <= 1:
            yield Problem(f"{value} is not within 0 and 1", field=name)
    if request.seed is not None:
        yield Problem("Anthropic has no seed; leave it out", field="seed")


def _words(request: ChatRequest) -> Iterator[Problem]:
    effort = request.reasoning_effort
    if effort is not None and effort not in EFFORTS:
        found = f"{effort!r} is not one of {', '.join(EFFORTS)}"
        yield Problem(found, field="reasoning_effort")
    if any(not sequence.strip() for sequence in request.stop or ()):
        found = "Anthropic refuses a stop sequence of nothing but white space"
        yield Problem(found, field="stop")


def _tools(request: ChatRequest) -> Iterator[Problem]:
    names: set[str] = set()
    for place, tool in enumerate(request.tools or ()):
        if tool.name in names:
            yield Problem(f"another tool is called {tool.name!r} too", field=f"tools[{place}]")
        names.add(tool.name)
        yield from _tool(tool, f"tools[{place}].parameters")
    choice = request.tool_choice
    if choice is None or "tools" in (request.extra or ()):
        return
    if choice not in CHOICES and choice not in names:
        found = f"{choice!r} is not auto, none, required or the name of a tool"
        yield Problem(f"{found} ({', '.join(sorted(names))})", field="tool_choice")
    elif not names:
        yield Problem(f"{choice!r} is given without any tools", field="tool_choice")


def _tool(tool: Tool, field: str) -> Iterator[Problem]:
    kind = tool.parameters.get("type")
    if kind != "object":
        yield Problem(f"the schema must be of type 'object', found {kind!r}", field=field)
    elif (reason := unwritable(tool.parameters)) is not None:
        yield Problem(reason, field=field)
    elif tool.strict:
        try:
            transformed(tool.parameters)
        except Inexpressible as error:
            yield Problem(f"a strict tool can't have this schema: {error}", field=field)


def _output(request: ChatRequest) -> Iterator[Problem]:
    if request.output_type is None:
        return
    reason = unwritable(output_schema(request.output_type).json_schema)
    if reason is None:
        try:
            output_format(request.output_type)
        except Inexpressible as error:
            reason = f"Anthropic can't be given this schema: {error}"
    if reason is not None:
        yield Problem(reason, field="output_type")


def _extra(request: ChatRequest, *, live: bool) -> Iterator[Problem]:
    extra = request.extra
    if not extra:
        return
    if (reason := unwritable(extra)) is not None:
        yield Problem(reason, field="extra")
    if extra.get("stream"):
        yield Problem(
            "batches cannot stream, nor can live calls here; leave it out", field="extra.stream"
        )
    for name in sorted(NOT_IN_BODY.keys() & extra.keys() - (LIVE_ONLY if live else set())):
        yield Problem(NOT_IN_BODY[name], field=f"extra.{name}")
    for name in _twice(request, extra):
        yield Problem("given as a field of the request too; give one of them", field=name)
    limit = extra.get("max_tokens", 1)
    if not isinstance(limit, int) or limit < 1:
        yield Problem(f"{limit!r} is too small; it must be 1 or more", field="extra.max_tokens")


def _twice(request: ChatRequest, extra: JSONObject) -> Iterator[str]:
    """Fields that ``extra`` would replace without a word."""
    given = {
        "max_tokens": request.max_tokens is not None,
        "stop_sequences": bool(request.stop),
        "system": request.messages[:1] and request.messages[0].role == "system",
        "temperature": request.temperature is not None,
        "tools": bool(request.tools),
        "top_p": request.top_p is not None,
    }
    return (f"extra.{name}" for name, there in given.items() if there and name in extra)
