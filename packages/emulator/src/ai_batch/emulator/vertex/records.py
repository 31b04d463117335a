"""What is remembered of a batch prediction job."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from ai_batch.emulator.durations import Durations
from ai_batch.emulator.gemini.records import Executed

DAY = 86_400

Check: TypeAlias = Literal["pending", "passed", "failed"]
_LEGACY = ("text-embedding", "textembedding", "text-multilingual-embedding")


def time_text(moment: float) -> str:
    """Return a time as the vendor writes it: microseconds, and a Z."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def project_number(project: str) -> str:
    """Return the number that the vendor shows in place of a project's id."""
    if project.isdecimal():
        return project
    digest = hashlib.blake2b(project.encode(), digest_size=8).digest()
    return str(10**11 + int.from_bytes(digest, "big") % (9 * 10**11))


class JobError(msgspec.Struct, frozen=True):
    """Why a job failed: a gRPC code, and words."""

    code: int
    message: str


class VertexJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job: what was asked for, and what has been done about it so far."""

    id: str
    serial: int
    created_at: float
    project: str
    location: str
    display_name: str
    model: str
    input_uris: list[str]
    output_prefix: str
    labels: dict[str, str]
    durations: Durations
    fails: bool = False
    partial: bool = False
    several_files: bool = False
    check: Check = "pending"
    error: JobError | None = None
    total: int = 0
    cancel_at: float | None = None
    executed: Executed | None = None

    @property
    def parent(self) -> str:
        """The location that the job belongs to, by the project's number."""
        return f"projects/{project_number(self.project)}/locations/{self.location}"

    @property
    def name(self) -> str:
        """The resource name of the job."""
        return f"{self.parent}/batchPredictionJobs/{self.id}"

    @property
    def short_model(self) -> str:
        """The model's name without its publisher."""
        return self.model.rsplit("/", 1)[-1]

    @property
    def embeds(self) -> bool:
        """Tell whether the job makes vectors."""
        return "embedding" in self.short_model

    @property
    def is_legacy(self) -> bool:
        """Tell whether its lines are the instances and predictions of older models."""
        return self.short_model.startswith(_LEGACY)

    @property
    def output_directory(self) -> str:
        """The `gs://` address that the predictions are put under."""
        prefix = self.output_prefix.rstrip("/")
        return f"{prefix}/prediction-model-{time_text(self.created_at)}"
