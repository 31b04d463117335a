"""Answer thousands to billions of LLM requests through the vendors' own batch APIs."""

from typing import TYPE_CHECKING

from ai_batch.core.clients import ChatClient, DescribedClient, Embedder
from ai_batch.core.errors import (
    AIBatchError,
    AuthenticationFailed,
    BatchFailed,
    LeaseLost,
    LedgerError,
    LedgerUnavailable,
    NoRoom,
    NotApproved,
    OutcomeUnknown,
    Problem,
    ProviderError,
    ProviderNotInstalled,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
    UsageError,
    VendorFault,
)
from ai_batch.core.estimate import Estimate
from ai_batch.core.events import (
    CompleteEvent,
    ErrorEvent,
    Event,
    ItemEvent,
    Progress,
    ProgressEvent,
)
from ai_batch.core.messages import (
    Audio,
    Document,
    Image,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    assistant,
    system,
    tool_result,
    user,
)
from ai_batch.core.options import Options
from ai_batch.core.processor import NativeProcessor, Processor
from ai_batch.core.provider import Limits
from ai_batch.core.records import JobRecord
from ai_batch.core.registry import load_provider, providers
from ai_batch.core.requests import ChatRequest, EmbeddingRequest, OutputSchema, Request
from ai_batch.core.response import BatchResponse
from ai_batch.core.results import (
    ChatResponse,
    EmbeddingResponse,
    FinishReason,
    ItemError,
    Result,
    Usage,
)
from ai_batch.core.seals import SpoolDamaged

if TYPE_CHECKING:
    from ai_batch.core.checkup import Damage
    from ai_batch.core.job import Job
    from ai_batch.core.ledger import Ledger
    from ai_batch.core.work import WorkEvent, WorkReport
    from ai_batch.core.worker import Worker

__all__ = [
    "AIBatchError",
    "Audio",
    "AuthenticationFailed",
    "BatchFailed",
    "BatchResponse",
    "ChatClient",
    "ChatRequest",
    "ChatResponse",
    "CompleteEvent",
    "Damage",
    "DescribedClient",
    "Document",
    "Embedder",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "ErrorEvent",
    "Estimate",
    "Event",
    "FinishReason",
    "Image",
    "ItemError",
    "ItemEvent",
    "Job",
    "JobRecord",
    "LeaseLost",
    "Ledger",
    "LedgerError",
    "LedgerUnavailable",
    "Limits",
    "Message",
    "NativeProcessor",
    "NoRoom",
    "NotApproved",
    "Options",
    "OutcomeUnknown",
    "OutputSchema",
    "Part",
    "Problem",
    "Processor",
    "Progress",
    "ProgressEvent",
    "ProviderError",
    "ProviderNotInstalled",
    "ProviderUnavailable",
    "QueueFull",
    "QuotaExhausted",
    "RateLimited",
    "RemoteNotFound",
    "Request",
    "RequestRefused",
    "Result",
    "Role",
    "SpoolDamaged",
    "Text",
    "Thinking",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Usage",
    "UsageError",
    "VendorFault",
    "WorkEvent",
    "WorkReport",
    "Worker",
    "assistant",
    "load_provider",
    "providers",
    "system",
    "tool_result",
    "user",
]


def __getattr__(name: str) -> object:
    # These bring asyncio and SQLite along, which not everyone who imports a request needs.
    if name == "Job":
        from ai_batch.core.job import Job

        return Job
    if name == "Damage":
        from ai_batch.core.checkup import Damage

        return Damage
    if name == "Ledger":
        from ai_batch.core.ledger import Ledger

        return Ledger
    if name == "Worker":
        from ai_batch.core.worker import Worker

        return Worker
    if name in ("WorkEvent", "WorkReport"):
        from ai_batch.core import work

        return getattr(work, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
