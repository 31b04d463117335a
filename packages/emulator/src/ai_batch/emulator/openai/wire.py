"""The lines of an input file and the rows of result files, as OpenAI writes them."""

from __future__ import annotations

import msgspec

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.damage import RowShape
from ai_batch.emulator.execution import Reason, Row
from ai_batch.emulator.json_types import as_object, decode

_NOT_EXECUTED: dict[Reason, tuple[bytes, bytes]] = {
    "expired": (
        b"batch_expired",
        b"This request could not be executed before the completion window expired.",
    ),
    "cancelled": (
        b"batch_cancelled",
        b"This request was not executed because the batch was cancelled.",
    ),
}

ROW_SHAPE = RowShape(
    id_path=("custom_id",),
    body_path=("response", "body"),
    without_status={"response": {"status_code": 0, "request_id": None, "body": None}},
    of_unknown_kind={"response": None, "error": {"code": "unheard_of", "message": "New."}},
)


class _Line(msgspec.Struct):
    custom_id: msgspec.Raw
    body: msgspec.Raw


class OpenAIWire:
    """The rows of one batch."""

    def __init__(self, batch_id: str, endpoint: str) -> None:
        self._prefix = batch_id[-24:].encode()
        self._endpoint = endpoint
        self._decoder = msgspec.json.Decoder(_Line)

    def read(self, line: bytes) -> Row:
        """Read an input line, which was found to be good before."""
        found = self._decoder.decode(line)
        return Row(bytes(found.custom_id), self._endpoint, as_object(decode(found.body)))

    def answered(self, index: int, line: bytes, row: Row, answered: Answered) -> bytes:
        """Return the result row of a request that was executed."""
        return (
            b'{"id":"batch_req_%b%08x","custom_id":%b,"response":{"status_code":%d,'
            b'"request_id":"%b%08x","body":%b},"error":null}\n'
        ) % (self._prefix, index, row.id, answered.status, self._prefix, index, answered.body)

    def not_executed(self, index: int, line: bytes, reason: Reason) -> bytes:
        """Return the row of a request that was not executed."""
        custom_id = bytes(self._decoder.decode(line).custom_id)
        return (
            b'{"id":"batch_req_%b%08x","custom_id":%b,"response":null,'
            b'"error":{"code":"%b","message":"%b"}}\n'
        ) % (self._prefix, index, custom_id, *_NOT_EXECUTED[reason])
