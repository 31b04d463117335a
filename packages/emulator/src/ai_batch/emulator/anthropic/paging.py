"""Pages with cursors in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ai_batch.emulator.anthropic.errors import VendorError, not_found
from ai_batch.emulator.anthropic.records import BatchRecord

_DEFAULT = 20
_MOST = 1000


def page_of(
    batches: Sequence[BatchRecord], query: Mapping[str, str]
) -> tuple[Sequence[BatchRecord], bool]:
    """Return a page of batches (newest first), and whether there are more in its direction.

    `after_id` leads to older batches; `before_id` to the newer ones that are next to the cursor.
    What the vendor does with an unknown cursor is not known: here it is a 404.
    """
    limit = limit_of(query)
    before, after = query.get("before_id"), query.get("after_id")
    ids = [batch.id for batch in batches]
    for cursor in (before, after):
        if cursor is not None and cursor not in ids:
            raise not_found(cursor)
    if after is not None:
        batches = batches[ids.index(after) + 1 :]
    elif before is not None:
        newer = batches[: ids.index(before)]
        return newer[-limit:], len(newer) > limit
    return batches[:limit], len(batches) > limit


def limit_of(query: Mapping[str, str]) -> int:
    """Return the page size that was asked for."""
    text = query.get("limit")
    if text is None:
        return _DEFAULT
    try:
        limit = int(text)
    except ValueError:
        message = "limit: Input should be a valid integer, unable to parse string as an integer"
        raise VendorError(message) from None
    if limit < 1:
        raise VendorError("limit: Input should be greater than or equal to 1")
    if limit > _MOST:
        raise VendorError(f"limit: Input should be less than or equal to {_MOST}")
    return limit
