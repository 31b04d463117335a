"""The lines that a batch is kept as, and the rows of its results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.anthropic.errors import error_body, errored_item
from ai_batch.emulator.damage import RowShape
from ai_batch.emulator.execution import Reason, Row
from ai_batch.emulator.json_types import JsonObject, as_object, decode, encode

ENDPOINT = "/v1/messages"
ROW_SHAPE = RowShape(
    id_path=("custom_id",),
    body_path=("result", "message"),
    without_status={"result": None},
    of_unknown_kind={"result": {"type": "unheard_of"}},
)
_NOT_EXECUTED: dict[Reason, bytes] = {"cancelled": b"canceled", "expired": b"expired"}


class _Line(msgspec.Struct):
    custom_id: str
    params: dict[str, Any]


class _Id(msgspec.Struct):
    custom_id: str


class AnthropicWire:
    """The rows of one batch, which are checked when they run."""

    def __init__(self, batch_id: str, refusal: Callable[[JsonObject], Answered | None]) -> None:
        self._batch_id = batch_id.removeprefix("msgbatch_")
        self._refusal = refusal
        self._decoder = msgspec.json.Decoder(_Line)
        self._id_decoder = msgspec.json.Decoder(_Id)

    def read(self, line: bytes) -> Row:
        """Read a line; what the vendor would refuse is refused here."""
        try:
            found = self._decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            # The syntax was checked at once, but not how deep values are, or how large.
            custom_id = self._id_decoder.decode(line).custom_id
            refused = Answered(400, encode(error_body(400, f"params: {error}")))
            return Row(custom_id.encode(), ENDPOINT, {}, refused)
        body = found.params
        return Row(found.custom_id.encode(), ENDPOINT, body, self._refusal(body))

    def answered(self, index: int, line: bytes, row: Row, answered: Answered) -> bytes:
        """Return the row of a request that was executed: succeeded or errored."""
        if answered.ok:
            return b'{"custom_id":"%b","result":{"type":"succeeded","message":%b}}\n' % (
                row.id,
                answered.body,
            )
        worker_id = f"workerreq_{self._batch_id}{index:06d}"
        error = errored_item(answered.status, as_object(decode(answered.body)), worker_id)
        return b'{"custom_id":"%b","result":{"type":"errored","error":%b}}\n' % (
            row.id,
            encode(error),
        )

    def not_executed(self, index: int, line: bytes, reason: Reason) -> bytes:
        """Return the row of a request that was not executed: canceled or expired."""
        return b'{"custom_id":"%b","result":{"type":"%b"}}\n' % (
            self._id_decoder.decode(line).custom_id.encode(),
            _NOT_EXECUTED[reason],
        )
