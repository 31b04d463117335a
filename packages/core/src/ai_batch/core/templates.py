"""Lines of requests that differ from one another in their words only: written once, then filled in.

Most jobs ask the same with a million texts. What a vendor's format makes of such a request is the
same bytes but for the texts, the ids and the metadata; they are found by having the provider write
the request with marks in their places. A request that does not fit takes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from ai_batch.core.checks import check_request
from ai_batch.core.messages import Message, Text
from ai_batch.core.plain_lines import PlainRequest
from ai_batch.core.provider import Formats, Route
from ai_batch.core.requestlog import dump_request
from ai_batch.core.requests import ChatRequest, Request
from ai_batch.core.tokens import estimate_tokens, tokens_of_texts

__all__ = ["Draw", "Templates", "drawn_out"]

MOST = 256
"""Shapes that are remembered: nothing is gained where each request has its own, such as a seed."""

WIRE_ID = "0a1b2c3d4e5f6a7b-98765432101"
"""Stands for the wire id; of the form that a real one has."""

MARK = "9f1c3b7ad2e84c56"
"""In front of what stands for an id, a text or metadata."""

_HOLE = re.compile(rb'%s|"%s-(\d+)"|\{"%s":""\}' % (WIRE_ID.encode(), *2 * (MARK.encode(),)))

_encode = msgspec.json.Encoder().encode

# All that requests of one shape have in common but for the form of their messages.
_SETTINGS = (
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "tool_choice",
    "reasoning_effort",
)
_settings_of_plain = attrgetter(*_SETTINGS)
_settings = itemgetter(*_SETTINGS, "output_type")


class _Line:
    """A line with holes for so many numbered values, each of which may be in it or not."""

    __slots__ = ("_fixed", "_in_order")

    def __init__(self, line: bytes, count: int) -> None:
        fixed: list[bytes] = []
        order: list[int] = []
        end = 0
        for match in _HOLE.finditer(line):
            order += (count + len(fixed), _number(match))
            fixed.append(line[end : match.start()])
            end = match.end()
        order.append(count + len(fixed))
        self._fixed = (*fixed, line[end:])
        self._in_order: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] = itemgetter(*order)

    def filled(self, values: tuple[bytes, ...], wire_id: str = "") -> bytes:
        return b"".join(self._in_order((wire_id.encode(), *values, *self._fixed)))


def _number(match: re.Match[bytes]) -> int:
    """Which value belongs there: 0 is the wire id, 1 the request's own, 2 its metadata."""
    if match[1] is not None:
        return int(match[1])
    return 0 if match[0] == WIRE_ID.encode() else 2


class Draw(msgspec.Struct, frozen=True, gc=False):
    """A request that is ready to be put into a batch.

    ``line`` gives what is sent for it under a wire id, ``logged`` is what is kept of it, both
    without the line's end. ``inputs`` are texts to embed.
    """

    route: Route
    inputs: int
    tokens: int
    output_tokens: int
    output_type: object
    logged: bytes
    line: Callable[[str], bytes]


def drawn_out(formats: Formats, request: Request) -> Draw:
    """The long way, for any request that has passed all checks."""
    route = formats.route(request)
    return Draw(
        route,
        0 if isinstance(request, ChatRequest) else len(request.texts),
        estimate_tokens(request),
        formats.max_output_tokens(request),
        request.output_type if isinstance(request, ChatRequest) else None,
        dump_request(request),
        partial(formats.encode, request, route),
    )


class _Template:
    """What all requests of one shape come to."""

    def __init__(self, formats: Formats, request: ChatRequest) -> None:
        self.route: Route = formats.route(request)
        self.output_tokens = formats.max_output_tokens(request)
        marked = _marked(request)
        self.output_type = request.output_type
        count = 3 + sum(len(message.parts) for message in marked.messages)
        self._sent = _Line(formats.encode(marked, self.route, WIRE_ID), count)
        self._kept = _Line(dump_request(marked), count)

    def drawn(self, values: tuple[bytes, ...], tokens: int) -> Draw:
        """A request with these for its id, its metadata and its texts."""
        return Draw(
            self.route,
            0,
            tokens,
            self.output_tokens,
            self.output_type,
            self._kept.filled(values),
            partial(self._sent.filled, values),
        )


