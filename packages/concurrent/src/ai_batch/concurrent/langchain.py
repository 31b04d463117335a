"""LangChain's chat models and embeddings as clients. Nothing of LangChain is imported here.

What a model can be asked for is told by the fields that its class declares: a request's
``temperature`` is set as the model's own, on a copy of it. A model without such a field might
ignore the option, so that a request with it is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from ai_batch.concurrent.foreign import (
    check_parts,
    check_tool_choice,
    digest,
    schema_name,
    schema_of,
)
from ai_batch.concurrent.langchain_messages import ALLOWED, messages_of, response_of, tool_of
from ai_batch.core import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    Image,
    Problem,
    Request,
    ToolCall,
    Usage,
)
from ai_batch.core.live import answered, embedded, ready, wrong_kind
from ai_batch.core.messages import JSONObject

__all__ = ["LangChainChat", "LangChainEmbedder", "is_chat_model", "is_embeddings"]

FIELDS: dict[str, tuple[str, ...]] = {
    "model": ("model_name", "model", "model_id"),
    "max_tokens": ("max_tokens", "max_output_tokens", "max_new_tokens", "num_predict"),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "seed": ("seed",),
    "reasoning_effort": ("reasoning_effort",),
    "dimensions": ("dimensions", "output_dimensionality"),
}
"""By what names LangChain's models know an option."""

STOPS = ("stop", "stop_sequences")

EXTRAS = ("extra_body", "model_kwargs")
"""Fields for what LangChain has no name for; the first one is the SDKs' own."""

IRRELEVANT = frozenset(
    {
        "cache",
        "max_retries",
        "metadata",  # Holds the versions of LangChain's packages.
        "name",
        "profile",  # What they know of the model.
        "request_timeout",
        "tags",
        "timeout",
        "verbose",
    }
)
"""Fields that do not change what is asked."""

BARE = "langchain_core.language_models.chat_models"
"""Where methods are that a model has not made its own: they only raise ``NotImplementedError``."""


def is_chat_model(given: object) -> bool:
    """Whether it is a ``BaseChatModel``; what ``bind`` and the like make of one is none."""
    return all(callable(getattr(type(given), name, None)) for name in ("ainvoke", "bind_tools"))


def is_embeddings(given: object) -> bool:
    """Whether it is an ``Embeddings``."""
    return callable(getattr(type(given), "aembed_documents", None))


class _Adapter:
    """What chat models and embeddings have in common."""

    def __init__(self, given: Any) -> None:
        self._fields: dict[str, Any] = getattr(given.__class__, "model_fields", {})
        self._model = _attempting_once(given, self._fields)
        self._name = type(given).__name__
        chosen: set[str] = getattr(given, "model_fields_set", set())
        telling = [name for name in chosen - IRRELEVANT if not self._fields[name].exclude]
        self._settings = digest({name: getattr(given, name) for name in telling})

    @property
    def model(self) -> str:
        """The model of requests that name none; empty where LangChain does not say."""
        field = self._field("model")
        return str(getattr(self._model, field) or "") if field else ""

    @property
    def identity(self) -> dict[str, str]:
        """The model, and whatever else was chosen of its fields."""
        return {"model": self.model, "settings": self._settings}

    def cost(self, model: str, usage: Usage) -> float | None:
        """None: LangChain does not say whose prices hold."""
        del model, usage
        return None

    async def aclose(self) -> None:
        """Nothing: the model, and its connections, are the user's."""

    def _field(self, option: str) -> str | None:
        return next((name for name in FIELDS[option] if name in self._fields), None)

    def _lacking(self, request: Request, options: Sequence[str]) -> Iterator[Problem]:
        for option in options:
            value = getattr(request, option)
            if value is None or (option == "model" and value == self.model):
                continue
            # A deployment of Azure's is part of the address, and has the one model.
            fixed = option == "model" and getattr(self._model, "deployment_name", None)
            if fixed or self._field(option) is None:
                yield Problem(f"{self._name} can't be asked for it per request", field=option)
        if request.extra and not any(name in self._fields for name in EXTRAS):
            yield Problem(f"{self._name} has no place for it", field="extra")

    def _configured(self, request: Request, options: Sequence[str]) -> Any:
        """The model with what the request wants of it."""
        update: JSONObject = {}
        for option in options:
            value, field = getattr(request, option), self._field(option)
            if value is not None and field is not None:
                update[field] = value
        if request.extra:
            field = next(name for name in EXTRAS if name in self._fields)
            update[field] = {**(getattr(self._model, field) or {}), **request.extra}
        if isinstance(request, ChatRequest) and request.stop and request.output_type is not None:
            update[next(name for name in STOPS if name in self._fields)] = list(request.stop)
        return self._model.model_copy(update=update) if update else self._model


