"""The lines of an input file and the rows of results, as the Developer API writes them."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.damage import RowShape
from ai_batch.emulator.execution import Reason, Row
from ai_batch.emulator.gemini.dialect import endpoint_of
from ai_batch.emulator.gemini.errors import error_body, rpc_status
from ai_batch.emulator.gemini.fields import EMBED, GENERATE, MessageReader, UnknownField
from ai_batch.emulator.json_types import JsonObject, as_object, as_text, decode, encode

KEY = "key"
METADATA = "metadata"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WIRE_LABEL = "ai_batch"

ROW_SHAPE = RowShape(
    id_path=(KEY,),
    body_path=("response",),
    without_status={"response": None},
    of_unknown_kind={"response": None, "novelty": {"unheard_of": True}},
)


INLINE_SHAPE = replace(ROW_SHAPE, id_path=(METADATA, KEY))
"""Inline responses have metadata, in which clients keep a key of their own."""


class NotALine(ValueError):
    """A line of an input file is no JSON object."""


def line_of(data: bytes) -> dict[str, msgspec.Raw]:
    """Read a line; one that is a bare request stands for a request without key."""
    try:
        found = _members.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotALine(str(error)) from None
    return found if "request" in found else {"request": msgspec.Raw(data.strip())}


def known_by(body: JsonObject) -> JsonObject:
    """Return what of a request is the item: not the model, nor a label that a client adds to it.

    The model is in the endpoint; a label whose key begins with `ai_batch` holds the request's id.
    """
    body.pop("model", None)
    if "labels" not in body:
        return body
    labels = as_object(body["labels"])
    if any(name.startswith(_WIRE_LABEL) for name in labels):
        kept = {name: value for name, value in labels.items() if not name.startswith(_WIRE_LABEL)}
        body = {**body, "labels": kept}
        if not kept:
            del body["labels"]
    return body


class GeminiWire:
    """The rows of one batch; `id_name` is what tells them apart, in and out."""

    def __init__(self, model: str, method: str, id_name: str = KEY) -> None:
        self._model = model
        self._method = method
        self._endpoint = endpoint_of(model, method)
        self._reader = MessageReader(EMBED if method == "embedContent" else GENERATE)
        self._id_name = id_name
        self._tail = b',"%b":' % id_name.encode()

    def read(self, line: bytes) -> Row:
        """Read an input line; a request with a field that there is not is refused."""
        found = line_of(line)
        row_id = bytes(found.get(self._id_name, b""))
        data = bytes(found["request"])
        request = decode(data)
        if not isinstance(request, dict):
            return Row(row_id, self._endpoint, {}, _refused("The request is not an object."))
        try:
            body = self._reader.read(data, request)
        except UnknownField as error:
            return Row(row_id, self._endpoint, known_by(request), _refused(str(error)))
        model = as_text(body.get("model")).removeprefix("models/") or self._model
        endpoint = self._endpoint if model == self._model else endpoint_of(model, self._method)
        return Row(row_id, endpoint, known_by(body))

    def answered(self, index: int, line: bytes, row: Row, answered: Answered) -> bytes:
        """Return the result row of a request that was executed; the key comes last."""
        tail = self._tail + row.id if row.id else b""
        if answered.ok:
            return b'{"response":%b%b}\n' % (answered.body, tail)
        error = encode(rpc_status(answered.status, decode(answered.body)))
        return b'{"error":%b%b}\n' % (error, tail)

    def not_executed(self, index: int, line: bytes, reason: Reason) -> bytes:
        """Return nothing: a request that was not executed has no row."""
        return b""


def _refused(message: str) -> Answered:
    return Answered(400, encode(error_body(400, message)))