def _marked(request: ChatRequest) -> ChatRequest:
    number = 2
    messages: list[Message] = []
    for message in request.messages:
        parts: list[Text] = []
        for _ in message.parts:
            number += 1
            parts.append(Text(text=f"{MARK}-{number}"))
        messages.append(message.model_copy(update={"parts": tuple(parts)}))
    marks: dict[str, Any] = {"id": f"{MARK}-1", "messages": tuple(messages)}
    if request.metadata is not None:
        marks["metadata"] = {MARK: ""}
    return request.model_copy(update=marks)


_Parts: TypeAlias = tuple[Hashable, list[str], dict[str, str] | None, int]
"""A request's shape, its texts, its metadata, and how many messages it has."""


def _parts_of_plain(request: PlainRequest) -> _Parts | None:
    texts: list[str] = []
    form: list[Hashable] = [None]  # For the type of its answers.
    for turn in request.turns():
        if not (text := turn.content):
            return None
        texts.append(text)
        form += (turn.role, 1)
    form.append(request.metadata is None)
    return (*_settings_of_plain(request), *form), texts, request.metadata, len(texts)


def _parts_of(request: ChatRequest) -> _Parts | None:
    fields = request.__dict__
    if fields["extra"] is not None or fields["tools"] is not None:
        return None
    texts: list[str] = []
    form: list[Hashable] = []
    messages, metadata = fields["messages"], fields["metadata"]
    for message in messages:
        parts = message.parts
        for part in parts:
            if type(part) is not Text or not (text := part.text):
                return None
            texts.append(text)
        form += (message.role, len(parts))
    form.append(metadata is None)
    return (*_settings(fields), *form), texts, metadata, len(messages)


def _texts(message: Message) -> list[Text]:
    return [part for part in message.parts if isinstance(part, Text)]


class Templates:
    """The templates of one plan, by the shapes of its requests."""

    def __init__(self, formats: Formats) -> None:
        """Nothing is gained where the formats do not take texts as they are."""
        self._formats = formats
        self._usable = formats.verbatim
        self._known: dict[Hashable, _Template | None] = {}

    def drawn(self, request: Request | PlainRequest, identity: str) -> Draw | None:
        """The request filled in, under this id; None where it has to take the long way."""
        if not self._usable:
            return None
        if type(request) is PlainRequest:
            parts = _parts_of_plain(request)
        elif type(request) is ChatRequest:
            parts = _parts_of(request)
        else:
            return None
        if parts is None:
            return None
        shape, texts, metadata, messages = parts
        try:
            values = (_encode(identity), _encode(metadata), *map(_encode, texts))
        except (UnicodeEncodeError, TypeError):
            return None
        template = self._template(request, shape, identity)
        if template is None:
            return None
        return template.drawn(values, tokens_of_texts(texts, messages))

    def _template(
        self, request: ChatRequest | PlainRequest, shape: Hashable, identity: str
    ) -> _Template | None:
        """The template of a request's shape: all that is not put into it afterwards."""
        try:
            return self._known[shape]
        except KeyError:
            whole = request.request() if isinstance(request, PlainRequest) else request
            return self._learned(shape, whole.model_copy(update={"id": identity}))
        except TypeError:  # A schema that is a dict, say, has no hash.
            return None

    def _learned(self, shape: Hashable, request: ChatRequest) -> _Template | None:
        if len(self._known) >= MOST:
            return None
        self._known[shape] = found = self._made(request)
        return found

    def _made(self, request: ChatRequest) -> _Template | None:
        """A template, if it gives for this request what the long way does."""
        formats = self._formats
        if check_request(request) or formats.check(request):
            return None
        template = _Template(formats, request)
        texts = [part.text for message in request.messages for part in _texts(message)]
        values = (_encode(request.id), _encode(request.metadata), *map(_encode, texts))
        quick, long = template.drawn(values, estimate_tokens(request)), drawn_out(formats, request)
        same = quick.line(WIRE_ID) == long.line(WIRE_ID)
        return template if same and quick == replace(long, line=quick.line) else None
