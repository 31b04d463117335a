"""Who holds a lease, and whether that process can still be at work."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

__all__ = ["is_gone", "new_owner"]


def _here() -> str:
    """This machine since its start, and the name space in which its process numbers mean anything.

    Containers share a host's name and start, but not its processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{space}"


def new_owner() -> str:
    """A name for an engine of this process."""
    return f"{_here()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_gone(owner: str) -> bool:
    """Whether the owner was a process of this machine that does not exist any more.

    Of other machines nothing is known: their leases have to run out.
    """
    place, _, rest = owner.rpartition(":")[0].rpartition(":")
    if place != _here() or not rest.isdecimal():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
