"""Tolerant reading of JSON, and merging."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_batch.core.wire_json import as_object, decoded, merged, tolerant, unwritable


class Inner(msgspec.Struct):
    number: int = 0


class Outer(msgspec.Struct):
    text: str | None = None
    inner: Inner | None = None
    several: list[Inner] | None = None


DECODER = msgspec.json.Decoder(Outer)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"text":"a","inner":{"number":1}}', Outer("a", Inner(1))),
        (b'{"text":1,"inner":{"number":1}}', Outer(None, Inner(1))),
        (b'{"inner":{"number":"7"}}', Outer(None, Inner(7))),
        (b'{"inner":{"number":7.0}}', Outer(None, Inner(7))),
        (b'{"inner":{"number":7.5}}', Outer(None, Inner(0))),
        (b'{"inner":[],"text":"a"}', Outer("a")),
        (b'{"several":[1,{"number":2},null]}', Outer(None, None, [Inner(2)])),
        (b'{"unknown":[]}', Outer()),
        (b'{"unknown":[1e999,-1e999],"text":1,"inner":{"number":1}}', Outer(None, Inner(1))),
        (b'{"inner":{"number":%b}}' % (b"1" * 5000), Outer(None, Inner(0))),
        (b'{"several":[{"number":1e999},{"number":2}]}', Outer(None, None, [Inner(0), Inner(2)])),
    ],
)
def test_odd_fields_count_as_absent(data: bytes, expected: Outer) -> None:
    """One field of a wrong type leaves the others as they are."""
    assert tolerant(DECODER, data) == expected


@pytest.mark.parametrize(
    "data", [b'{"a":1e999,"b":NaN}', b"[]", b"1", b'"x"', b"null", b"", b"{", b'{"text":"\\ud800"}']
)
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Where nothing can be saved, it is a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        tolerant(DECODER, data)


def test_deep_nesting_is_a_value_error() -> None:
    """A RecursionError of msgspec's is no ValueError; here it becomes one."""
    with pytest.raises(ValueError, match="nested too deeply"):
        decoded(DECODER, b'{"x":' + b"[" * 100_000)


@settings(deadline=None)  # The machine may be busy.
@given(st.dictionaries(st.sampled_from(["text", "inner", "several", "number"]), json_values))
def test_any_object_can_be_read(value: dict[str, Any]) -> None:
    """However the fields are filled, an object comes out and nothing but ValueError is raised."""
    assert isinstance(tolerant(DECODER, msgspec.json.encode(value)), Outer)


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"a":1}', {"a": 1}), ("[]", None), ("", None), ("{", None), ("[" * 100_000, None)],
)
def test_as_object(text: str, expected: object) -> None:
    """Only a JSON object is one."""
    assert as_object(text) == expected


def test_merged_goes_into_objects() -> None:
    """Objects on both sides are merged, all else is replaced, and neither side is changed."""
    base = {"a": {"b": 1, "c": 2}, "d": [1], "e": {"f": 1}}
    extra = {"a": {"c": 3}, "d": [2], "e": None, "g": 1}

    assert merged(base, extra) == {"a": {"b": 1, "c": 3}, "d": [2], "e": None, "g": 1}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1], "e": {"f": 1}}
    assert extra == {"a": {"c": 3}, "d": [2], "e": None, "g": 1}


def nested(depth: int) -> dict[str, Any]:
    """Objects within objects."""
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("value", "writable"),
    [
        ({"a": [1, "x", None, True, 1.5]}, True),
        ({"a": float("nan")}, False),
        ({"a": float("inf")}, False),
        ({"a": object()}, False),
        ({"a": {1, 2}}, False),
        ({"a": "\ud800"}, False),
        (nested(100_000), False),
    ],
)
def test_what_cannot_be_written_is_told(value: dict[str, Any], writable: bool) -> None:
    """Encoding would fail, or (NaN) write another value."""
    reason = unwritable(value)
    assert (reason is None) is writable
    assert writable or "can't be written as JSON" in (reason or "")
