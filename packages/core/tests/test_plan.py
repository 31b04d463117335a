"""Cutting requests into shards."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ai_batch.core.plan import Draft, ShardCutter
from ai_batch.core.provider import Limits, Route

ROUTES = [Route("chat", "/chat", "a"), Route("chat", "/chat", "b"), Route("embedding", "/e", "c")]


class Item(NamedTuple):
    route: Route
    size: int
    inputs: int
    tokens: int


items = st.builds(
    Item, st.sampled_from(ROUTES), st.integers(1, 50), st.integers(0, 5), st.integers(0, 60)
)
limits = st.builds(
    Limits,
    max_requests=st.integers(1, 5),
    max_bytes=st.integers(50, 120),
    max_inputs=st.none() | st.integers(5, 9),
    max_tokens=st.none() | st.integers(20, 80),
)


def cut(work: list[Item], limit: Limits) -> list[Draft]:
    """All shards of the items, in order."""
    cutter = ShardCutter(lambda _: limit)
    drafts: dict[int, Draft] = {}
    for index, item in enumerate(work):
        draft, _ = cutter.place(index, item.route, item.size, item.inputs, item.tokens)
        drafts[draft.seq] = draft
    return [drafts[seq] for seq in sorted(drafts)]


def members(draft: Draft) -> list[int]:
    """The indices in a shard."""
    return list(draft.members) or list(range(draft.first_index, draft.last_index + 1))


@given(st.lists(items), limits)
def test_every_request_is_in_exactly_one_shard_and_in_order(
    work: list[Item], limit: Limits
) -> None:
    """No request is left out, doubled or moved, and each is on its own route."""
    drafts = cut(work, limit)

    assert sorted(index for draft in drafts for index in members(draft)) == list(range(len(work)))
    for draft in drafts:
        assert members(draft) == sorted(members(draft))
        assert {work[index].route for index in members(draft)} == {draft.route}


@given(st.lists(items), limits)
def test_no_limit_is_exceeded(work: list[Item], limit: Limits) -> None:
    """A shard keeps to all limits; only a request with too many tokens by itself goes alone."""
    for draft in cut(work, limit):
        held = [work[index] for index in members(draft)]
        assert draft.count == len(held) <= limit.max_requests
        assert draft.bytes == sum(item.size for item in held) <= limit.max_bytes
        assert draft.inputs == sum(item.inputs for item in held)
        assert limit.max_inputs is None or draft.inputs <= limit.max_inputs
        assert draft.tokens == sum(item.tokens for item in held)
        assert limit.max_tokens is None or draft.tokens <= limit.max_tokens or draft.count == 1


@given(st.lists(items), limits)
def test_a_shard_is_closed_only_when_the_next_request_does_not_fit(
    work: list[Item], limit: Limits
) -> None:
    """Batches are scarce: no shard is cut before one of its limits is reached."""
    cutter = ShardCutter(lambda _: limit)
    for index, item in enumerate(work):
        _, closed = cutter.place(index, item.route, item.size, item.inputs, item.tokens)
        if closed is not None:
            assert not closed.fits(limit, item.size, item.inputs, item.tokens)


def test_shards_are_named_by_number() -> None:
    """The stem of a shard's files has four digits, so that files sort as shards do."""
    drafts = cut([Item(ROUTES[0], 10, 0, 0)] * 3, Limits(max_requests=1, max_bytes=100))

    assert [draft.name for draft in drafts] == ["0001", "0002", "0003"]


def test_the_limits_of_a_route_are_asked_for_once() -> None:
    """A provider may take its time to find out its limits."""
    asked: list[Route] = []

    def limits_of(route: Route) -> Limits:
        asked.append(route)
        return Limits(max_requests=1, max_bytes=100)

    cutter = ShardCutter(limits_of)
    for index in range(5):
        cutter.place(index, ROUTES[0], 10, 0, 0)

    assert asked == [ROUTES[0]]
