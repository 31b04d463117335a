"""Many calls of one kind through an SDK, at the cost of one: the SDK makes the first of them.

For each call an SDK puts options, headers and the address together anew, which takes twice as long
as the call itself. Here that is done once: the request that the SDK sent is kept, and those that
follow go out over the SDK's own HTTP client with another body.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, cast

from ai_batch.core.messages import JSONObject

__all__ = ["DirectCalls"]

OF_ONE_CALL = frozenset({"content-length", "host", "transfer-encoding", "x-stainless-retry-count"})
"""Headers that are not repeated; the HTTP client sets what of these is needed."""


class DirectCalls:
    """An SDK's async client together with the HTTP client that it was made with."""

    def __init__(
        self, client: Any, http: Any, sdk: Any, library: Any, *, unwrap: str | None = None
    ) -> None:
        """``library`` is the HTTP library of the SDK.

        ``unwrap`` is the field of an error's body that the SDK keeps of it, if it is one.
        """
        self._client = client
        self._http = http
        self._library = library
        self._sdk = sdk
        self._unwrap = unwrap
        self._models: dict[str, Any] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, kind: str) -> Any:
        """The response of the HTTP library, read to its end.

        Calls of one ``kind`` go to the same address with the same headers. Raises what the SDK
        or its HTTP library raises.
        """
        model: Any = self._models.get(kind)
        if model is None:
            options = {"headers": headers}
            response = await self._client.post(
                url, content=body, cast_to=self._library.Response, options=options
            )
            self._models[kind] = self._model_of(response.request)
            return response
        address, known, extensions = model
        request = self._library.Request(
            "POST", address, headers=known, content=body, extensions=extensions
        )
        response = await self._http.send(request)
        if not response.is_success:
            raise self._error(response)
        return response

    def _error(self, response: Any) -> Exception:
        """The error that the SDK makes of such an answer."""
        text = response.text.strip()
        body: object = text
        message = text or f"Error code: {response.status_code}"
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(text)
            message = f"Error code: {response.status_code} - {body}"
        if self._unwrap is not None and isinstance(body, dict):
            body = cast("JSONObject", body).get(self._unwrap, cast("object", body))
        error: Exception = self._sdk.APIStatusError(message, response=response, body=body)
        return error

    def _model_of(self, request: Any) -> tuple[Any, Any, Any]:
        kept = [
            (name, value)
            for name, value in request.headers.multi_items()
            if name.lower() not in OF_ONE_CALL
        ]
        return request.url, self._library.Headers(kept), request.extensions

    async def close(self) -> None:
        """Close both clients."""
        await self._client.close()
