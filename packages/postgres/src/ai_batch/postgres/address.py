"""Where the database is, and how to say so without its password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import conninfo

from ai_batch.core.errors import UsageError, mask

__all__ = ["Address"]

DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    # A server that is gone without a word is found out within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "application_name": "ai-batch",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A connection string that was understood. Its password is in no representation."""

    name: str
    settings: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, dsn: str) -> Address:
        """Raises ``UsageError`` for one that can't be read, without repeating it."""
        try:
            found = conninfo.conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # Its message repeats the text, or the part of it that may be a password.
            raise UsageError(
                "the address of the ledger can't be read: it is to be like "
                "postgresql://user:password@host:5432/database?sslmode=verify-full"
            ) from None
        place = found.get("host") or found.get("service") or "the local socket"
        name = f"{found.get('dbname') or found.get('user') or 'the database'} on {place}"
        return cls(mask(str(name), str(found.get("password") or "")), {**DEFAULTS, **found})

    def hidden(self, text: str) -> str:
        """A text in one line, such as an error's, without the password."""
        secrets = (str(self.settings.get(name) or "") for name in ("password", "sslpassword"))
        return " ".join(mask(text, *secrets).split())
