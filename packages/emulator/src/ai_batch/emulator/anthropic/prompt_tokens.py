"""How many tokens a request has, and which of them are cached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, encode
from ai_batch.emulator.texts import tokens_of

_PER_MESSAGE = 3
_PER_MEDIUM = 85


class PromptTokens(NamedTuple):
    """The tokens of a prompt: those after its last cache mark, and those before, by lifetime."""

    fresh: int
    cached_5m: int
    cached_1h: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.fresh + self.cached_5m + self.cached_1h


class _Part(NamedTuple):
    tokens: int
    mark: JsonObject


def prompt_tokens(body: JsonObject) -> PromptTokens:
    """Estimate the tokens of a request."""
    parts = list(_parts(body))
    if automatic := as_object(body.get("cache_control")):
        parts.append(_Part(0, automatic))
    marked = [index for index, part in enumerate(parts) if part.mark]
    cached = sum(part.tokens for part in parts[: marked[-1] + 1]) if marked else 0
    fresh = sum(part.tokens for part in parts) - cached
    if marked and parts[marked[-1]].mark.get("ttl") == "1h":
        return PromptTokens(fresh, 0, cached)
    return PromptTokens(fresh, cached, 0)


def _parts(body: JsonObject) -> Iterator[_Part]:
    for tool in map(as_object, as_list(body.get("tools"))):
        yield _Part(tokens_of(encode(tool).decode()), as_object(tool.get("cache_control")))
    yield from _content(body.get("system"))
    for message in map(as_object, as_list(body.get("messages"))):
        yield _Part(_PER_MESSAGE, {})
        yield from _content(message.get("content"))


def _content(content: JsonValue) -> Iterator[_Part]:
    if isinstance(content, str):
        yield _Part(tokens_of(content), {})
    for block in map(as_object, as_list(content)):
        text = block.get("text")
        tokens = tokens_of(text) if isinstance(text, str) else _PER_MEDIUM
        yield _Part(tokens, as_object(block.get("cache_control")))
