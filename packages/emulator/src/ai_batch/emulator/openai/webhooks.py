"""Signed notices that a batch has ended (Standard Webhooks, as the vendor's SDK verifies them)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import urllib.error
import urllib.request

from ai_batch.emulator.json_types import encode
from ai_batch.emulator.plain_http import plain_opener

_logger = logging.getLogger("ai_batch.emulator")
_TIMEOUT = 10.0
_PREFIX = "whsec_"


def signature(secret: str, event_id: str, timestamp: int, payload: bytes) -> str:
    """Return the `webhook-signature` of a payload."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = b"%b.%d.%b" % (event_id.encode(), timestamp, payload)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def event_payload(event_id: str, kind: str, batch_id: str, created: int) -> bytes:
    """Return an event's body, which names the batch and nothing else of it."""
    return encode(
        {
            "id": event_id,
            "object": "event",
            "created_at": created,
            "type": kind,
            "data": {"id": batch_id},
        }
    )


_opener = plain_opener()


def deliver(url: str, secret: str, event_id: str, payload: bytes, timestamp: int) -> bool:
    """Post an event; anything but a 2xx answer means that it is to be posted again."""
    headers = {
        "content-type": "application/json",
        "user-agent": "OpenAI/1.0 (emulator)",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, event_id, timestamp, payload),
    }
    request = urllib.request.Request(url, payload, headers)  # noqa: S310
    try:
        with _opener.open(request, timeout=_TIMEOUT) as response:
            status: int = response.status
            return 200 <= status < 300
    except urllib.error.HTTPError as error:
        error.close()
        _logger.warning("webhook %s was refused with %d", event_id, error.code)
    except OSError as error:
        _logger.warning("webhook %s was not delivered: %s", event_id, error)
    return False
