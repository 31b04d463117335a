"""What an emulator can be told when it is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict

from ai_batch.emulator.json_types import JsonObject

Seconds: TypeAlias = float | tuple[float, float]
AnswerFunction: TypeAlias = Callable[[str, JsonObject], JsonObject | tuple[int, JsonObject] | None]
ModelPredicate: TypeAlias = Callable[[str], bool]

DEFAULT_WEBHOOK_SECRET = "whsec_ZW11bGF0b3ItZW11bGF0b3ItZW11bGF0b3I="  # noqa: S105 - no secret


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a batch stays in each state, in seconds of the emulator's clock.

    A pair is a range: each batch draws its own duration from it, by the emulator's seed.
    """

    validating: Seconds = 0.0
    in_progress: Seconds = 0.0
    finalizing: Seconds = 0.0
    cancelling: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """OpenAI's limits; the defaults are those that the vendor publishes.

    `enqueued_tokens` holds for each model on its own: one number for all, or a mapping by model.
    `requests_per_minute` holds for the live endpoints. `None` means no limit.
    """

    enqueued_tokens: int | Mapping[str, int] | None = None
    max_requests: int = 50_000
    max_file_bytes: int = 200_000_000
    max_embedding_inputs: int = 50_000
    creates_per_hour: int = 2000
    requests_per_minute: int | None = None

    def enqueued_tokens_of(self, model: str) -> int | None:
        """Return the number of tokens of this model that may wait at once."""
        if isinstance(self.enqueued_tokens, Mapping):
            return self.enqueued_tokens.get(model)
        return self.enqueued_tokens


@dataclass(frozen=True, slots=True)
class AnthropicLimits:
    """Anthropic's limits; the defaults are those that the vendor publishes.

    `queued_requests` are those of all batches that have not ended; `requests_per_minute` holds for
    the live endpoints. `None` means no limit.
    """

    max_requests: int = 100_000
    max_body_bytes: int = 256_000_000
    max_live_body_bytes: int = 32_000_000
    queued_requests: int | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class GeminiLimits:
    """The limits of the Gemini Developer API; the defaults are those that the vendor publishes.

    `concurrent_batches` are those that have not ended. `enqueued_tokens` holds for each model on
    its own: one number for all, or a mapping by model. `requests_per_minute` holds for the live
    endpoints. `None` means no limit.
    """

    concurrent_batches: int | None = 100
    enqueued_tokens: int | Mapping[str, int] | None = None
    max_inline_bytes: int = 20 * 1024**2
    max_file_bytes: int = 2 * 1024**3
    max_storage_bytes: int = 20 * 1024**3
    requests_per_minute: int | None = None

    def enqueued_tokens_of(self, model: str) -> int | None:
        """Return the number of tokens of this model that may wait at once."""
        if isinstance(self.enqueued_tokens, Mapping):
            return self.enqueued_tokens.get(model)
        return self.enqueued_tokens


@dataclass(frozen=True, slots=True)
class VertexLimits:
    """The limits of Vertex AI; the defaults are those that the vendor publishes.

    `requests_per_minute` holds for the live endpoints. `None` means no limit.
    """

    max_requests: int = 200_000
    max_input_bytes: int = 1024**3
    requests_per_minute: int | None = None


def known_unless_no_such(model: str) -> bool:
    """Tell whether the vendor has this model: all but those named `no-such...`."""
    return not model.startswith("no-such")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options of one emulator, as its parts see them."""

    answer: str | AnswerFunction = "echo"
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    anthropic_limits: AnthropicLimits = field(default_factory=AnthropicLimits)
    gemini_limits: GeminiLimits = field(default_factory=GeminiLimits)
    vertex_limits: VertexLimits = field(default_factory=VertexLimits)
    seed: int = 0
    api_keys: Collection[str] | None = None
    webhooks: str | None = None
    webhook_secret: str = field(default=DEFAULT_WEBHOOK_SECRET, repr=False)
    track_items: bool = True
    known_model: ModelPredicate = known_unless_no_such
    embedding_dimensions: int | None = None


class OptionArguments(TypedDict, total=False):
    """The options as keyword arguments; `Emulator` describes them."""

    answer: str | AnswerFunction
    timing: Timing
    limits: Limits
    anthropic_limits: AnthropicLimits
    gemini_limits: GeminiLimits
    vertex_limits: VertexLimits
    seed: int
    api_keys: Collection[str] | None
    webhooks: str | None
    webhook_secret: str
    track_items: bool
    known_model: ModelPredicate
    embedding_dimensions: int | None
