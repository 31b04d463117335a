"""What an emulator can be told when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias, TypedDict

from ai_batch.emulator.json_types import JsonObject

Seconds: TypeAlias = float | tuple[float, float]
AnswerFunction: TypeAlias = Callable[[str, JsonObject], JsonObject | tuple[int, JsonObject] | None]
PerModel: TypeAlias = int | Mapping[str, int] | None
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
class Latency:
    """How long live answers take: seconds of real time, log-normally distributed.

    Half of them take longer than the `median`; `sigma` is the standard deviation of the logarithm,
    0.4 for a mild spread (one in forty takes more than double), 1 for a long tail.
    """

    median: float
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.median < 0 or self.sigma < 0:
            msg = f"a latency's median and sigma must be 0 or more, not {self}"
            raise ValueError(msg)

    def draw(self, random: Random) -> float:
        """Return the seconds that one answer takes."""
        return self.median * math.exp(random.gauss(0.0, self.sigma))


def limit_of(limit: PerModel, model: str) -> int | None:
    """Return the limit of one model."""
    return limit.get(model) if isinstance(limit, Mapping) else limit


@dataclass(frozen=True, slots=True)
class Limits:
    """OpenAI's limits; the defaults are those that the vendor publishes.

    `enqueued_tokens`, and `requests_per_minute` and `tokens_per_minute` of the live endpoints,
    hold for each model on its own: one number for all, or a mapping by model. A live request
    counts its prompt, or its `max_tokens` if that is more
    (https://platform.openai.com/docs/guides/rate-limits). `None` means no limit.
    """

    enqueued_tokens: PerModel = None
    max_requests: int = 50_000
    max_file_bytes: int = 200_000_000
    max_embedding_inputs: int = 50_000
    creates_per_hour: int = 2000
    requests_per_minute: PerModel = None
    tokens_per_minute: PerModel = None

    def enqueued_tokens_of(self, model: str) -> int | None:
        """Return the number of tokens of this model that may wait at once."""
        return limit_of(self.enqueued_tokens, model)


@dataclass(frozen=True, slots=True)
class AnthropicLimits:
    """Anthropic's limits; the defaults are those that the vendor publishes.

    `queued_requests` are those of all batches that have not ended. What is per minute holds for the
    live endpoint and for each model on its own: one number for all, or a mapping by model. Input
    that is read from the cache does not count, and output counts when it is there
    (https://platform.claude.com/docs/en/api/rate-limits). `None` means no limit.
    """

    max_requests: int = 100_000
    max_body_bytes: int = 256_000_000
    max_live_body_bytes: int = 32_000_000
    queued_requests: int | None = None
    requests_per_minute: PerModel = None
    input_tokens_per_minute: PerModel = None
    output_tokens_per_minute: PerModel = None


@dataclass(frozen=True, slots=True)
class GeminiLimits:
    """The limits of the Gemini Developer API; the defaults are those that the vendor publishes.

    `concurrent_batches` are those that have not ended. `enqueued_tokens`, and `requests_per_minute`
    and `tokens_per_minute` (of input) of the live endpoints, hold for each model on its own: one
    number for all, or a mapping by model. `None` means no limit.
    """

    concurrent_batches: int | None = 100
    enqueued_tokens: PerModel = None
    max_inline_bytes: int = 20 * 1024**2
    max_file_bytes: int = 2 * 1024**3
    max_storage_bytes: int = 20 * 1024**3
    requests_per_minute: PerModel = None
    tokens_per_minute: PerModel = None

    def enqueued_tokens_of(self, model: str) -> int | None:
        """Return the number of tokens of this model that may wait at once."""
        return limit_of(self.enqueued_tokens, model)


@dataclass(frozen=True, slots=True)
class VertexLimits:
    """The limits of Vertex AI; the defaults are those that the vendor publishes.

    `requests_per_minute` and `tokens_per_minute` (of input) hold for the live endpoints, and for
    each model on its own: one number for all, or a mapping by model. `None` means no limit.
    """

    max_requests: int = 200_000
    max_input_bytes: int = 1024**3
    requests_per_minute: PerModel = None
    tokens_per_minute: PerModel = None


def known_unless_no_such(model: str) -> bool:
    """Tell whether the vendor has this model: all but those named `no-such...`."""
    return not model.startswith("no-such")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options of one emulator, as its parts see them."""

    answer: str | AnswerFunction = "echo"
    timing: Timing = field(default_factory=Timing)
    latency: Seconds | Latency = 0.0
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
    latency: Seconds | Latency
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
