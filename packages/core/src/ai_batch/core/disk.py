"""What a disk refused to do, in words that say what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ai_batch.core.errors import LedgerError, NoRoom

__all__ = ["is_full", "of_disk"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The disk is full, or the user's quota of it is used up."""

LIMITED = frozenset({errno.EFBIG})
"""The process may not write files of this size (``ulimit -f``)."""

REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})


def is_full(error: OSError) -> bool:
    """Whether room on the disk would have helped."""
    return error.errno in FULL


def of_disk(error: OSError, place: str | os.PathLike[str]) -> LedgerError:
    """The error to raise where the records can't be read or written.

    ``place`` is the file or folder, where the error itself does not name one.
    """
    where = Path(os.fsdecode(error.filename or place))
    reason = error.strerror or str(error)
    if is_full(error):
        return NoRoom(
            f"no room left on the disk for {where} ({reason}): make room and run the same again; "
            "nothing is lost"
        )
    if error.errno in LIMITED:
        return LedgerError(
            f"{where} may not grow further ({reason}): raise the limit (ulimit -f) and run the "
            "same again; nothing is lost"
        )
    if error.errno in REFUSED:
        return LedgerError(
            f"{where} can't be read or written ({reason}): mend its permissions, or choose another "
            "folder with home= or AI_BATCH_HOME"
        )
    return LedgerError(
        f"{where} can't be read or written ({reason}): mend that and run the same again"
    )
