"""Known inputs, and changed ones, against everything that reads what others have written."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, load_seeds

FEW = settings().max_examples // 4
"""Examples of each target: there are many, and `make fuzz` looks longer."""


@pytest.mark.parametrize("name", TARGETS)
def test_known_inputs_are_read(name: str) -> None:
    """What vendors answer, what users hand in, and what broke a reader once."""
    seeds = load_seeds(name)
    assert seeds
    for seed in seeds:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=FEW)
@given(data=st.data())
def test_changed_inputs_are_read(name: str, data: st.DataObject) -> None:
    """Another kind of value, a cut, a swap, broken text: nothing is raised, no promise broken."""
    seeds = st.sampled_from(load_seeds(name))
    random = Random(data.draw(st.integers(0, 2**64), label="seed of the changes"))
    changed = mutated(data.draw(seeds), data.draw(seeds), random)
    TARGETS[name](changed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=FEW)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read(name: str, data: bytes) -> None:
    """Bytes that are nothing at all are told, and raise nothing."""
    TARGETS[name](data)
