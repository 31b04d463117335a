"""Keeps keys out of what is shown: of the client, and of what the SDK logs.

At DEBUG the SDK logs a server's own words, and those may repeat the key.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ai_batch.core.errors import mask

__all__ = ["Server", "masked_logs"]

_hidden: ContextVar[str | None] = ContextVar("ai_batch_voyage_hidden", default=None)


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and the key for it, which never shows in the repr."""

    url: str
    key: str | None = field(default=None, repr=False)


class _Masking(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Every record may pass, without the key of the call that it is about."""
        secret = _hidden.get()
        if secret is not None:
            record.msg, record.args = mask(record.getMessage(), secret), ()
        return True


_MASKING = _Masking()


@contextmanager
def masked_logs(secret: str | None) -> Generator[None]:
    """What the SDK logs in here has no ``secret`` in it."""
    # One that is there already is not added again.
    logging.getLogger("voyage").addFilter(_MASKING)
    before = _hidden.set(secret)
    try:
        yield
    finally:
        _hidden.reset(before)
