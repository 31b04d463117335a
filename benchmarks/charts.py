"""Bars as plain SVG, for light and for dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720.0
LABEL = 150.0
ROW = 22.0
TOP = 52.0
BEHIND = 110.0
"""Room for the figure behind a bar."""

LETTERS = "font-family:system-ui,sans-serif;font-size:13px;fill:#24292f"
STYLE = (
    f"text{{{LETTERS}}}"
    ".title{font-weight:600;font-size:14px}.note{fill:#57606a;font-size:12px}"
    ".page{fill:#fff}.bar{fill:#afb8c1}.ours{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}"
    ".page{fill:#0d1117}.bar{fill:#57606a}.ours{fill:#4493f8}}"
)


@dataclass(frozen=True)
class Bar:
    """A bar: whose it is, how long, and the figure behind it."""

    name: str
    value: float
    text: str
    ours: bool = False


def chart(title: str, note: str, bars: Sequence[Bar]) -> str:
    """A bar a line, the longest as wide as there is room."""
    height = TOP + ROW * len(bars) + 8
    longest = max((bar.value for bar in bars), default=1.0) or 1.0
    across = WIDTH - LABEL - BEHIND
    size = f'viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}"'
    name = escape(title)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{name}">',
        f"<style>{STYLE}</style>",
        '<rect class="page" width="100%" height="100%" rx="6"/>',
        f'<text class="title" x="12" y="22">{name}</text>',
        f'<text class="note" x="12" y="40">{escape(note)}</text>',
    ]
    for number, bar in enumerate(bars):
        top = TOP + ROW * number
        width = max(bar.value / longest * across, 1.0)
        kind = "ours" if bar.ours else "bar"
        middle = top + ROW * 0.68
        place = f'x="{LABEL:g}" y="{top + 3:.1f}" width="{width:.1f}" height="{ROW - 6:g}"'
        label = f'x="{LABEL - 8:g}" y="{middle:.1f}" text-anchor="end"'
        lines += [
            f"<text {label}>{escape(bar.name)}</text>",
            f'<rect class="{kind}" {place} rx="2"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{middle:.1f}">{escape(bar.text)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
