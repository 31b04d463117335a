"""Validation of an input file, line by line; nothing here touches a disk or a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, decode
from ai_batch.emulator.openai.records import LineError

MAX_ERRORS = 100
"""So many bad lines are reported. Where the vendor stops is not known."""

_NOT_JSON = "This line is not parseable as valid JSON."
_NAMES = {
    "/v1/chat/completions": "Chat Completions",
    "/v1/responses": "Responses",
    "/v1/completions": "Completions",
}
REQUIRED = {
    "/v1/chat/completions": "messages",
    "/v1/responses": "input",
    "/v1/embeddings": "input",
    "/v1/completions": "prompt",
    "/v1/moderations": "input",
    "/v1/images/generations": "prompt",
    "/v1/images/edits": "prompt",
    "/v1/videos": "prompt",
}


_ABSENT = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT
    stream: bool | None = None


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: _Body


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file is checked against."""

    endpoint: str
    max_requests: int
    max_embedding_inputs: int
    known_model: Callable[[str], bool]


@dataclass(slots=True)
class Inspection:
    """What was found in a file."""

    total: int = 0
    model: str | None = None
    tokens: int = 0
    inputs: int = 0
    errors: list[LineError] = field(default_factory=list[LineError])


def inspect_lines(lines: Iterable[bytes], rules: Rules) -> Inspection:
    """Read a whole file, and report every bad line (the first 100)."""
    inspection = Inspection()
    checker = _Checker(rules, inspection)
    for number, line in enumerate(lines, start=1):
        inspection.total = number
        if number <= rules.max_requests and len(inspection.errors) < MAX_ERRORS:
            inspection.errors.extend(checker.check(number, line))
    inspection.errors.extend(_totals(inspection, rules))
    return inspection


def _totals(inspection: Inspection, rules: Rules) -> Iterable[LineError]:
    # The vendor's codes for these two were never captured; the words are those of its guide.
    if inspection.total > rules.max_requests:
        message = (
            f"This batch has {inspection.total} requests. "
            f"The maximum number of requests per batch is {rules.max_requests}."
        )
        yield LineError("too_many_requests", message)
    if rules.endpoint == "/v1/embeddings" and inspection.inputs > rules.max_embedding_inputs:
        message = (
            f"This batch has {inspection.inputs} embedding inputs. "
            f"The maximum number of embedding inputs per batch is {rules.max_embedding_inputs}."
        )
        yield LineError("too_many_embedding_inputs", message)
    if inspection.total == 0:
        message = (
            "The input file is empty. Please ensure that the batch contains at least one request."
        )
        yield LineError("empty_file", message)


class _Checker:
    def __init__(self, rules: Rules, inspection: Inspection) -> None:
        self._rules = rules
        self._inspection = inspection
        self._required = REQUIRED[rules.endpoint]
        self._embeddings = rules.endpoint == "/v1/embeddings"
        self._ids: set[str] = set()
        self._model_known = False
        self._decoder = msgspec.json.Decoder(_Line)

    def check(self, number: int, line: bytes) -> list[LineError]:
        """Return what is wrong with a line. A well-formed line takes the short way."""
        try:
            parsed = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._describe(number, line)
        errors = [] if self._is_plain(parsed) else self._describe(number, line)
        if not errors:
            self._ids.add(parsed.custom_id)
            self._count(getattr(parsed.body, self._required))
        return errors

    def _is_plain(self, line: _Line) -> bool:
        """Tell whether nothing is wrong with a line, as with almost all."""
        return (
            self._model_known
            and line.body.model == self._inspection.model
            and line.custom_id not in self._ids
            and line.method == "POST"
            and line.url == self._rules.endpoint
            and not line.body.stream
            and bytes(getattr(line.body, self._required)) != b"null"
        )

    def _count(self, prompt: msgspec.Raw) -> None:
        self._inspection.tokens += len(bytes(prompt)) // 4
        if self._embeddings:
            self._inspection.inputs += input_count(decode(prompt))

    def _describe(self, number: int, line: bytes) -> list[LineError]:
        try:
            value = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [LineError("invalid_json_line", _NOT_JSON, None, number)]
        if not isinstance(value, dict):
            return [LineError("invalid_json_line", _NOT_JSON, None, number)]
        error = self._envelope(number, value)
        return [error] if error is not None else self._body(number, value["body"])

    def _envelope(self, number: int, line: JsonObject) -> LineError | None:
        for name in ("custom_id", "method", "url", "body"):
            if line.get(name) is None:
                return _missing(name, name, number)
        custom_id = line["custom_id"]
        if not isinstance(custom_id, str):
            return _wrong_type("custom_id", "a string", number)
        if custom_id in self._ids:
            message = (
                f"The custom_id '{custom_id}' for this request is a duplicate "
                "of the custom_id in another request."
            )
            return LineError("duplicate_custom_id", message, "custom_id", number)
        self._ids.add(custom_id)
        if line["method"] != "POST":
            message = f"Invalid value: '{line['method']}'. Supported values are: 'POST'."
            return LineError("invalid_value", message, "method", number)
        if line["url"] != self._rules.endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            return LineError("invalid_url", message, "url", number)
        return None

    def _body(self, number: int, body: JsonValue) -> list[LineError]:
        if not isinstance(body, dict):
            return [_wrong_type("body", "an object", number)]
        error = self._model(number, body.get("model"))
        if error is None and body.get("stream"):
            name = _NAMES.get(self._rules.endpoint, "This endpoint")
            message = f"{name}: Streaming is not supported in the Batch API."
            error = LineError("streaming_unsupported", message, "body.stream", number)
        if error is None and body.get(self._required) is None:
            error = _missing(self._required, f"body.{self._required}", number)
        return [] if error is None else [error]

    def _model(self, number: int, model: JsonValue) -> LineError | None:
        if not isinstance(model, str) or not model:
            return LineError(
                "invalid_request", "Model parameter is required.", "body.model", number
            )
        first = self._inspection.model
        if first is None:
            self._inspection.model = model
        elif model != first:
            message = (
                f"The model '{model}' of this request does not match the model '{first}' "
                "of the batch: all requests must use the same model."
            )
            return LineError("mismatched_model", message, "body.model", number)
        if not self._rules.known_model(model):
            message = f"The provided model '{model}' is not supported by the Batch API."
            return LineError("model_not_found", message, "body.model", number)
        self._model_known = True
        return None


def _missing(name: str, param: str, number: int) -> LineError:
    message = f"Missing required parameter: '{name}'."
    return LineError("missing_required_parameter", message, param, number)


def _wrong_type(name: str, expected: str, number: int) -> LineError:
    return LineError(
        "invalid_type", f"Invalid type for '{name}': expected {expected}.", name, number
    )


def input_count(value: JsonValue) -> int:
    """Return how many texts an embedding request has: a list of tokens is one text."""
    items = as_list(value)
    return len(items) if items and not isinstance(items[0], int) else 1
