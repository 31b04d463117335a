"""The files of a dataset's job, in the home that all machines share.

    ray/<job>/
        rows/index.json         which rows there are, and what they were asked with
        rows/<token>.parquet    rows, and the request of each
        parts/00000.json        the ledger's job of the part
        manifest.json           written last: all parts are planned

What is there stays as it is: files and folders appear by renaming, whole or not at all.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from ai_batch.core.disk import of_disk
from ai_batch.core.errors import LedgerError, UsageError
from ai_batch.core.privacy import private_folder
from ai_batch.core.spool import JobFolder
from ai_batch.ray.config import BatchAPIProcessorConfig

__all__ = ["Chunk", "Index", "JobFiles", "Manifest", "PlannedPart"]

ABANDONED = 6 * 3600.0
"""Seconds after which rows that nobody has finished writing are nobody's."""

Model = TypeVar("Model", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Chunk(_Record):
    """A file of rows."""

    name: str
    rows: int


class Index(_Record):
    """All rows in order, and of what they were made."""

    identity: dict[str, JsonValue]
    source: dict[str, JsonValue]
    chunks: tuple[Chunk, ...]

    @property
    def total(self) -> int:
        """The number of rows."""
        return sum(chunk.rows for chunk in self.chunks)


class PlannedPart(_Record):
    """One job of the ledger: ``rows`` rows, of which the first is the ``first`` of all, from 0."""

    job_id: str
    first: int
    rows: int


class Manifest(_Record):
    """A planned job: its parts in the order of the rows, each a job of the ledger."""

    job: str
    provider: str
    model: str
    total: int
    parts: tuple[PlannedPart, ...]

    @property
    def job_ids(self) -> list[str]:
        """The jobs of the ledger, in the order of the rows."""
        return [part.job_id for part in self.parts]


class JobFiles:
    """Where the files of one job are."""

    def __init__(self, config: BatchAPIProcessorConfig) -> None:
        """Nothing is made yet."""
        self.job = config.job
        self.path = config.home_path / "ray" / config.job
        self.rows = self.path / "rows"

    def make(self) -> None:
        """Make the folders where there are none. Raises ``LedgerError``."""
        for folder in (self.path.parent.parent, self.path.parent, self.path, self.path / "parts"):
            private_folder(folder)

    # -- rows -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing_rows(self) -> Generator[Path]:
        """A folder for rows, which is deleted at the end unless it was put in place."""
        folder = private_folder(self.path / f"rows-{secrets.token_hex(6)}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep_rows(self, folder: Path, index: Index) -> Index:
        """Put rows in place; where another process was first, its own are given."""
        _write(folder / "index.json", index)
        try:
            # Fails where there is a folder with something in it: the first one stays for ever.
            folder.rename(self.rows)
        except OSError as error:
            if not self.rows.is_dir():
                raise of_disk(error, self.rows) from error
        JobFolder(self.path).settle()
        return self.index() or index

    def index(self) -> Index | None:
        """Which rows there are; None where they have not been written yet."""
        return _read(self.rows / "index.json", Index)

    def sweep(self) -> None:
        """Delete rows that a process had begun to write, and was killed."""
        for folder in self.path.glob("rows-*"):
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < time.time() - ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)

    # -- what is planned --------------------------------------------------------------------

    def part(self, number: int) -> PlannedPart | None:
        """A part that is planned."""
        return _read(self._part_path(number), PlannedPart)

    def keep_part(self, number: int, part: PlannedPart) -> None:
        """Remember that a part is planned."""
        _write(self._part_path(number), part)

    def _part_path(self, number: int) -> Path:
        return self.path / "parts" / f"{number:05d}.json"

    def manifest(self) -> Manifest | None:
        """The job as it was planned; None where that is not done."""
        return _read(self.path / "manifest.json", Manifest)

    def keep_manifest(self, manifest: Manifest) -> None:
        """Say that all is planned."""
        _write(self.path / "manifest.json", manifest)

    def planned(self) -> Manifest:
        """The job as it was planned. Raises ``UsageError`` where it has not been."""
        found = self.manifest()
        if found is None:
            raise UsageError(
                f"there is no planned job {self.job!r} in {self.path.parent}: call plan() first, "
                "with the same job and home"
            )
        return found


def _write(path: Path, record: BaseModel) -> None:
    try:
        with JobFolder(path.parent).written(path) as file:
            file.write(record.model_dump_json().encode())
    except FileNotFoundError as error:
        raise of_disk(error, path) from error


def _read(path: Path, kind: type[Model]) -> Model | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise of_disk(error, path) from error
    except ValueError:
        raise LedgerError(f"{path} is damaged: it is not what was written") from None
