"""Charts as plain SVG: areas over time, columns, and bars from a beginning to an end.

Colours come from the page's style by class, so that they follow light, dark and paper. Each chart
has a title and a description for those who can't see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_batch.cli.report_markup import Content, Markup, element, joined
from ai_batch.cli.report_scales import Scale

__all__ = ["Bar", "Frame", "Stack", "areas", "bars", "columns"]

WIDTH, HEIGHT = 480.0, 200.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 10.0, 24.0
ACROSS = WIDTH - LEFT - RIGHT
UP = HEIGHT - TOP - BOTTOM

TAIL = 8.0
"""Behind the last moment, so that what came with it can be seen."""

ROW = 16.0
"""The height of a line with a bar of its own."""

LETTER = 9.0
"""The width of a letter where it is widest: narrow pages have larger ones."""


@dataclass(frozen=True)
class Frame:
    """What a chart is called: ``key`` is unique on its page."""

    key: str
    title: str
    description: str


@dataclass(frozen=True)
class Stack:
    """One of the layers of a chart: its name, the class of its colour, and its values."""

    name: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True)
class Bar:
    """A bar on a line of its own; ``end`` is None while it goes on. ``hint`` shows on touch."""

    name: str
    start: float
    end: float
    colour: str
    text: str
    hint: str


def areas(
    frame: Frame, times: Sequence[float], stacks: Sequence[Stack], across: Scale, up: Scale
) -> Markup:
    """Layers upon each other; a value holds until the next one is known."""
    below = [0.0] * len(times)
    drawn: list[Markup] = []
    for stack in stacks:
        above = [low + value for low, value in zip(below, stack.values, strict=True)]
        outline = _steps(times, above, across, up)
        back = _steps(times, below, across, up)[::-1]
        if above != below:
            drawn.append(
                element(
                    "path",
                    d=_path([*outline, *back]) + "Z",
                    class_=f"area {stack.colour}",
                )
            )
        below = above
    return _svg(frame, HEIGHT, _ruled(up), drawn, _timed(across, HEIGHT, ACROSS - TAIL))


def _steps(
    times: Sequence[float], values: Sequence[float], across: Scale, up: Scale
) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for at, value in zip(times, values, strict=True):
        x, y = LEFT + across.place(at, ACROSS - TAIL), TOP + UP - up.place(value, UP)
        if points:
            points.append((x, points[-1][1]))
        points.append((x, y))
    return [*points, (LEFT + ACROSS, points[-1][1])]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)


def columns(
    frame: Frame, names: Sequence[str], stacks: Sequence[Stack], up: Scale, hints: Sequence[str]
) -> Markup:
    """A column for each name, in layers."""
    wide = ACROSS / max(len(names), 1)
    gap = min(wide * 0.2, 6.0)
    thick = min(wide - gap, 48.0)
    drawn: list[Markup] = []
    for place, hint in enumerate(hints):
        left, base = LEFT + place * wide + (wide - thick) / 2, TOP + UP
        parts: list[Markup] = []
        for stack in stacks:
            tall = up.place(stack.values[place], UP)
            base -= tall
            parts.append(_rect(left, base, thick, tall, f"bar {stack.colour}"))
        drawn.append(element("g", element("title", hint), parts))
    return _svg(frame, HEIGHT, _ruled(up), drawn, _named(names, wide))


def _named(names: Sequence[str], wide: float) -> list[Markup]:
    longest = max((len(name) for name in names), default=1) + 2
    every = max(int(-(-longest * LETTER // wide)), 1)
    return [
        _text(LEFT + (place + 0.5) * wide, HEIGHT - 8, name, "middle")
        for place, name in enumerate(names)
        if not place % every
    ]


def bars(frame: Frame, lines: Sequence[Bar], across: Scale) -> Markup:
    """A line for each bar, from its start to its end."""
    height = TOP + ROW * len(lines) + BOTTOM
    rules = [
        _line(LEFT + across.place(mark, ACROSS), TOP, height - BOTTOM) for mark in across.marks
    ]
    drawn: list[Markup] = []
    for place, bar in enumerate(lines):
        top = TOP + place * ROW
        start, end = (LEFT + across.place(at, ACROSS) for at in (bar.start, bar.end))
        long = max(end - start, 2.0)
        shape = _rect(start, top + 2, long, ROW - 4, f"bar {bar.colour}")
        drawn.append(
            element(
                "g",
                element("title", bar.hint),
                shape,
                _beside(start, start + long, top + ROW - 4, bar),
                _text(LEFT - 6, top + ROW - 4, bar.name, "end"),
            )
        )
    return _svg(frame, height, rules, drawn, _timed(across, height, ACROSS))


def _beside(start: float, end: float, y: float, bar: Bar) -> Markup:
    """A bar's text: behind it, else before it, else upon it."""
    room = (len(bar.text) + 1) * LETTER
    if end + room < WIDTH:
        return _text(end + 4, y, bar.text, "start")
    if start - room > LEFT:
        return _text(start - 4, y, bar.text, "end")
    return _text(start + 4, y, bar.text, "start", f"upon {bar.colour}")


# -- what all charts have -------------------------------------------------------------------------


def _svg(frame: Frame, height: float, *parts: Content) -> Markup:
    title, description = f"{frame.key}-title", f"{frame.key}-text"
    return element(
        "svg",
        element("title", frame.title, id=title),
        element("desc", frame.description, id=description),
        joined(parts),
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{title} {description}",
        class_="chart",
    )


def _ruled(up: Scale) -> list[Markup]:
    """Lines across, each with its value."""
    drawn: list[Markup] = []
    for mark in up.marks:
        y = TOP + UP - up.place(mark, UP)
        drawn.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="rule"))
        drawn.append(_text(LEFT - 6, y + 4, up.text(mark), "end"))
    return drawn


def _timed(across: Scale, height: float, length: float) -> list[Markup]:
    """The marks of time below a chart, on an axis of this length."""
    drawn: list[Markup] = []
    free = 0.0
    for mark in across.marks:
        x, text = LEFT + across.place(mark, length), across.text(mark)
        half = len(text) * LETTER / 2
        anchor = "end" if x + half > WIDTH else "middle"
        left = x - 2 * half if anchor == "end" else x - half
        if left >= free:
            drawn.append(_text(x, height - 8, text, anchor))
            free = left + 2 * half + LETTER
    return drawn


def _line(x: float, top: float, bottom: float) -> Markup:
    return element("line", x1=x, x2=x, y1=top, y2=bottom, class_="rule")


def _rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return element("rect", x=x, y=y, width=max(width, 0.5), height=height, class_=class_)


def _text(x: float, y: float, text: str, anchor: str, class_: str | None = None) -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=class_)
