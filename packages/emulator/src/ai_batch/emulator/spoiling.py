"""Answers that faults make useless, and headers that tell when to come again."""

from __future__ import annotations

import math
from email.utils import formatdate

from starlette.responses import Response

from ai_batch.emulator.faults import Fault, RetryAfterForm, Spoil

BAD_REQUEST, BAD_GATEWAY = 400, 502

_BODIES: dict[Spoil, bytes] = {
    "empty": b"",
    "empty_object": b"{}",
    "html": b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    "null": b"null",
}


def is_ruinous(fault: Fault) -> bool:
    """Tell whether a client gets no use out of an answer that this fault strikes."""
    return (
        fault.status is not None
        or fault.cut is not None
        or fault.hang is not None
        or fault.spoil is not None
        or fault.cut_after_bytes is not None
    )


def spoiled(response: Response, spoil: Spoil) -> Response:
    """Return an answer with the same status and headers whose body is of no use.

    A page that stands for an error has a proxy's status: no proxy gives its own page a vendor's.
    """
    status = response.status_code
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    if spoil == "html":
        headers["content-type"] = "text/html"
        status = BAD_GATEWAY if status >= BAD_REQUEST else status
    if spoil == "broken_json":
        whole = bytes(getattr(response, "body", b""))
        body = whole[: len(whole) // 2] or b'{"'
    else:
        body = _BODIES[spoil]
    return Response(body, status, headers)


def retry_header(seconds: float, form: RetryAfterForm, now: float) -> dict[str, str]:
    """Return the header that asks a client to wait; a date is one of the emulator's clock."""
    match form:
        case "seconds":
            return {"retry-after": str(math.ceil(seconds))}
        case "date":
            return {"retry-after": formatdate(math.ceil(now + seconds), usegmt=True)}
        case "milliseconds":
            return {"retry-after-ms": str(math.ceil(seconds * 1000))}
