"""Work that is due at a time of the emulator's clock, done by a few threads."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from ai_batch.emulator.clock import Clock

Task: TypeAlias = Callable[[], None]

_logger = logging.getLogger("ai_batch.emulator")
_WORKERS = 4


class Agenda:
    """At most one task per key; a task may put its own key again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[str, tuple[float, Task]] = {}
        self._heap: list[tuple[float, str]] = []
        self._running: set[str] = set()
        self._failures: list[Exception] = []
        self._closed = False
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="ai-batch-emulator-work")
        self._thread = threading.Thread(
            target=self._run, name="ai-batch-emulator-agenda", daemon=True
        )
        self._thread.start()

    def put(self, key: str, due: float, task: Task) -> None:
        """Do the task at that time, in place of what was to be done for the key."""
        with self._changed:
            self._due[key] = (due, task)
            heapq.heappush(self._heap, (due, key))
            self._changed.notify_all()

    def wake(self) -> None:
        """Look at the clock again."""
        with self._changed:
            self._changed.notify_all()

    def is_due(self, key: str | None = None) -> bool:
        """Tell whether there is something left to be done by now."""
        with self._changed:
            return self._is_due(key)

    def settle(self, key: str | None = None, timeout: float | None = None) -> bool:
        """Wait until all that is due is done (for one key, or for all)."""
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._is_due(key), timeout)

    def clear(self) -> None:
        """Forget what is still to be done."""
        with self._changed:
            self._due.clear()
            self._heap.clear()

    def close(self) -> None:
        """Stop; tasks that run are waited for, the others are left for the next process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._pool.shutdown()
        if self._failures:
            msg = "the emulator failed at its own work"
            raise ExceptionGroup(msg, self._failures)

    @property
    def closed(self) -> bool:
        """Tell long tasks that they should give up."""
        return self._closed

    def _is_due(self, key: str | None) -> bool:
        now = self._clock.now()
        if key is None:
            return bool(self._running) or any(due <= now for due, _ in self._due.values())
        return key in self._running or (key in self._due and self._due[key][0] <= now)

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                self._start_due()
                self._changed.wait(self._pause())

    def _pause(self) -> float | None:
        return max(0.001, self._heap[0][0] - self._clock.now()) if self._heap else None

    def _start_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            entry = self._due.get(key)
            # A key that runs is put on the heap again by its own end.
            if entry is None or entry[0] != due or key in self._running:
                continue
            del self._due[key]
            self._running.add(key)
            self._pool.submit(self._do, key, entry[1])

    def _do(self, key: str, task: Task) -> None:
        try:
            task()
        except Exception as error:
            _logger.exception("work on %s failed", key)
            with self._changed:
                self._failures.append(error)
        finally:
            with self._changed:
                self._running.discard(key)
                if key in self._due:
                    heapq.heappush(self._heap, (self._due[key][0], key))
                self._changed.notify_all()


class Stopwatch:
    """Real seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds that have passed."""
        return time.monotonic() - self._started
