"""Pydantic AI's models as clients. The library is imported when the first request is sent."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from ai_batch.concurrent.foreign import check_parts, check_tool_choice, digest, schema_of
from ai_batch.concurrent.pydantic_ai_messages import (
    ALLOWED,
    SETTINGS,
    messages_of,
    nameless,
    parameters_of,
    response_of,
    settings_of,
)
from ai_batch.core import (
    Audio,
    ChatRequest,
    ChatResponse,
    Document,
    Image,
    Part,
    Problem,
    Request,
    Usage,
)
from ai_batch.core.errors import mask
from ai_batch.core.live import answered, ready, wrong_kind

__all__ = ["PydanticAIChat", "is_model"]

MEDIA: dict[type[Part], str] = {
    Audio: "supports_audio_input",
    Document: "supports_document_input",
    Image: "supports_image_input",
}
"""What a model's profile says of the media that it takes."""

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")

METHODS = ("request", "request_stream", "prepare_request")


def is_model(given: object) -> bool:
    """Whether it is one of Pydantic AI's models."""
    return all(callable(getattr(type(given), name, None)) for name in METHODS)


class PydanticAIChat:
    """Answers chats through any ``pydantic_ai.models.Model``."""

    def __init__(self, given: Any) -> None:
        """The model stays the user's; nothing of it is changed."""
        self._model = given
        self._name = type(given).__name__
        self._asked_of = list(_leaves(given))
        self._ignored = frozenset[str]().union(*map(_ignored, self._asked_of))

    @property
    def model(self) -> str:
        """The model of all requests: one of Pydantic AI's is made for one."""
        return str(self._model.model_name)

    @property
    def identity(self) -> dict[str, str]:
        """The model, where it is, and its own settings."""
        return {
            "model": self.model,
            "system": str(self._model.system),
            "base_url": mask(str(getattr(self._model, "base_url", None) or "")),
            "settings": digest(self._model.settings or {}),
        }

    def cost(self, model: str, usage: Usage) -> float | None:
        """None: whose prices hold is not known."""
        del model, usage
        return None

    async def aclose(self) -> None:
        """Nothing: the model, and its connections, are the user's."""

    def check(self, request: Request) -> Sequence[Problem]:
        """What the model, or Pydantic AI, can't do of the request."""
        wrong = wrong_kind(request, ChatRequest)
        if wrong is not None or not isinstance(request, ChatRequest):
            return [] if wrong is None else [wrong]
        return [
            *self._check_settings(request),
            *check_parts(request, ALLOWED),
            *check_tool_choice(request),
            *self._check_media(request),
            *self._check_output(request),
            *(
                Problem(f"the tool of the result {part.id!r} has no name", field=f"messages[{at}]")
                for at, part in nameless(request)
            ),
        ]

    def _check_settings(self, request: ChatRequest) -> Iterator[Problem]:
        if request.model is not None and request.model != self.model:
            found = f"{self._name} is made for {self.model} alone, found {request.model!r}"
            yield Problem(found, field="model")
        for option, name in SETTINGS.items():
            if getattr(request, option) is not None and name in self._ignored:
                yield Problem(f"{self._name} ignores it", field=option)
        effort = request.reasoning_effort
        if effort is None:
            return
        if effort not in EFFORTS:
            allowed = ", ".join(EFFORTS)
            yield Problem(f"must be one of {allowed}, found {effort!r}", field="reasoning_effort")
        elif not (self._has("supports_thinking") or self._has("thinking_always_enabled")):
            yield Problem(f"{self._name} does not think", field="reasoning_effort")

    def _check_media(self, request: ChatRequest) -> Iterator[Problem]:
        for place, message in enumerate(request.messages):
            for part in message.parts:
                field = f"messages[{place}]"
                flag = MEDIA.get(type(part))
                if flag is not None and not self._has(flag, unsaid=True):
                    yield Problem(f"{self._name} takes no {part.type}", field=field)
                if isinstance(part, Image) and part.detail and not self._is_openai:
                    yield Problem(f"{self._name} knows no detail of pictures", field=field)

    def _check_output(self, request: ChatRequest) -> Iterator[Problem]:
        can_call = self._has("supports_tools", unsaid=True)
        if request.tools and not can_call:
            yield Problem(f"{self._name} can't call tools", field="tools")
        schema = schema_of(request)
        if schema is None or self._has("supports_json_schema_output"):
            return
        if not can_call:
            yield Problem(f"{self._name} can't answer by a schema", field="output_type")
        elif schema.json_schema.get("type") != "object":
            found = f"{self._name} answers by a tool, whose arguments are an object"
            yield Problem(found, field="output_type")

    @property
    def _is_openai(self) -> bool:
        return all("openai" in type(model).__module__ for model in self._asked_of)

    def _has(self, flag: str, *, unsaid: bool = False) -> bool:
        """Whether all models that may be asked can do it."""
        return all(model.profile.get(flag, unsaid) for model in self._asked_of)

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer, by one request.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        whatever the model raises.
        """
        request = ready(request, self.check)
        schema = schema_of(request)
        settings = settings_of(request)
        if "max_retries" not in self._ignored:
            settings["max_retries"] = 0
        native = self._has("supports_json_schema_output")
        direct = importlib.import_module("pydantic_ai.direct")
        answer = await direct.model_request(
            self._model,
            messages_of(request, self._model.system),
            model_settings=settings,
            model_request_parameters=parameters_of(request, schema, native=native),
        )
        return answered(response_of(answer, schema), request, None)


def _leaves(model: Any) -> Iterator[Any]:
    """The models that are asked in the end: some only stand before others."""
    inner = getattr(model, "wrapped", None)
    several = [inner] if is_model(inner) else getattr(model, "models", None)
    if not several:
        yield model
        return
    for one in several:
        yield from _leaves(one)


def _ignored(model: Any) -> frozenset[str]:
    """Settings that the model ignores; a profile may add some to those of the class."""
    ask: Any = getattr(model, "_unsupported_settings", None)
    found: Any = ask() if callable(ask) else getattr(model, "unsupported_settings", ())
    return frozenset(found)
