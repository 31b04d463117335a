"""Who may see the pages: the browser of whoever started the command, and nobody else's."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

__all__ = ["Gate", "Refused"]

FOREIGN = frozenset({"cross-site", "same-site"})
"""Where the browser says that a request comes from; another port is the same site."""


class Refused(Exception):
    """A request that gets no page, with its status and a message for whoever sent it."""

    def __init__(self, status: int, message: str) -> None:
        """``status`` is HTTP's."""
        super().__init__(message)
        self.status = status


class Gate:
    """Lets in who has the token: from the link that the command printed, then by a cookie.

    Any program of this machine can reach the port, other users' as well, and any web page can
    have a browser send requests to it.
    """

    def __init__(self, port: int) -> None:
        """The token is new each time."""
        self.token = secrets.token_urlsafe(32)
        # Browsers send a cookie to all ports of a host: two of these servers must not meet.
        self._name = f"ai_batch_{port}"

    @property
    def cookie(self) -> str:
        """The header that has the browser keep the token, out of reach of scripts."""
        return f"{self._name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def check(self, target: str, headers: Mapping[str, str]) -> bool:
        """Whether the token came with the address. Raises ``Refused``."""
        host = headers.get("Host", "")
        if not _is_here(host):
            # A name that somebody else has made point to this machine (DNS rebinding).
            raise Refused(421, "This server answers to 127.0.0.1 and localhost only.")
        if (origin := headers.get("Origin")) is not None and origin != f"http://{host}":
            raise Refused(403, "Pages of other origins get nothing here.")
        given = parse_qs(urlsplit(target).query).get("token", [""])[0]
        by_link = self._is_token(given)
        if headers.get("Sec-Fetch-Site") in FOREIGN:
            # The link may be in a page, such as a notebook's; all else is none of its business.
            by_link = by_link and headers.get("Sec-Fetch-Mode") == "navigate"
            if not by_link:
                raise Refused(403, "Pages of other sites get nothing here.")
        if not by_link and (given or not self._is_token(self._kept(headers.get("Cookie", "")))):
            raise Refused(403, "Open the link that `ai-batch ui` has printed: it holds a token.")
        return by_link

    def _kept(self, header: str) -> str:
        try:
            morsel = SimpleCookie(header).get(self._name)
        except CookieError:
            return ""
        return "" if morsel is None else morsel.value

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


def _is_here(host: str) -> bool:
    """Whether a Host header names this machine; its port may be a tunnel's."""
    try:
        parts = urlsplit(f"//{host}")
        name = parts.hostname or ""
        if parts.netloc != host or "@" in host:
            return False
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
