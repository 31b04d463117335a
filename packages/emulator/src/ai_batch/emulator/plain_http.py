"""HTTP calls that the emulator makes itself: no proxy from the environment, no redirects."""

from __future__ import annotations

import urllib.request


def plain_opener() -> urllib.request.OpenerDirector:
    """Return an opener for which each answer but a 2xx is an `HTTPError`."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
