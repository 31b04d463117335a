"""What a Gemini request says, and how many tokens that is."""

from __future__ import annotations

from collections.abc import Iterator

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text
from ai_batch.emulator.texts import tokens_of

_TOKENS_PER_MEDIUM = 258


def parts_of(content: JsonValue) -> list[JsonObject]:
    """Return the parts of a content."""
    return [as_object(part) for part in as_list(as_object(content).get("parts"))]


def texts_of(content: JsonValue) -> list[str]:
    """Return the texts of a content, thoughts left out."""
    return [
        as_text(part.get("text"))
        for part in parts_of(content)
        if "text" in part and not part.get("thought")
    ]


def contents_of(body: JsonObject) -> list[JsonValue]:
    """Return the contents of a request; a single one need not be in a list."""
    contents = body.get("contents")
    return [contents] if isinstance(contents, dict) else as_list(contents)


def last_user_texts(body: JsonObject) -> list[str]:
    """Return what the user said last, one text for each part; a content without role is theirs."""
    for content in reversed(contents_of(body)):
        if as_object(content).get("role") in (None, "", "user") and (said := texts_of(content)):
            return said
    return []


def prompt_tokens(body: JsonObject) -> int:
    """Estimate the tokens of a request; each picture or file counts alike."""
    contents = [*contents_of(body), body.get("systemInstruction")]
    return sum(sum(_part_tokens(content)) for content in contents) or 1


def content_tokens(content: JsonValue) -> int:
    """Estimate the tokens of one content."""
    return sum(_part_tokens(content)) or 1


def _part_tokens(content: JsonValue) -> Iterator[int]:
    for part in parts_of(content):
        yield tokens_of(as_text(part.get("text"))) if "text" in part else _TOKENS_PER_MEDIUM
