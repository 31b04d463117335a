"""Errors as the vendor words them: `{"error": {message, type, param, code}}`, all four keys."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from ai_batch.emulator.json_types import JsonObject, encode
from ai_batch.emulator.route import Refused

_INVALID = "invalid_request_error"
_BY_STATUS = {
    401: ("Incorrect API key provided.", _INVALID, "invalid_api_key"),
    403: ("Country, region, or territory not supported", _INVALID, "unsupported_country"),
    404: ("Not found.", _INVALID, None),
    409: ("Conflict.", _INVALID, None),
    429: ("Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
}


class VendorError(Refused):
    """The call is answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = _INVALID,  # noqa: A002 - the name on the wire
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        detail: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.param = param
        self.code = code
        self.headers = dict(headers or {})
        self.detail = detail

    def body(self) -> JsonObject:
        """Return the error's JSON."""
        body = failure_body(self.message, self.type, self.param, self.code)
        if self.detail:
            # Seen on refused uploads only, beside the usual error.
            body["detail"] = {"message": self.message, "code": self.code}
        return body

    def response(self) -> Response:
        """Return the answer."""
        return Response(encode(self.body()), self.status, self.headers, "application/json")


def failure_body(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> JsonObject:
    """Return the body of a failed request."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of_status(status: int) -> VendorError:
    """Return the error that the vendor typically sends with a status."""
    fallback = (f"Error {status}.", "server_error" if status >= 500 else _INVALID, None)
    message, kind, code = _BY_STATUS.get(status, fallback)
    return VendorError(message, status=status, type=kind, code=code)


def missing(name: str) -> VendorError:
    """Return the error for a parameter that is not there."""
    return VendorError(
        f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def invalid_value(name: str, found: object, allowed: str) -> VendorError:
    """Return the error for a value that is not one of those allowed."""
    message = f"Invalid value: '{found}'. Supported values are: {allowed}."
    return VendorError(message, param=name, code="invalid_value")


def invalid_type(name: str, expected: str, found: object) -> VendorError:
    """Return the error for a value of the wrong type."""
    message = f"Invalid type for '{name}': expected {expected}, but got {_kind(found)} instead."
    return VendorError(message, param=name, code="invalid_type")


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "an object")