class LangChainChat(_Adapter):
    """Answers chats through any ``BaseChatModel``."""

    OPTIONS = ("model", "max_tokens", "temperature", "top_p", "seed", "reasoning_effort")

    def check(self, request: Request) -> Sequence[Problem]:
        """What the model, or LangChain, can't do of the request."""
        wrong = wrong_kind(request, ChatRequest)
        if wrong is not None or not isinstance(request, ChatRequest):
            return [] if wrong is None else [wrong]
        return [
            *self._lacking(request, self.OPTIONS),
            *check_parts(request, ALLOWED),
            *check_tool_choice(request),
            *_check_details(request),
            *self._check_methods(request),
        ]

    def _check_methods(self, request: ChatRequest) -> Iterator[Problem]:
        calls = self._has_own("bind_tools")
        if request.tools and not calls:
            yield Problem(f"{self._name} can't call tools", field="tools")
        if request.output_type is None:
            return
        if not calls and not self._has_own("with_structured_output"):
            yield Problem(f"{self._name} can't answer by a schema", field="output_type")
        if request.tools:
            yield Problem("LangChain has no tools for an answer by a schema", field="tools")
        if request.stop and not any(name in self._fields for name in STOPS):
            yield Problem("LangChain can't stop an answer by a schema", field="stop")

    def _has_own(self, method: str) -> bool:
        return str(getattr(self._model.__class__, method).__module__) != BARE

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """The answer, by one call of ``ainvoke``.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        whatever the model raises.
        """
        request = ready(request, self.check)
        model = self._configured(request, self.OPTIONS)
        schema = schema_of(request)
        if schema is not None:
            wanted = {**schema.json_schema, "title": schema_name(schema)}
            runnable = model.with_structured_output(wanted, include_raw=True)
            message = (await runnable.ainvoke(messages_of(request)))["raw"]
        else:
            runnable = _with_tools(model, request)
            stop = {"stop": list(request.stop)} if request.stop else {}
            message = await runnable.ainvoke(messages_of(request), **stop)
        return answered(response_of(message, structured=schema is not None), request, None)


class LangChainEmbedder(_Adapter):
    """Embeds texts through any ``Embeddings``. LangChain tells no usage of them."""

    OPTIONS = ("model", "dimensions")

    def check(self, request: Request) -> Sequence[Problem]:
        """What the embeddings, or LangChain, can't do of the request."""
        wrong = wrong_kind(request, EmbeddingRequest)
        if wrong is not None or not isinstance(request, EmbeddingRequest):
            return [] if wrong is None else [wrong]
        found = list(self._lacking(request, self.OPTIONS))
        if request.task is not None:
            found.append(Problem("LangChain's embeddings have no task", field="task"))
        return found

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """One vector per text, by one call of ``aembed_documents``.

        Raises ``UsageError`` for what can't be done of the request, before anything is sent, and
        whatever the embeddings raise.
        """
        request = ready(request, self.check)
        model = self._configured(request, self.OPTIONS)
        vectors = await model.aembed_documents(list(request.texts))
        found = EmbeddingResponse(vectors=vectors, model=request.model or self.model or None)
        return embedded(found, request, None)


def _check_details(request: ChatRequest) -> Iterator[Problem]:
    for place, message in enumerate(request.messages):
        for part in message.parts:
            if isinstance(part, Image) and part.detail is not None:
                field = f"messages[{place}]"
                yield Problem("LangChain's pictures have no detail", field=field)
            if isinstance(part, ToolCall) and part.raw_arguments is not None:
                found = "LangChain can't send back arguments that are no JSON object"
                yield Problem(found, field=f"messages[{place}]")


def _with_tools(model: Any, request: ChatRequest) -> Any:
    if not request.tools:
        return model
    # Their word for "required" that all of LangChain's packages know is OpenAI's older one.
    choice = "any" if request.tool_choice == "required" else request.tool_choice
    chosen = {} if choice is None else {"tool_choice": choice}
    return model.bind_tools([tool_of(tool) for tool in request.tools], **chosen)


def _attempting_once(model: Any, fields: dict[str, Any]) -> Any:
    """A copy of the model that does not try again by itself, as far as that can be had."""
    update: JSONObject = {"max_retries": 0} if "max_retries" in fields else {}
    for name in ("root_async_client", "async_client"):
        if name in fields and (client := _client_once(getattr(model, name))) is not None:
            update[name] = client
    if not update:
        return model
    copy = model.model_copy(update=update)
    # Some make their SDK's client when it is first used, and keep it as a cached property.
    held: JSONObject = copy.__dict__
    for name in _cached(copy.__class__) & held.keys():
        delattr(copy, name)
    return copy


def _cached(kind: type[Any]) -> set[str]:
    cached = functools.cached_property
    return {
        name
        for base in kind.__mro__
        for name, value in vars(base).items()
        if isinstance(value, cached)
    }


def _client_once(client: Any) -> Any:
    """The SDK's client, or a resource of it, with its own retries switched off."""
    if callable(getattr(client, "with_options", None)):
        return client.with_options(max_retries=0)
    root: Any = getattr(client, "_client", None)
    if callable(getattr(root, "with_options", None)):
        return type(client)(root.with_options(max_retries=0))
    return None
