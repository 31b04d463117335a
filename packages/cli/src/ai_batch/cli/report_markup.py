"""HTML and SVG by elements, in which every text is escaped unless it is markup already."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Content", "Markup", "element", "joined"]

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What no document may hold; vendors' texts and users' ids are not bound by that."""

VOID = frozenset({"br", "hr", "link", "meta"})


class Markup(str):
    """A text that is HTML or SVG, and goes out as it is. Only this module makes any."""

    __slots__ = ()


Content: TypeAlias = "str | float | Iterable[Content] | None"
"""What stands in an element; None stands for nothing."""

Attribute: TypeAlias = "str | float | bool | None"


def joined(content: Content) -> Markup:
    """The content as markup, escaped where it is none."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(_escaped(content))
    if isinstance(content, int | float):
        return Markup(_number(content))
    return Markup("".join(map(joined, content)))


def element(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """An element. In names of attributes ``_`` stands for ``-``; one at the end is dropped.

    True gives an attribute without a value; None and False leave it out.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(content)}</{name}>")


def raw(text: str) -> Markup:
    """A text of this package's own files, such as its style, for what is not escaped in HTML.

    It must not hold ``</``.
    """
    if "</" in text:
        raise ValueError("the text would end its element")
    return Markup(text)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    key = name.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {key}"
    text = value if isinstance(value, str) else _number(value)
    return f' {key}="{_escaped(text)}"'


def _escaped(text: str) -> str:
    return html.escape(_CONTROLS.sub("\ufffd", text))


def _number(value: float) -> str:
    """With two places at most: a picture has no more."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
