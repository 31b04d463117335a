"""What a user gets for a job: all results, in the order of the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, overload

from ai_batch.core.export import Exportable
from ai_batch.core.results import Result, Usage

__all__ = ["BatchResponse", "ResultSource"]


class ResultSource(Protocol):
    """Where a response reads its results from."""

    def __len__(self) -> int:
        """The number of requests."""
        ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        """Results ``start`` to ``stop`` in request order, with flat memory."""
        ...


class BatchResponse(Exportable):
    """All results of a job, in the order of the requests.

    Iterating reads them from the job's folder, so that memory stays flat however many there
    are; it may be done any number of times. ``response[3]`` reads one, ``response[2:5]`` a list.
    ``usage`` sums the tokens; ``cost`` is in USD, None where a price is not known. ``to_pandas``
    and its like give tables and files.
    """

    def __init__(
        self,
        *,
        job_id: str,
        completed: int,
        failed: int,
        usage: Usage,
        pricing: Callable[[], float | None],
        source: ResultSource,
        on_read: Callable[[], None] | None = None,
    ) -> None:
        """``pricing`` gives the cost when asked; ``on_read`` is called at the results' end."""
        self.job_id = job_id
        self.completed = completed
        self.failed = failed
        self.usage = usage
        self._pricing = pricing
        self._source = source
        self._on_read = on_read

    @property
    def cost(self) -> float | None:
        """USD for the tokens; looked up when asked for, since tables take a while to load."""
        return self._pricing()

    @property
    def total(self) -> int:
        """The number of requests: each has exactly one result."""
        return self.completed + self.failed

    @property
    def results(self) -> list[Result]:
        """All results in one list; for large jobs iterate instead."""
        return list(self)

    @property
    def errors(self) -> Iterator[Result]:
        """The results that have an error."""
        return (result for result in self._source.read() if result.error is not None)

    def __len__(self) -> int:
        """The number of requests."""
        return len(self._source)

    def __iter__(self) -> Iterator[Result]:
        """The results in request order, read from disk one by one."""
        yield from self._source.read()
        if self._on_read is not None:
            self._on_read()

    @overload
    def __getitem__(self, place: int) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> list[Result]: ...

    def __getitem__(self, place: int | slice) -> Result | list[Result]:
        """One result by its index, or a list of them by a slice."""
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step == 1:
                return list(self._source.read(start, stop))
            return [self[index] for index in range(start, stop, step)]
        index = place + len(self) if place < 0 else place
        if not 0 <= index < len(self):
            raise IndexError(f"no result {place}: the response has {len(self)}")
        return next(self._source.read(index, index + 1))

    def __repr__(self) -> str:
        """The job and its counts."""
        counts = f"completed={self.completed}, failed={self.failed}, total={self.total}"
        return f"BatchResponse(job_id={self.job_id!r}, {counts})"
