"""Connections that are kept for the next transaction.

psycopg_pool makes its connections in threads of its own, which can't be started any more when a
program ends: that is when jobs are marked as delivered. Here whoever needs one makes it.
"""

from __future__ import annotations

import contextlib
import os
import threading

import psycopg
from psycopg.pq import TransactionStatus

from ai_batch.core.errors import LedgerUnavailable
from ai_batch.postgres.address import Address
from ai_batch.postgres.clock import steady

__all__ = ["Connection", "Connections", "connect"]

Connection = psycopg.Connection[tuple[object, ...]]

TURN_SECONDS = 60.0
"""For which a thread waits for a connection while all are in use."""

KEPT_SECONDS = 120.0
"""After which a connection that nobody has used is closed."""


def connect(address: Address) -> Connection:
    """A connection on which every statement is what we say, and no more."""
    # Without prepared statements: poolers between would have to know of them.
    return psycopg.connect(**address.settings, autocommit=True, prepare_threshold=None)


class Connections:
    """Up to so many connections of one process; the one that was used last is used first."""

    def __init__(self, address: Address, most: int) -> None:
        """Nothing is connected yet."""
        self._address = address
        self._most = most
        self._idle: list[tuple[float, Connection]] = []
        self._backends: dict[Connection, int] = {}
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._turns = threading.BoundedSemaphore(self._most)
        self._lock = threading.Lock()
        # What a parent process has opened stays its own: nothing here closes it.
        self._inherited = self._idle
        self._idle = []
        self._backends = {}

    def take(self) -> Connection:
        """A connection for the calling thread alone. Raises what psycopg raises."""
        if self._process != os.getpid():
            self._reset()
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise LedgerUnavailable(
                f"all {self._most} connections to {self._address.name} are busy"
            )
        try:
            with self._lock:
                if self._idle:
                    return self._idle.pop()[1]
            made = connect(self._address)
        except BaseException:
            self._turns.release()
            raise
        with self._lock:
            self._backends[made] = made.info.backend_pid
        return made

    def give_back(self, connection: Connection) -> None:
        """The thread is through with it; what was not committed is rolled back."""
        with contextlib.suppress(psycopg.Error):
            if connection.info.transaction_status in _OPEN:
                connection.execute("ROLLBACK")
        sound = connection.info.transaction_status == TransactionStatus.IDLE
        with self._lock:
            if sound:
                self._idle.append((steady(), connection))
            old = [one for at, one in self._idle if at < steady() - KEPT_SECONDS]
            self._idle = [(at, one) for at, one in self._idle if one not in old]
        self._turns.release()
        for one in old if sound else [*old, connection]:
            self._close(one)

    def is_ours(self, backend: int) -> bool:
        """Whether the server's process of this number serves us."""
        with self._lock:
            return backend in self._backends.values()

    def close(self) -> None:
        """Close what nobody uses just now; more are made when they are asked for."""
        if self._process != os.getpid():
            return
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        with self._lock:
            self._backends.pop(connection, None)
        connection.close()


_OPEN = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
