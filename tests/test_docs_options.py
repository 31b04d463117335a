"""The tables of options are those of the code: every option, its default, and its place."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ai_batch.anthropic import AnthropicChat, AnthropicProcessor
from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core.options import GeneralOptions, JobOptions, Options
from ai_batch.core.runtime import Runtime
from ai_batch.gemini import GeminiChat, GeminiEmbedder, GeminiProcessor, VertexProcessor
from ai_batch.openai import OpenAIChat, OpenAIEmbedder, OpenAIProcessor
from ai_batch.voyage import VoyageEmbedder

DOCS = Path(__file__).resolve().parent.parent / "docs"

PROCESSORS: Mapping[str, type] = {
    "OpenAI": OpenAIProcessor,
    "Anthropic": AnthropicProcessor,
    "Gemini": GeminiProcessor,
    "Vertex AI": VertexProcessor,
    "concurrent": ConcurrentProcessor,
}

CLIENTS: Mapping[str, type] = {
    "`OpenAIChat`": OpenAIChat,
    "`OpenAIEmbedder`": OpenAIEmbedder,
    "`AnthropicChat`": AnthropicChat,
    "`GeminiChat`": GeminiChat,
    "`GeminiEmbedder`": GeminiEmbedder,
    "`VoyageEmbedder`": VoyageEmbedder,
}

PAGES = {
    OpenAIProcessor: "options.md",
    AnthropicProcessor: "providers/anthropic.md",
    GeminiProcessor: "providers/gemini.md",
    VertexProcessor: "providers/vertex.md",
    ConcurrentProcessor: "concurrent.md",
    VoyageEmbedder: "providers/voyage.md",
}
"""Where the options that a class has for itself are explained."""

CODE = re.compile(r"`([a-z_]+)`")


def own(kind: type) -> dict[str, object]:
    """The options that a class names itself, with their defaults."""
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def inherited(kind: type) -> dict[str, object]:
    """The options that a class takes by ``**``, with their defaults."""
    rest = [p for p in inspect.signature(kind).parameters.values() if p.kind is p.VAR_KEYWORD]
    if not rest:
        return {}
    name = str(rest[0].annotation).removeprefix("Unpack[").removesuffix("]")
    typed = getattr(sys.modules[kind.__module__], name)
    return {option: default_of(kind, option) for option in typed.__annotations__}


def default_of(kind: type, option: str) -> object:
    """What an option is that is not given, of those that a class takes by ``**``."""
    if option in GeneralOptions.__annotations__:
        return getattr(Options(), option)
    return own(kind.__mro__[1]).get(option)


def options(kind: type) -> dict[str, object]:
    """All options of a class."""
    return {**own(kind), **inherited(kind)}


def shown(name: str, default: object) -> str:
    """A default as the tables have it."""
    if default is inspect.Parameter.empty:
        return "needed"
    if name == "limits":
        return "the vendor's"
    if default is None:
        return "none"
    if isinstance(default, Runtime):
        return "the real one"
    if isinstance(default, str):
        return f'`"{default}"`'
    number = isinstance(default, float) and default.is_integer()
    return f"`{int(default) if number else default}`"  # type: ignore[call-overload]


def table(kinds: Mapping[str, type]) -> dict[str, list[str]]:
    """What a table must say: a row for each option, a cell for each class."""
    names = list(dict.fromkeys(name for kind in kinds.values() for name in options(kind)))
    given = [options(kind) for kind in kinds.values()]
    return {
        name: [shown(name, one[name]) if name in one else "-" for one in given] for name in names
    }


def rows(page: str, head: str) -> dict[str, list[str]]:
    """The table of a page with this head: its rows by their first cell, links left out."""
    text = (DOCS / page).read_text("utf-8")
    body = text.partition(head + "\n")[2].partition("\n\n")[0]
    found: dict[str, list[str]] = {}
    for line in body.splitlines()[1:]:
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found[first.partition("](")[0].strip("[`")] = cells
    return found


def as_lines(wanted: Mapping[str, list[str]]) -> str:
    """The table as it would stand in the page, to be copied from a failed test."""
    return "\n".join(f"| `{name}` | {' | '.join(cells)} |" for name, cells in wanted.items())


@pytest.mark.parametrize("kinds", [PROCESSORS, CLIENTS], ids=["processors", "clients"])
def test_the_table_has_every_option_and_its_default(kinds: Mapping[str, type]) -> None:
    """Whoever looks an option up finds it, with what it is where it is not given."""
    wanted = table(kinds)

    assert rows("options.md", f"| option | {' | '.join(kinds)} |") == wanted, as_lines(wanted)


def test_each_option_of_a_run_is_explained() -> None:
    """What all native processors share has a section of its own, and no section is of the past."""
    text = (DOCS / "options.md").read_text("utf-8")
    sections = set(re.findall(r"^### ([a-z_]+)$", text, re.MULTILINE))

    assert sections == {field.name for field in dataclasses.fields(Options)}
    assert sections == GeneralOptions.__annotations__.keys()


@pytest.mark.parametrize("kind", PAGES, ids=lambda kind: kind.__name__)
def test_each_option_of_a_class_is_explained(kind: type) -> None:
    """What a class has for itself stands in the table of its page."""
    text = (DOCS / PAGES[kind]).read_text("utf-8")
    firsts = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    explained = {name for first in firsts for name in CODE.findall(first)}

    assert own(kind).keys() - GeneralOptions.__annotations__.keys() <= explained


def test_concurrent_runs_tell_which_options_they_share() -> None:
    """The page of concurrent runs names every option that it has in common with batches."""
    text = (DOCS / "concurrent.md").read_text("utf-8")
    listed = text.partition("Beside those below: ")[2].partition(", as in")[0]

    assert set(CODE.findall(listed)) == set(JobOptions.__annotations__)
