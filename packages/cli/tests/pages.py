"""HTML as a browser reads it: its elements, their attributes, and what is written in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "hr", "link", "meta"}


@dataclass
class Element:
    """An element with its attributes and all the text in it."""

    name: str
    attributes: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    text: str = ""


class Page(HTMLParser):
    """All elements of a document, in order; ``wrong`` lists what is not closed as it should be."""

    def __init__(self, html: str) -> None:
        """Reads it to its end."""
        super().__init__()
        self.elements: list[Element] = []
        self.wrong: list[str] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        self.wrong += [f"<{element.name}> stays open" for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].name != tag:
            self.wrong.append(f"</{tag}> out of place")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, name: str, **attributes: str) -> list[Element]:
        """The elements of a name that have these attributes; ``class_`` may be one of several."""
        return [
            element
            for element in self.elements
            if element.name == name
            and all(_has(element, key.rstrip("_"), value) for key, value in attributes.items())
        ]

    def one(self, name: str, **attributes: str) -> Element:
        """The only element of a name that has these attributes."""
        found = self.all(name, **attributes)
        assert len(found) == 1, f"{len(found)} of <{name}> {attributes}"
        return found[0]

    @property
    def summary(self) -> dict[str, str]:
        """What the page says in few words."""
        names = [element.text for element in self.all("dt")]
        return dict(zip(names, [element.text for element in self.all("dd")], strict=True))

    @property
    def texts(self) -> str:
        """All that can be read."""
        return self.one("body").text


def _has(element: Element, key: str, value: str) -> bool:
    found = element.attributes.get(key)
    return found is not None and (value in found.split() if key == "class" else value == found)
