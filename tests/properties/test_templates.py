"""Requests that are filled into templates come out as if each had been written on its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ai_batch.core import ChatRequest, Message, assistant, system, user
from ai_batch.core.checks import check_request
from ai_batch.core.messages import Role, Text
from ai_batch.core.plain_lines import PlainRequest, PlainTurn
from ai_batch.core.provider import Formats
from ai_batch.core.templates import WIRE_ID, Templates, drawn_out
from ai_batch.core.testing import FakeProvider, FakeVendor
from ai_batch.emulator import Emulator
from tests import subjects
from tests.properties.chats import chats

SUBJECTS = {
    subject.name: subject
    for subject in (
        subjects.OPENAI_CHAT,
        subjects.OPENAI_RESPONSES,
        subjects.ANTHROPIC,
        subjects.GEMINI_CHAT,
        subjects.VERTEX_CHAT,
    )
}

WORDS = st.text(min_size=1) | st.sampled_from(
    ['"', "\\", "%s %d %", "\x00\x1f\x7f", "\u2028", "{}", "null", WIRE_ID, "é𝄞", " "]
)


ROLES: tuple[Role, ...] = ("system", "user", "assistant")

SETTINGS: list[dict[str, Any]] = [
    {},
    {"id": "q1", "metadata": {"row": "1", "é": '"'}},
    {"metadata": {}, "max_tokens": 5, "temperature": 0.5, "stop": ("a", "b")},
    {"model": "m", "seed": 7, "tool_choice": "none"},
]


@pytest.fixture(scope="module")
def formats() -> Iterator[dict[str, Formats]]:
    """Each provider's formats."""
    with Emulator() as emulator:
        processors = {name: subject.make(emulator) for name, subject in SUBJECTS.items()}
        found: dict[str, Formats] = {
            name: processor.workshop.formats for name, processor in processors.items()
        }
        yield {**found, "fake": FakeProvider(FakeVendor(), clock=lambda: 0.0)}
        for processor in processors.values():
            processor.close()


def other_words(request: ChatRequest, words: Iterator[str]) -> ChatRequest:
    """The same request with other texts in it."""

    def changed(message: Message) -> Message:
        parts = tuple(
            Text(text=next(words)) if isinstance(part, Text) else part for part in message.parts
        )
        return message.model_copy(update={"parts": parts})

    messages = tuple(map(changed, request.messages))
    return request.model_copy(update={"messages": messages, "id": next(words)})


def expect_same(templates: Templates, formats: Formats, request: ChatRequest) -> bool:
    """Whether the request has a template; then all of it is as the long way has it."""
    identity = request.id or "req_7"
    quick = templates.drawn(request, identity)
    if quick is None:
        return False
    named = request.model_copy(update={"id": identity})
    assert not check_request(named)
    assert not formats.check(named)
    long = drawn_out(formats, named)
    assert quick == replace(long, line=quick.line)
    assert quick.line("00ff-12") == long.line("00ff-12")
    return True


@pytest.mark.parametrize("name", [*SUBJECTS, "fake"])
@given(request=chats(model="some-model"), data=st.data())
def test_a_template_gives_what_the_provider_writes(
    formats: dict[str, Formats], name: str, request: ChatRequest, data: st.DataObject
) -> None:
    """Whatever a template was learned from, another request of its form comes out as it should."""
    templates = Templates(formats[name])
    expect_same(templates, formats[name], request)
    words = iter(lambda: data.draw(WORDS), None)
    expect_same(templates, formats[name], other_words(request, words))


PLAIN: dict[str, dict[str, Any]] = {
    "one message": {"messages": [user("a")]},
    "a prompt before it": {"messages": [system("be kind"), user("a")]},
    "a conversation": {"messages": [user("a"), assistant("b"), user("c")]},
    "parameters": {"messages": [user("a")], "max_tokens": 5, "temperature": 0.5},
    "metadata": {"messages": [user("a")], "metadata": {"row": "1"}},
    "an id": {"messages": [user("a")], "id": "q1"},
}


@pytest.mark.parametrize("name", [*SUBJECTS])
@pytest.mark.parametrize("what", PLAIN)
def test_plain_requests_have_templates(formats: dict[str, Formats], name: str, what: str) -> None:
    """What most jobs are made of takes the short way with every vendor."""
    request = ChatRequest(model="some-model", **PLAIN[what])

    assert expect_same(Templates(formats[name]), formats[name], request)


@pytest.mark.parametrize("name", [*SUBJECTS, "fake"])
@given(turns=st.lists(st.tuples(st.sampled_from(ROLES), WORDS), min_size=1, max_size=3))
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_line_comes_to_what_its_request_comes_to(
    formats: dict[str, Formats],
    name: str,
    settings: dict[str, Any],
    turns: list[tuple[Role, str]],
) -> None:
    """One that is planned as it was read is sent, kept and counted as the request that it is."""
    read = PlainRequest([PlainTurn(*turn) for turn in turns], **settings)
    identity = read.id or "req_7"
    apart, shared = Templates(formats[name]), Templates(formats[name])
    learned_from_request = shared.drawn(read.request(), identity)

    quick = apart.drawn(read, identity)
    known = shared.drawn(read, identity)

    if quick is None or known is None or learned_from_request is None:
        assert quick is known is learned_from_request is None
        return
    for other in (known, learned_from_request):
        assert quick == replace(other, line=quick.line)
        assert quick.line("00ff-12") == other.line("00ff-12")


def test_requests_that_all_differ_in_form_fill_no_memory(formats: dict[str, Formats]) -> None:
    """A seed of its own on every request: beyond some hundreds no more templates are kept."""
    templates = Templates(formats["openai"])
    requests = [ChatRequest(messages="a", model="m", seed=seed) for seed in range(2000)]

    found = [templates.drawn(request, "q") is not None for request in requests]

    assert found == [True] * 256 + [False] * 1744
