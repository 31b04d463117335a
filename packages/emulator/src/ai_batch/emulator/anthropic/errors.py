"""Errors as Anthropic words them: `{"type": "error", "error": {type, message}, "request_id"}`.

Source: https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from ai_batch.emulator.json_types import JsonObject, as_object, as_text, encode
from ai_batch.emulator.route import Refused

INVALID = "invalid_request_error"
_TYPES = {
    400: INVALID,
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: INVALID,
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_MESSAGES = {
    401: "API key is invalid.",
    402: "Your credit balance is too low to access the Anthropic API.",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit.",
    504: "Request timed out",
    529: "Overloaded",
}


class VendorError(Refused):
    """The call is answered with an error; `request_id` is set when it is known."""

    def __init__(
        self, message: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = dict(headers or {})
        self.request_id: str | None = None

    def response(self) -> Response:
        """Return the answer."""
        body = error_body(self.status, self.message)
        if self.status == 413:
            # Cloudflare answers in the vendor's place, with neither the outer type nor an id:
            # https://github.com/anthropics/anthropic-sdk-python/issues/938
            body = {"error": body["error"]}
        elif self.request_id is not None:
            body["request_id"] = self.request_id
        if self.request_id is not None:
            self.headers.setdefault("request-id", self.request_id)
        return Response(encode(body), self.status, self.headers, "application/json")


def type_of_status(status: int) -> str:
    """Return the type of the errors that have this status."""
    return _TYPES.get(status, "api_error" if status >= 500 else INVALID)


def error_body(status: int, message: str) -> JsonObject:
    """Return an error as it stands in the answer to a call."""
    return {"type": "error", "error": {"type": type_of_status(status), "message": message}}


def error_of_status(status: int) -> VendorError:
    """Return the error that the vendor typically sends with a status."""
    fallback = "Internal server error" if status >= 500 else f"Error {status}"
    return VendorError(_MESSAGES.get(status, fallback), status=status)


def not_found(batch_id: str) -> VendorError:
    """Return the 404 for a batch."""
    return VendorError(f"Message Batch {batch_id} not found.", status=404)


def errored_item(status: int, body: JsonObject, worker_id: str) -> JsonObject:
    """Return an error as it stands in a result row, whatever the answer to the item was.

    Errors of validation name no request there, those of execution name a worker's.
    """
    found = as_object(body.get("error"))
    details = as_object(found.get("details"))
    return {
        "type": "error",
        "error": {
            "details": {"error_visibility": "user_facing", **details},
            "type": as_text(found.get("type")) or type_of_status(status),
            "message": as_text(found.get("message")) or error_of_status(status).message,
        },
        "request_id": None if status in {400, 404, 413} else worker_id,
    }
