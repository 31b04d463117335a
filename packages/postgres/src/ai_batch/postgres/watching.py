"""Tells those who wait for a job that somebody else has changed it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable

import psycopg

from ai_batch.postgres.address import Address
from ai_batch.postgres.connections import Connection, connect
from ai_batch.postgres.dialect import quoted
from ai_batch.postgres.transaction import channel_of

__all__ = ["Watching"]

logger = logging.getLogger("ai_batch.ledger")

Wake = Callable[[], object]

LOOK_SECONDS = 1.0
"""After which the thread looks whether anybody still waits."""

GATHER_SECONDS = 0.2
"""For which more is gathered before anybody is woken: many shards may end at once."""

AGAIN_SECONDS = 5.0
"""Until a connection that was lost is made again; whoever waits looks by himself meanwhile."""


class Watching:
    """One connection that listens, in a thread that lives while somebody waits."""

    def __init__(self, address: Address, schema: str, is_ours: Callable[[int], bool]) -> None:
        """``is_ours`` knows by its number a server process that told what we did ourselves."""
        self._address = address
        self._channel = channel_of(schema)
        self._is_ours = is_ours
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, Wake]] = []
        self._process = os.getpid()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watch(self, job_id: str, wake: Wake) -> Generator[None, None, None]:
        """Within the block, ``wake`` is called from the thread after a change by others."""
        entry = (job_id, wake)
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.Lock()
            self._thread, self._waiting = None, []
        with self._lock:
            self._waiting.append(entry)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._listen, name="ai-batch-watch", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.remove(entry)

    def _listen(self) -> None:
        while self._wanted():
            try:
                with connect(self._address) as connection:
                    connection.execute(f"LISTEN {quoted(self._channel)}".encode())
                    # What was told before is told to nobody.
                    self._wake(None)
                    while self._wanted():
                        self._hear(connection)
            except psycopg.Error as error:
                logger.info("nobody tells of changes: %s", self._address.hidden(str(error)))
                threading.Event().wait(AGAIN_SECONDS)

    def _wanted(self) -> bool:
        """Whether anybody waits; otherwise the thread ends."""
        with self._lock:
            if not self._waiting:
                self._thread = None
            return bool(self._waiting)

    def _hear(self, connection: Connection) -> None:
        told = set(self._told(connection, LOOK_SECONDS, 1))
        if told:
            threading.Event().wait(GATHER_SECONDS)
            self._wake(told.union(self._told(connection, 0.0, None)))

    def _told(self, connection: Connection, timeout: float, most: int | None) -> Iterable[str]:
        for notify in connection.notifies(timeout=timeout, stop_after=most):
            if not self._is_ours(notify.pid):
                yield notify.payload

    def _wake(self, jobs: set[str] | None) -> None:
        with self._lock:
            woken = [wake for job_id, wake in self._waiting if jobs is None or job_id in jobs]
        for wake in woken:
            # An event loop that has been closed meanwhile needs nothing more.
            with contextlib.suppress(RuntimeError):
                wake()
