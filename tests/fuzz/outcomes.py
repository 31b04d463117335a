"""What has to hold of whatever a decoder gives."""

from __future__ import annotations

import json
import struct
from typing import get_args

from ai_batch.concurrent.rows import decode_row, encode_row, scan_row
from ai_batch.core.accounting import dump_local, load_local
from ai_batch.core.provider import Scan
from ai_batch.core.results import (
    ChatResponse,
    EmbeddingResponse,
    FinishReason,
    ItemError,
    Outcome,
    Usage,
)
from ai_batch.core.wire_parts import usage_tokens

__all__ = ["check_agreement", "check_outcome"]

REASONS = frozenset(get_args(FinishReason))


def check_outcome(outcome: Outcome) -> None:
    """It is whole: all of it can be read, shown, and written to disk and back."""
    assert repr(outcome)
    if isinstance(outcome, ItemError):
        assert outcome.code
        assert outcome.message
        assert str(outcome)
        assert load_local(dump_local(0, outcome)) == outcome
    else:
        _check_answer(outcome)
    _check_row(outcome)


def _check_answer(answer: ChatResponse | EmbeddingResponse) -> None:
    if answer.body:
        assert isinstance(answer.raw, dict)
    if isinstance(answer, ChatResponse):
        assert answer.finish_reason in REASONS
        assert json.loads(answer.model_dump_json())["content"] == answer.content
    else:
        assert answer.count > 0
        assert answer.dimensions > 0
        assert len(answer.data) == 4 * answer.count * answer.dimensions
        assert [len(vector) for vector in answer.vectors] == [answer.dimensions] * answer.count
    assert answer.usage + Usage() == answer.usage


def _check_row(outcome: Outcome) -> None:
    row = encode_row("token-1", outcome, 2)
    assert b"\n" not in row
    wire_id, again = decode_row(row)
    assert wire_id == "token-1"
    assert type(again) is type(outcome)
    # A vendor's body is kept without its line ends; vectors may hold NaN, which no NaN equals.
    same: dict[str, object] = {"body": b"", "body_at": ()}
    if isinstance(outcome, ChatResponse):
        same |= {"parsed": None}
    if isinstance(outcome, EmbeddingResponse):
        assert isinstance(again, EmbeddingResponse)
        assert struct.pack("<I", again.count) + again.data == (
            struct.pack("<I", outcome.count) + outcome.data
        )
        same |= {"data": b""}
    assert again.model_copy(update=same) == outcome.model_copy(update=same)
    check_agreement(scan_row(row), (wire_id, again))


def check_agreement(scan: Scan, decoded: tuple[str, Outcome]) -> None:
    """What is counted when a batch is accounted for is what the user gets."""
    wire_id, outcome = decoded
    assert scan.wire_id == wire_id
    if isinstance(outcome, ItemError):
        assert scan.error == outcome
        assert scan[2:] == (0, 0, 0, 0, 0)
    else:
        assert scan.error is None
        assert scan[2:] == usage_tokens(outcome.usage)
