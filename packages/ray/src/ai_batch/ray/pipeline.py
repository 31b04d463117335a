"""The three steps in one call, in the shape of ray.data.llm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_batch.ray.asking import Preprocess
from ai_batch.ray.collecting import Postprocess, collect
from ai_batch.ray.config import BatchAPIProcessorConfig
from ai_batch.ray.planning import plan
from ai_batch.ray.working import work

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["BatchAPIProcessor", "build_processor"]


class BatchAPIProcessor:
    """Answers the rows of a dataset: ``processor(dataset)`` is the dataset with the answers."""

    def __init__(
        self,
        config: BatchAPIProcessorConfig,
        preprocess: Preprocess | None,
        postprocess: Postprocess | None,
    ) -> None:
        """Made by ``build_processor``."""
        self.config = config
        self._preprocess = preprocess
        self._postprocess = postprocess

    def __call__(self, dataset: Dataset) -> Dataset:
        """Plan, work and collect, while this process waits: minutes to a day.

        The same call after a crash goes on, and gives the same answers once they are there.
        Raises what ``plan``, ``work`` and ``collect`` raise.
        """
        plan(dataset, self.config, self._preprocess)
        work(self.config)
        return collect(self.config, self._postprocess)


def build_processor(
    config: BatchAPIProcessorConfig,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
) -> BatchAPIProcessor:
    """A callable from dataset to dataset, as ``ray.data.llm.build_processor`` gives.

    ``preprocess`` maps a row to its request, ``postprocess`` a row with its answer to the row of
    the output. Unlike Ray's own, a call does its work at once, and waits for it: the cluster is
    held for as long as the vendor takes. ``plan``, ``work`` and ``collect`` hold nothing.
    """
    return BatchAPIProcessor(config, preprocess, postprocess)
