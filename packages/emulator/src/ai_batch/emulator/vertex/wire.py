"""The lines of inputs and predictions, as Vertex AI writes them."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.execution import Reason, Row
from ai_batch.emulator.gemini.dialect import EMBED_CONTENT, endpoint_of
from ai_batch.emulator.gemini.errors import error_body
from ai_batch.emulator.gemini.fields import (
    EMBED,
    GENERATE,
    MessageReader,
    UnknownField,
)
from ai_batch.emulator.gemini.wire import known_by
from ai_batch.emulator.json_types import (
    JsonObject,
    JsonValue,
    as_count,
    as_object,
    as_text,
    decode,
    encode,
)

_BETWEEN = b"\0"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_line(line: bytes) -> bool:
    """Tell whether a line of an input is an object."""
    try:
        _members.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def status_text(answered: Answered) -> str:
    """Return what the status of a failed line says."""
    known = {each.value: each.phrase for each in HTTPStatus}
    phrase = known.get(answered.status, "Error")
    return f"{phrase}: {answered.body.decode(errors='replace')}"


def refused(message: str) -> Answered:
    """Return the answer to a request that cannot be read."""
    return Answered(400, encode(error_body(400, message)))


class PredictionWire:
    """Lines with a `request`; all else in them comes back as it is."""

    def __init__(self, model: str, method: str, processed_time: str) -> None:
        self._endpoint = endpoint_of(model, method)
        self._reader = MessageReader(EMBED if method == EMBED_CONTENT else GENERATE)
        self._head = b',"processed_time":"%b","request":' % processed_time.encode()

    def read(self, line: bytes) -> Row:
        """Read an input line; its id is all of it as it was written: request, and what is beside.

        No JSON has the byte between them.
        """
        members = _members.decode(line)
        request = bytes(members.pop("request", b"null"))
        beside = b"".join(b",%b:%b" % (encode(name), raw) for name, raw in members.items())
        row_id = request + _BETWEEN + beside
        body = decode(request)
        if not isinstance(body, dict):
            return Row(row_id, self._endpoint, {}, refused("The line has no request."))
        try:
            found = self._reader.read(request, body)
        except UnknownField as error:
            return Row(row_id, self._endpoint, known_by(body), refused(str(error)))
        return Row(row_id, self._endpoint, known_by(found))

    def answered(self, index: int, line: bytes, row: Row, answered: Answered) -> bytes:
        """Return the line of a request that was executed."""
        request, _, beside = row.id.partition(_BETWEEN)
        status = b'""' if answered.ok else encode(status_text(answered))
        response = answered.body if answered.ok else b"{}"
        parts = (b'{"status":', status, self._head, request, b',"response":', response)
        return b"".join((*parts, beside, b"}\n"))

    def not_executed(self, index: int, line: bytes, reason: Reason) -> bytes:
        """Return nothing: a request that was not executed has no line."""
        return b""


class InstanceWire:
    """The lines of older embedding models: instances, and what was predicted of them.

    See https://docs.cloud.google.com/vertex-ai/generative-ai/docs/embeddings/batch-prediction-genai-embeddings.
    """

    def __init__(self, model: str) -> None:
        self._endpoint = endpoint_of(model, EMBED_CONTENT)

    def read(self, line: bytes) -> Row:
        """Read an instance as the request that it stands for."""
        instance = as_object(decode(line))
        content = instance.get("content")
        if not isinstance(content, str):
            return Row(b"", self._endpoint, {}, refused("The instance has no content."))
        return Row(b"", self._endpoint, request_of(instance, {}))

    def answered(self, index: int, line: bytes, row: Row, answered: Answered) -> bytes:
        """Return the line of an instance that was looked at."""
        instance = line.strip()
        if not answered.ok:
            status = encode(status_text(answered))
            return b'{"instance":%b,"predictions":[],"status":%b}\n' % (instance, status)
        predictions = encode([prediction_of(decode(answered.body))])
        return b'{"instance":%b,"predictions":%b,"status":""}\n' % (instance, predictions)

    def not_executed(self, index: int, line: bytes, reason: Reason) -> bytes:
        """Return nothing: an instance that was not looked at has no line."""
        return b""


def request_of(instance: JsonObject, parameters: JsonObject) -> JsonObject:
    """Return an instance of `predict` as a request of `embedContent`."""
    content: JsonObject = {"parts": [{"text": as_text(instance.get("content"))}]}
    request: JsonObject = {"content": content}
    task = instance.get("task_type", instance.get("taskType"))
    if task is not None:
        request["taskType"] = task
    if instance.get("title") is not None:
        request["title"] = instance["title"]
    size = parameters.get("outputDimensionality", parameters.get("output_dimensionality"))
    return request if size is None else {**request, "outputDimensionality": size}


def prediction_of(body: JsonValue) -> JsonObject:
    """Return an answer of `embedContent` as a prediction."""
    found = as_object(body)
    count = found.get("tokenCount")
    tokens = int(count) if isinstance(count, str) and count.isdecimal() else as_count(count)
    statistics: JsonObject = {"token_count": tokens or 0, "truncated": False}
    values = as_object(found.get("embedding")).get("values")
    return {"embeddings": {"statistics": statistics, "values": values}}
