"""The answers of a server that refuses some requests: an option of the emulator's."""

from ai_batch.emulator.json_types import JsonObject, encode

REFUSED = "refuse me"
"""Requests with these words in them are refused."""


def refuse(_endpoint: str, body: JsonObject) -> tuple[int, JsonObject] | None:
    """Refuse a request; None is the echo."""
    if REFUSED.encode() not in encode(body):
        return None
    error: JsonObject = {"message": "No.", "type": "invalid_request_error"}
    return 400, {"error": error}


REFUSER = f"{__name__}:{refuse.__name__}"
"""As an emulator in a process of its own wants it."""
