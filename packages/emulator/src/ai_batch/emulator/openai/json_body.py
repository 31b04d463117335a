"""The JSON body of a call."""

from __future__ import annotations

import msgspec

from ai_batch.emulator.json_types import JsonObject, decode
from ai_batch.emulator.openai.errors import VendorError
from ai_batch.emulator.route import Call


async def json_request(call: Call) -> JsonObject:
    """Return the JSON object of a request's body."""
    data = await call.request.body()
    try:
        body = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = (
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The API expects a JSON payload.)"
        )
        raise VendorError(message) from error
    if not isinstance(body, dict):
        raise VendorError("The body of the request must be a JSON object.")
    return body
