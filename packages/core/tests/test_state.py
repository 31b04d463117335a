"""Shard states and tokens."""

from __future__ import annotations

import re

import pytest

from ai_batch.core.state import HOLDS_BUDGET, MOVES, TERMINAL, ShardState, token_for


def test_every_state_has_its_moves() -> None:
    """No state is forgotten in the table."""
    assert set(MOVES) == set(ShardState)


def test_terminal_states_are_left_by_no_move() -> None:
    """What has a result keeps it."""
    assert {state for state, to in MOVES.items() if not to} == TERMINAL


@pytest.mark.parametrize("state", [state for state in ShardState if state not in TERMINAL])
def test_every_state_leads_to_an_end(state: ShardState) -> None:
    """From wherever a shard stands, some way leads to a result."""
    seen = {state}
    while more := {to for one in seen for to in MOVES[one]} - seen:
        seen |= more

    assert seen >= TERMINAL


def test_nothing_is_created_without_an_intent() -> None:
    """Only the intent leads to submitted, and only room in the queue leads there."""
    assert {one for one, to in MOVES.items() if ShardState.SUBMITTED in to} == {ShardState.INTENT}
    assert {ShardState.INTENT, ShardState.SUBMITTED} <= HOLDS_BUDGET


def test_tokens_are_derived_and_differ() -> None:
    """The same submission always has the same token, any other one another."""
    token = token_for("store", "job", "0001", 1)

    assert token == token_for("store", "job", "0001", 1)
    others = [("other", "job", "0001", 1), ("store", "other", "0001", 1)]
    others += [("store", "job", "0002", 1), ("store", "job", "0001", 2)]
    assert len({token, *(token_for(*other) for other in others)}) == 5


def test_a_token_fits_every_vendor() -> None:
    """Sixteen lower-case letters and digits: with an index behind, far below 64 characters."""
    assert re.fullmatch(r"[a-z2-7]{16}", token_for("store", "job", "0001-2-r3", 12))
