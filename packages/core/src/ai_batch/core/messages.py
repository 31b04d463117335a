"""What a conversation is made of: messages, their parts, and tools."""

from __future__ import annotations

import base64
import binascii
import inspect
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    create_model,
    model_validator,
)

from ai_batch.core.unchecked import Unchecked

__all__ = [
    "Audio",
    "Document",
    "Image",
    "JSONObject",
    "Media",
    "Message",
    "Part",
    "Role",
    "Text",
    "Thinking",
    "Tool",
    "ToolCall",
    "ToolResult",
    "assistant",
    "system",
    "tool_result",
    "user",
]

JSONObject: TypeAlias = dict[str, Any]
"""A JSON object as Python holds it."""


def as_object(value: object) -> JSONObject | None:
    """The value if it is a JSON object; None for anything else."""
    return cast("JSONObject", value) if isinstance(value, dict) else None


Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("data must be bytes, or base64 text") from error


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


Base64: TypeAlias = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(_to_base64, return_type=str, when_used="json-unless-none"),
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Text(_Value):
    """A piece of text."""

    type: Literal["text"] = "text"
    text: str


class Media(_Value):
    """What pictures, documents and sounds have in common: exactly one source."""

    url: str | None = None
    path: Path | None = None
    data: Base64 | None = Field(default=None, repr=False)
    media_type: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = sum(source is not None for source in (self.url, self.path, self.data))
        if given != 1:
            raise ValueError(f"give exactly one of url, path and data, not {given}")
        return self

    def loaded(self) -> Self:
        """The same medium with the file of ``path`` read into ``data``; others as they are.

        Raises ``OSError`` where the file cannot be read.
        """
        if self.path is None:
            return self
        media_type = self.media_type or mimetypes.guess_type(self.path.name)[0]
        given: dict[str, Any] = {"path": None, "data": self.path.read_bytes()}
        return self.model_copy(update={**given, "media_type": media_type, **self._named()})

    def _named(self) -> dict[str, Any]:
        return {}

    def data_url(self, default_type: str) -> str:
        """``data`` as a ``data:`` URL; ``default_type`` stands in for a missing media type."""
        encoded = _to_base64(self.data or b"")
        return f"data:{self.media_type or default_type};base64,{encoded}"

    def base64(self) -> str:
        """``data`` as base64 text."""
        return _to_base64(self.data or b"")


class Image(Media):
    """A picture: a ``url``, a ``path`` (read when the job is planned) or ``data`` bytes.

    ``detail`` is handed to vendors that know it (OpenAI: auto, low, high, original).
    """

    type: Literal["image"] = "image"
    detail: str | None = None


class Document(Media):
    """A file such as a PDF: a ``url``, a ``path`` (read when the job is planned) or ``data``."""

    type: Literal["document"] = "document"
    name: str | None = None

    def _named(self) -> dict[str, Any]:
        return {"name": self.name or (self.path.name if self.path else None)}


class Audio(Media):
    """A sound: a ``path`` (read when the job is planned) or ``data``; ``format`` as wav, mp3."""

    type: Literal["audio"] = "audio"
    format: str | None = None

    def _named(self) -> dict[str, Any]:
        suffix = self.path.suffix.lstrip(".").lower() if self.path else ""
        return {"format": self.format or suffix or None}


class ToolCall(_Value):
    """A call that the model asks for. ``arguments`` is an object, already parsed.

    Where a model wrote arguments that are no JSON object, ``arguments`` is empty and
    ``raw_arguments`` holds what it wrote.
    """

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: JSONObject = Field(default_factory=dict)
    raw_arguments: str | None = None


class ToolResult(_Value):
    """What a tool answered to the call ``id``; ``name`` is the tool's, which Gemini needs."""

    type: Literal["tool_result"] = "tool_result"
    id: str
    content: str
    name: str | None = None
    is_error: bool = False


class Thinking(_Value):
    """A model's thoughts; ``signature`` is what the vendor wants back in a later turn."""

    type: Literal["thinking"] = "thinking"
    text: str
    signature: str | None = None


Part: TypeAlias = Annotated[
    Text | Image | Document | Audio | ToolCall | ToolResult | Thinking,
    Field(discriminator="type"),
]

PartLike: TypeAlias = str | Text | Image | Document | Audio | ToolCall | ToolResult | Thinking


def _as_parts(value: object) -> object:
    if isinstance(value, str):
        return (Text(text=value),)
    if isinstance(value, BaseModel):
        return (value,)
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return tuple(Text(text=item) if isinstance(item, str) else item for item in items)
    return value


class Message(_Value):
    """One turn. ``parts`` may be given as a string, one part, or a list of parts and strings.

    ``content`` is accepted as another name of ``parts``, as vendors call it.
    """

    role: Role
    parts: Annotated[tuple[Part, ...], BeforeValidator(_as_parts)]

    if TYPE_CHECKING:

        def __init__(self, *, role: Role, parts: PartLike | Sequence[PartLike]) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _content_is_parts(cls, value: object) -> object:
        fields = as_object(value)
        if fields is None or "content" not in fields or "parts" in fields:
            return value
        return {("parts" if key == "content" else key): item for key, item in fields.items()}

    @property
    def only_text(self) -> bool:
        """Whether all parts are text."""
        # Asked of every message: isinstance is slow for pydantic's classes where it does not
        # hold, and a generator costs more than the loop.
        for part in self.parts:  # noqa: SIM110
            if type(part) is not Text:
                return False
        return True

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


_make_text, _TEXT = Unchecked(Text), {"text"}

_make_message, _MESSAGE = Unchecked(Message), {"role", "parts"}


def _message(role: Role, parts: tuple[PartLike, ...]) -> Message:
    texts: list[Text] = []
    for part in parts:
        # Half a surrogate is pydantic's to judge: not all of its versions refuse it.
        if type(part) is not str or not (part.isascii() or _encodes(part)):
            return Message(role=role, parts=parts)
        texts.append(_make_text({"text": part}, _TEXT))
    return _make_message({"role": role, "parts": (*texts,)}, _MESSAGE)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def system(*parts: PartLike) -> Message:
    """A system message of the given parts; strings become text."""
    return _message("system", parts)


def user(*parts: PartLike) -> Message:
    """A user message of the given parts; strings become text."""
    return _message("user", parts)


def assistant(*parts: PartLike) -> Message:
    """An assistant message of the given parts; strings become text."""
    return _message("assistant", parts)


def tool_result(
    id: str,
    content: str,
    *,
    name: str | None = None,
    is_error: bool = False,
) -> Message:
    """A message that answers the tool call ``id``."""
    part = ToolResult(id=id, content=content, name=name, is_error=is_error)
    return _message("tool", (part,))


class Tool(_Value):
    """A function that the model may ask to be called; ``parameters`` is its JSON schema."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = None
    parameters: JSONObject = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None

    @classmethod
    def from_function(cls, function: Callable[..., object], *, strict: bool | None = None) -> Tool:
        """The tool that a typed Python function describes: its name, docstring and parameters.

        Raises ``TypeError`` for ``*args`` and ``**kwargs``, which no schema can name.
        """
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"{function.__name__}: *{name} cannot become a tool parameter")
            missing = parameter.annotation is parameter.empty
            annotation = Any if missing else parameter.annotation
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (annotation, default)
        schema = create_model(function.__name__, **fields).model_json_schema()
        schema.pop("title", None)
        return cls(
            name=function.__name__,
            description=inspect.getdoc(function),
            parameters=schema,
            strict=strict,
        )
