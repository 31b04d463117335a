"""Prompts made of a row's columns: ``Summarise: {text}``."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from ai_batch.core import UsageError

__all__ = ["Template"]


class Template:
    """A text with columns' names in braces; doubled braces stand for themselves."""

    def __init__(self, text: str) -> None:
        """Raises ``UsageError`` for braces that are not closed, and for format codes."""
        self._pieces: list[tuple[str, str | None]] = []
        try:
            found = list(string.Formatter().parse(text))
        except ValueError as error:
            raise _wrong(f"{error}; write {{{{ and }}}} for braces of your own") from None
        for literal, name, code, conversion in found:
            if name is not None and (not name or code or conversion):
                raise _wrong("braces hold the name of a column, such as {text}, and nothing else")
            self._pieces.append((literal, name))

    @property
    def columns(self) -> list[str]:
        """The columns that it names."""
        return list(dict.fromkeys(name for _, name in self._pieces if name is not None))

    def fill(self, row: Mapping[str, Any]) -> str:
        """The text with a row's values. Raises ``KeyError`` for a column that is not there."""
        made: list[str] = []
        for literal, name in self._pieces:
            made.append(literal)
            if name is not None:
                value = row[name]
                made.append("" if value is None else str(value))
        return "".join(made)


def _wrong(reason: str) -> UsageError:
    return UsageError(f"--prompt: {reason}")
