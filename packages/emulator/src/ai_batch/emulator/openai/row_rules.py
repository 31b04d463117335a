"""Parameter values that the models refuse: found when a row runs, not when a batch is validated."""

from __future__ import annotations

import re

from ai_batch.emulator.answers import Answered
from ai_batch.emulator.json_types import JsonObject, JsonValue, as_list, as_object, encode
from ai_batch.emulator.openai.errors import failure_body
from ai_batch.emulator.openai.lines import REQUIRED, input_count
from ai_batch.emulator.openai.schema_rules import schema_fault

_REASONING = re.compile(r"(o\d|gpt-[5-9]|gpt-\d\d)")
_MAX_INPUTS = 2048
_MAX_INPUT_TOKENS = 8192
_MAX_REQUEST_TOKENS = 300_000


def is_reasoning(model: str) -> bool:
    """Tell whether the model is of the reasoning class (o-series, GPT-5 and later)."""
    return _REASONING.match(model) is not None


def refusal(endpoint: str, body: JsonObject) -> Answered | None:
    """Return the 400 that a request gets, or None if it is fine."""
    refused = _refusal(endpoint, body)
    return None if refused is None else Answered(400, encode(refused))


def _refusal(endpoint: str, body: JsonObject) -> JsonObject | None:
    required = REQUIRED[endpoint]
    if body.get(required) is None:
        code = "missing_required_parameter"
        return _refused(f"Missing required parameter: '{required}'.", required, code)
    if endpoint == "/v1/embeddings":
        return _embeddings(body)
    if endpoint not in {"/v1/chat/completions", "/v1/responses", "/v1/completions"}:
        return None
    return (
        _range(body, "temperature", 2)
        or _range(body, "top_p", 1)
        or _reasoning(endpoint, body)
        or _schema(endpoint, body)
    )


def _schema(endpoint: str, body: JsonObject) -> JsonObject | None:
    found = schema_fault(endpoint, body)
    if found is None:
        return None
    message, param = found
    return _refused(message, param, "invalid_json_schema" if "." in param else None)


def _refused(message: str, param: str, code: str | None) -> JsonObject:
    return failure_body(message, "invalid_request_error", param, code)


def _range(body: JsonObject, name: str, most: int) -> JsonObject | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _refused(f"Invalid type for '{name}': expected a decimal.", name, "invalid_type")
    if 0 <= value <= most:
        return None
    bound, word = ("min", "below minimum") if value < 0 else ("max", "above maximum")
    limit = f"{'>= 0' if value < 0 else f'<= {most}'}"
    message = (
        f"Invalid '{name}': decimal {word} value. Expected a value {limit}, "
        f"but got {value} instead."
    )
    code = f"decimal_{'below' if bound == 'min' else 'above'}_{bound}_value"
    return _refused(message, name, code)


def _reasoning(endpoint: str, body: JsonObject) -> JsonObject | None:
    if not is_reasoning(str(body.get("model"))):
        return None
    if endpoint == "/v1/chat/completions" and body.get("max_tokens") is not None:
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead."
        )
        return _refused(message, "max_tokens", "unsupported_parameter")
    temperature = body.get("temperature")
    if temperature in (None, 1) or _effort(body) == "none":
        return None
    message = (
        f"Unsupported value: 'temperature' does not support {temperature} with this model. "
        "Only the default (1) value is supported."
    )
    return _refused(message, "temperature", "unsupported_value")


def _effort(body: JsonObject) -> JsonValue:
    return body.get("reasoning_effort") or as_object(body.get("reasoning")).get("effort")


def _embeddings(body: JsonObject) -> JsonObject | None:
    value = body["input"]
    texts = as_list(value) if isinstance(value, list) else [value]
    if not texts or any(text in ("", []) for text in texts):
        message = "Invalid 'input': input cannot be an empty string."
        return _refused(message, "input", "invalid_value" if texts else "empty_array")
    if input_count(value) > _MAX_INPUTS:
        message = (
            f"Invalid 'input': maximum array length is {_MAX_INPUTS}, got {input_count(value)}."
        )
        return _refused(message, "input", "array_above_max_length")
    tokens = [len(text.encode()) // 4 for text in texts if isinstance(text, str)]
    if any(count > _MAX_INPUT_TOKENS for count in tokens):
        message = f"This model's maximum context length is {_MAX_INPUT_TOKENS} tokens."
        return _refused(message, "input", "context_length_exceeded")
    if sum(tokens) > _MAX_REQUEST_TOKENS:
        message = f"Requested {sum(tokens)} tokens, max {_MAX_REQUEST_TOKENS} tokens per request"
        return _refused(message, "input", "max_tokens_per_request")
    return _dimensions(body)


def _dimensions(body: JsonObject) -> JsonObject | None:
    if body.get("encoding_format") not in (None, "float", "base64"):
        message = "Invalid value for 'encoding_format': supported values are 'float' and 'base64'."
        return _refused(message, "encoding_format", "invalid_value")
    if body.get("dimensions") is not None and "ada-002" in str(body.get("model")):
        message = "This model does not support specifying dimensions."
        return _refused(message, "dimensions", "unsupported_parameter")
    return None
