"""Errors as Cloud Storage words them: `{"error": {code, message, errors: [...]}}`."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from ai_batch.emulator.json_types import JsonObject, encode
from ai_batch.emulator.route import Refused

_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "conflict",
    412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    500: "backendError",
    503: "backendError",
}


class StorageError(Refused):
    """The call is answered with an error."""

    def __init__(self, message: str, *, status: int = 400, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason or _REASONS.get(status, "invalid")

    def body(self) -> JsonObject:
        """Return the error's JSON."""
        detail: JsonObject = {"message": self.message, "domain": "global", "reason": self.reason}
        return {"error": {"code": self.status, "message": self.message, "errors": [detail]}}

    def response(self) -> Response:
        """Return the answer; "not modified" has no body."""
        if self.status == HTTPStatus.NOT_MODIFIED:
            return Response(status_code=self.status)
        return Response(encode(self.body()), self.status, media_type="application/json")


def error_of_status(status: int) -> StorageError:
    """Return the error that the vendor typically sends with a status."""
    known = {each.value: each.phrase for each in HTTPStatus}
    return StorageError(f"{known.get(status, 'Error')}.", status=status)


def no_such_object(bucket: str, name: str) -> StorageError:
    """Return the 404 for an object."""
    return StorageError(f"No such object: {bucket}/{name}", status=404)


def no_such_bucket(bucket: str) -> StorageError:
    """Return the 404 for a bucket."""
    message = "The specified bucket does not exist."
    return StorageError(f"{message} ({bucket})", status=404)
