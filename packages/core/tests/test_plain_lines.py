"""Lines that are read in one go become the same requests as field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_batch.core import ChatRequest
from ai_batch.core.plain_lines import read_plain_fields, read_plain_line

words = st.text(max_size=20).filter(lambda text: text.isprintable())
turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": words}
)
lines = st.fixed_dictionaries(
    {"messages": st.lists(turns, max_size=4) | words},
    optional={
        "id": st.none() | words,
        "model": st.none() | words,
        "metadata": st.none() | st.dictionaries(words, words, max_size=2),
        "max_tokens": st.none() | st.integers(),
        "temperature": st.none() | st.integers(-3, 3) | st.floats(allow_nan=False),
        "top_p": st.floats(0, 1),
        "stop": st.none() | st.lists(words, max_size=2),
        "seed": st.integers(),
        "tool_choice": words,
        "reasoning_effort": words,
    },
)


@given(fields=lines)
def test_a_plain_line_is_the_request_that_pydantic_makes_of_it(fields: dict[str, Any]) -> None:
    """Whatever its texts and numbers are."""
    line = json.dumps(fields, allow_nan=True).encode()

    found = read_plain_line(line)

    if found is not None:
        made = found.request()
        expected = ChatRequest.model_validate(json.loads(line))
        assert made == expected
        assert made.model_dump_json() == expected.model_dump_json()
        assert repr(made) == repr(expected)


odd: st.SearchStrategy[Any] = st.sampled_from(
    ["5", 5, 5.0, True, None, [], (), {}, ["a"], ("a", "b"), "", "tool", float("inf")]
)


@given(fields=lines, name=st.sampled_from(sorted(ChatRequest.model_fields)), value=odd)
def test_plain_fields_are_the_request_that_pydantic_makes_of_them(
    fields: dict[str, Any], name: str, value: object
) -> None:
    """Whatever stands in one of them; what pydantic refuses is never taken for plain."""
    for given_fields in (fields, {**fields, name: value}):
        found = read_plain_fields(given_fields)

        if found is not None:
            assert found.request() == ChatRequest.model_validate(given_fields)


@pytest.mark.parametrize(
    "line",
    [
        b'{"messages": [{"role": "user", "content": "a"}], "id": "q", "temperature": 1}',
        b'{"messages": [{"role": "user", "content": "\xc3\xbc"}], "metadata": {"a": "b"}}',
        b'{"messages": []}',
        b'{"messages": "a"}',
    ],
)
def test_most_lines_are_plain(line: bytes) -> None:
    """So that the quick way is the usual one."""
    assert read_plain_line(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        b'{"messages": [{"role": "user", "parts": "a"}]}',
        b'{"messages": [{"role": "robot", "content": "a"}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}',
        b'{"messages": [], "id": 7}',
        b'{"messages": [], "stop": "a"}',
        b'{"messages": [], "max_tokens": "5"}',
        b'{"messages": [], "model_name": "a"}',
        b'{"messages": [], "tools": []}',
        b'{"texts": ["a"]}',
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b"[" * 100_000,
        b"",
    ],
)
def test_other_lines_are_read_field_by_field(line: bytes) -> None:
    """What has to be converted, or is wrong, is pydantic's to judge."""
    assert read_plain_line(line) is None
