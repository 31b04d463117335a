"""Answer functions for tests: some requests fail, always or at first."""

from __future__ import annotations

from ai_batch.emulator.json_types import JsonObject, encode

__all__ = ["REFUSED", "STUMBLING", "Moody", "failure"]

REFUSED = "please refuse"
"""Words in a request that is always refused."""

STUMBLING = "please stumble"
"""Words in a request that fails once."""


def failure(status: int, message: str) -> JsonObject:
    """An error body that is at home with each of the vendors."""
    words = {400: "INVALID_ARGUMENT", 503: "UNAVAILABLE"}
    kinds = {400: "invalid_request_error", 503: "overloaded_error"}
    error: JsonObject = {
        "type": kinds[status],
        "message": message,
        "code": status,
        "status": words[status],
    }
    return {"type": "error", "error": error}


class Moody:
    """Answers like the emulator, but for what asks to be refused, or to fail once."""

    def __init__(self) -> None:
        self._stumbled: set[bytes] = set()

    def __call__(self, endpoint: str, body: JsonObject) -> tuple[int, JsonObject] | None:
        """The answer to one request; None leaves it to the emulator."""
        content = encode(body)
        if REFUSED.encode() in content:
            return 400, failure(400, "as you wish")
        words = content[content.find(STUMBLING.encode()) :][:60]
        if STUMBLING.encode() in content and words not in self._stumbled:
            self._stumbled.add(words)
            return 503, failure(503, "try again")
        return None
