"""Answer the rows of a Ray dataset through the vendors' batch APIs, in ray.data.llm's shape."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_batch.ray.collecting import collect
    from ai_batch.ray.config import BatchAPIProcessorConfig, QueueLimits
    from ai_batch.ray.failures import RowsFailed, StepFailed
    from ai_batch.ray.folder import Manifest, PlannedPart
    from ai_batch.ray.pipeline import BatchAPIProcessor, build_processor
    from ai_batch.ray.planning import plan
    from ai_batch.ray.working import work

__all__ = [
    "BatchAPIProcessor",
    "BatchAPIProcessorConfig",
    "Manifest",
    "PlannedPart",
    "QueueLimits",
    "RowsFailed",
    "StepFailed",
    "build_processor",
    "collect",
    "plan",
    "work",
]

_HOMES = {
    "BatchAPIProcessor": "pipeline",
    "BatchAPIProcessorConfig": "config",
    "Manifest": "folder",
    "PlannedPart": "folder",
    "QueueLimits": "config",
    "RowsFailed": "failures",
    "StepFailed": "failures",
    "build_processor": "pipeline",
    "collect": "collecting",
    "plan": "planning",
    "work": "working",
}


def __getattr__(name: str) -> object:
    # What only asks for the names, such as a list of what is installed, need not wait for pydantic.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"ai_batch.ray.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
