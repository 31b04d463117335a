"""The records of one kind, in memory in the order of their making, and in the store."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

from ai_batch.emulator.store import Store


class Record(Protocol):
    """What every record has: an id, and a number that grows with each new one."""

    @property
    def id(self) -> str:
        """The id on the wire."""
        ...

    @property
    def serial(self) -> int:
        """The order of making."""
        ...


_R = TypeVar("_R", bound=Record)


class RecordBook(Generic[_R]):
    """Finds and changes records; each change is written through to the store."""

    def __init__(self, store: Store, kind: str, record_type: type[_R]) -> None:
        self._store = store
        self._kind = kind
        self._type = record_type
        self._records: dict[str, _R] = {}
        self.load()

    def load(self) -> None:
        """Read all records from the store."""
        records = [
            msgspec.json.decode(data, type=self._type) for data in self._store.records(self._kind)
        ]
        self._records = {
            record.id: record for record in sorted(records, key=lambda record: record.serial)
        }

    def find(self, record_id: str) -> _R | None:
        """Return a record, or None."""
        return self._records.get(record_id)

    def save(self, record: _R) -> _R:
        """Write a record, in place of the one that had its id."""
        self._store.put(self._kind, record.id, msgspec.json.encode(record))
        self._records[record.id] = record
        return record

    def remove(self, record_id: str) -> None:
        """Forget a record."""
        self._records.pop(record_id, None)
        self._store.remove(self._kind, record_id)

    def oldest_first(self) -> list[_R]:
        """Return all records."""
        return list(self._records.values())

    def newest_first(self) -> list[_R]:
        """Return all records, the other way round."""
        return self.oldest_first()[::-1]
