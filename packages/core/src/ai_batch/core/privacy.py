"""Folders and files that nobody but their owner can read, or put something else in the place of.

Whoever may write to a folder may swap what is in it. So the home must be the user's own, or
root's who made it for the user, and what is in it is opened without following links.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from ai_batch.core.disk import of_disk
from ai_batch.core.errors import LedgerError

__all__ = ["NO_LINK", "check_folder", "open_own", "private_folder"]

logger = logging.getLogger("ai_batch.spool")

NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags for opening what is in the home."""

ROOT = 0


def private_folder(path: Path) -> Path:
    """A folder of the user's own, made with mode 0700 where there is none.

    Raises ``LedgerError`` for one that others could put something else in the place of.
    """
    try:
        _make(path)
        check_folder(path)
    except OSError as error:
        raise of_disk(error, path) from error
    return path


def _make(path: Path) -> None:
    # pathlib makes parents with the mode that the process's mask leaves.
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def check_folder(path: Path) -> None:
    """Raises ``LedgerError`` for a link, a folder of somebody else's, or one open to everybody."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise LedgerError(f"{path} is a symbolic link; it must be a folder of its own")
    _check_owner(path, found)
    if found.st_mode & stat.S_IWOTH:
        raise LedgerError(
            f"everybody may write to {path}, and so read and swap what is kept there: make a "
            f"folder in it and use that, or chmod o-w {path}"
        )
    above = path.parent.stat().st_mode
    if above & stat.S_IWOTH and not above & stat.S_ISVTX:
        logger.warning("everybody may write to %s, and so move %s away", path.parent, path)


def _check_owner(path: Path, found: os.stat_result) -> None:
    # Root works in folders of others, such as a container's volumes.
    user = os.geteuid()
    if found.st_uid not in {user, ROOT} and user != ROOT:
        raise LedgerError(
            f"{path} belongs to another user (uid {found.st_uid}): choose another folder with "
            "home= or AI_BATCH_HOME"
        )


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file of the user's own, which nobody else can read from now on.

    Raises ``LedgerError`` for a link and for a file of somebody else's, and ``OSError``.
    """
    if path.is_symlink():
        raise LedgerError(f"{path} is a symbolic link, which is not followed")
    descriptor = os.open(path, flags | NO_LINK, 0o600)
    try:
        found = os.fstat(descriptor)
        _check_owner(path, found)
        if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)  # As a copy, brought back from a backup, may need it.
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
