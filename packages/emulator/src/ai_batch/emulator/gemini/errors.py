"""Errors as Google's APIs word them: `{"error": {code, message, status, details}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_count, as_object, as_text, encode
from ai_batch.emulator.route import Refused

# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RPC_CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    409: 6,
    429: 8,
    499: 1,
    500: 13,
    501: 12,
    503: 14,
    504: 4,
}
_MESSAGES = {
    401: "Request had invalid authentication credentials.",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    409: "Requested entity already exists",
    429: "You exceeded your current quota, please check your plan and billing details.",
    500: "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting",
    503: "The model is overloaded. Please try again later.",
    504: "Deadline expired before operation could complete.",
}
_HELP: JsonObject = {
    "@type": "type.googleapis.com/google.rpc.Help",
    "links": [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ],
}


class GoogleError(Refused):
    """The call is answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        name: str | None = None,
        details: Sequence[JsonObject] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.name = name
        self.details = list(details)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        body = error_body(self.status, self.message, self.name, self.details)
        return Response(encode(body), self.status, self.headers, "application/json; charset=UTF-8")


def error_body(
    status: int, message: str, name: str | None = None, details: Sequence[JsonObject] = ()
) -> JsonObject:
    """Return the JSON of an error; its name is the usual one of its status, unless given."""
    name = name or _STATUS_NAMES.get(status, "INTERNAL" if status >= 500 else "FAILED_PRECONDITION")
    error: JsonObject = {"code": status, "message": message, "status": name}
    if details:
        error["details"] = list[JsonValue](details)
    return {"error": error}


def error_of_status(status: int, retry_after: float | None = None) -> GoogleError:
    """Return the error that the vendor typically sends with a status, and when to come again."""
    details = [] if retry_after is None else [retry_info(retry_after)]
    return GoogleError(_MESSAGES.get(status, f"Error {status}."), status=status, details=details)


def exhausted(message: str = _MESSAGES[429], details: Sequence[JsonObject] = ()) -> GoogleError:
    """Return the 429 of a quota."""
    return GoogleError(message, status=429, details=[_HELP, *details])


def retry_info(seconds: float) -> JsonObject:
    """Return the detail that tells after how many seconds to come again."""
    # https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    delay = f"{seconds:.9f}".rstrip("0").rstrip(".")
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay}s"}


def rpc_status(status: int, body: JsonValue) -> JsonObject:
    """Return a failed item as a `google.rpc.Status`, whose codes are not those of HTTP."""
    error = as_object(as_object(body).get("error"))
    message = as_text(error.get("message")) or _MESSAGES.get(status, f"Error {status}.")
    code = as_count(error.get("code"))
    if code is None or code >= 100:
        code = _RPC_CODES.get(code or status, 13 if status >= 500 else 3)
    return {"code": code, "message": message}
