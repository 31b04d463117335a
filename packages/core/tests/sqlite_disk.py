"""Watches what SQLite itself makes sure of, through a VFS of our own around its usual one.

https://www.sqlite.org/vfs.html and sqlite3.h describe the two tables of functions. Of both only
one entry is another one: ``xOpen`` gives files whose ``xSync`` tells us first.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["watched_syncs"]

WORD = ctypes.c_void_p

VFS_WORDS, X_OPEN, VFS_NAME = 21, 5, 3
METHODS_WORDS, X_SYNC = 19, 5

Open = ctypes.CFUNCTYPE(ctypes.c_int, WORD, WORD, WORD, ctypes.c_int, WORD)
Sync = ctypes.CFUNCTYPE(ctypes.c_int, WORD, ctypes.c_int)


def _library() -> ctypes.CDLL:
    """The very SQLite that Python uses."""
    # Where it is built into Python there is no file, and its functions are the program's own.
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    library.sqlite3_vfs_find.restype = WORD
    library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
    library.sqlite3_vfs_register.argtypes = [WORD, ctypes.c_int]
    library.sqlite3_vfs_unregister.argtypes = [WORD]
    return library


@contextmanager
def watched_syncs(syncing: Callable[[Path], None]) -> Generator[None, None, None]:
    """Within the block, ``syncing`` is told of each file that SQLite is about to sync."""
    library = _library()
    usual = library.sqlite3_vfs_find(None)
    words = (WORD * VFS_WORDS).from_buffer_copy(ctypes.string_at(usual, VFS_WORDS * 8))
    really_open = Open(words[X_OPEN] or 0)
    kept: list[object] = [words]

    def opened(_vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        # The name goes on as the very pointer: SQLite keeps it.
        result = int(really_open(usual, name, file, flags, out))
        place = ctypes.cast(file, ctypes.POINTER(WORD))
        if result == 0 and name and place[0]:
            path = Path(ctypes.string_at(name).decode())
            place[0] = ctypes.addressof(_watching(place[0], path, syncing, kept))
        return result

    callback, title = Open(opened), ctypes.c_char_p(b"watched")
    kept += [callback, title]
    words[X_OPEN] = ctypes.cast(callback, WORD)
    words[VFS_NAME] = ctypes.cast(title, WORD)
    library.sqlite3_vfs_register(ctypes.addressof(words), 1)
    try:
        yield
    finally:
        library.sqlite3_vfs_register(usual, 1)
        library.sqlite3_vfs_unregister(ctypes.addressof(words))


def _watching(
    methods: int, path: Path, syncing: Callable[[Path], None], kept: list[object]
) -> ctypes.Array[WORD]:
    words = (WORD * METHODS_WORDS).from_buffer_copy(
        ctypes.string_at(methods, METHODS_WORDS * ctypes.sizeof(WORD))
    )
    really_sync = Sync(words[X_SYNC] or 0)

    def sync(file: int, flags: int) -> int:
        syncing(path)
        return int(really_sync(file, flags))

    callback = Sync(sync)
    words[X_SYNC] = ctypes.cast(callback, WORD)
    # C holds their addresses for as long as the file is open.
    kept.extend((words, callback))
    return words
