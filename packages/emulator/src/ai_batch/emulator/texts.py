"""What a request says, and how many tokens that is."""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text

_BYTES_PER_TOKEN = 4
_TOKENS_PER_MEDIUM = 85


def tokens_of(text: str) -> int:
    """Estimate tokens: a quarter of the bytes, at least one."""
    return max(1, len(text.encode(errors="surrogatepass")) // _BYTES_PER_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    """Return the beginning of a text that has so many tokens."""
    data = text.encode(errors="surrogatepass")[: tokens * _BYTES_PER_TOKEN]
    return data.decode(errors="ignore")


def content_text(content: JsonValue) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    return "\n".join(as_text(as_object(part).get("text")) for part in as_list(content))


def last_user_text(messages: JsonValue) -> str:
    """Return what the user said last."""
    for message in reversed(as_list(messages)):
        if as_object(message).get("role") == "user":
            return content_text(as_object(message).get("content"))
    return ""


def prompt_tokens(messages: JsonValue) -> int:
    """Estimate the tokens of all messages; each picture or file counts alike."""
    return sum(map(_message_tokens, as_list(messages))) or 1


def _message_tokens(message: JsonValue) -> int:
    content = as_object(message).get("content")
    return 3 + tokens_of(content_text(content)) + sum(_media(content))


def _media(content: JsonValue) -> Iterator[int]:
    for part in as_list(content):
        if "text" not in as_object(part):
            yield _TOKENS_PER_MEDIUM


def positive(body: JsonObject, *names: str) -> int | None:
    """Return the first of these parameters that is a positive number."""
    for name in names:
        value = body.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None
