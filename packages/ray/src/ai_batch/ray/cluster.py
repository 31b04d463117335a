"""All that Ray is called for. Its types are partly missing, so they end here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ai_batch.core.errors import AIBatchError, mask
from ai_batch.ray.failures import StepFailed

if TYPE_CHECKING:
    from pydantic import JsonValue
    from ray.data import Dataset

__all__ = ["dataset_of", "machines", "notes_of", "read_parts", "run_tasks", "source_of"]

Value = TypeVar("Value")

DEATHS = 3
"""How often a task is begun again whose process has died."""


def machines() -> int:
    """How many machines the cluster has; starts Ray, or connects to it, where that is not done."""
    import ray

    library = cast("Any", ray)
    if not library.is_initialized():
        library.init()
    return sum(1 for node in library.nodes() if node["Alive"])


def source_of(dataset: Dataset) -> dict[str, JsonValue]:
    """What can be said of a dataset's rows without reading them."""
    import ray.data

    given = cast("Any", dataset)
    known: dict[str, JsonValue] = {}
    if names := given.columns(fetch_if_missing=False):
        known["columns"] = list(names)
    if files := sorted(given.input_files()):
        known["files"] = hashlib.blake2b("\n".join(files).encode(), digest_size=12).hexdigest()
    if isinstance(dataset, cast("Any", ray.data).dataset.MaterializedDataset):
        known["rows"] = int(given.count())
    return known


def notes_of(
    dataset: Dataset, store: Callable[..., Any], arguments: Mapping[str, Any]
) -> Iterator[str]:
    """What ``store`` notes of each block, in the order of the rows.

    It gets a block as a table of Arrow, and the arguments by keyword.
    """
    # A batch format of numpy would make arrays of nested values, which JSON does not have.
    noted = cast("Any", dataset).map_batches(
        store, batch_size=None, batch_format="pyarrow", fn_kwargs=dict(arguments)
    )
    options = noted.context.execution_options
    before = options.preserve_order
    # The context is that of the user's own dataset.
    options.preserve_order = True
    try:
        for row in noted.iter_rows():
            yield str(row["note"])
    finally:
        options.preserve_order = before


def run_tasks(
    function: Callable[..., Value],
    calls: Iterable[Sequence[Any]],
    *,
    at_once: int | None,
) -> Iterator[Value]:
    """The results of a task per call, as they come; raises what the first failed one raised.

    A task whose process dies is begun again.
    """
    import ray

    library = cast("Any", ray)
    task = library.remote(function).options(max_retries=DEATHS)
    room = at_once or max(int(library.cluster_resources().get("CPU", 1)), 1)
    running: list[Any] = []
    for call in calls:
        if len(running) >= room:
            yield _taken(library, running)
        running.append(task.remote(*call))
    while running:
        yield _taken(library, running)


def _taken(library: Any, running: list[Any]) -> Any:
    """The result of whichever task ends first, which is running no longer."""
    (ready,), _ = library.wait(running, num_returns=1)
    running.remove(ready)
    try:
        return library.get(ready)
    except library.exceptions.RayTaskError as error:
        if isinstance(error.cause, AIBatchError):
            raise error.cause from None
        raise StepFailed(mask(str(error.cause))) from None
    except library.exceptions.RayError as error:
        raise StepFailed(mask(f"a task was lost: {error}")) from None


def read_parts(
    numbers: Sequence[int],
    read: Callable[..., Iterator[Any]],
    arguments: Mapping[str, Any],
    *,
    at_once: int | None,
) -> Dataset:
    """A dataset of what ``read`` yields for each part, in their order and one task for each."""
    import ray.data

    library = cast("Any", ray.data)
    items = [{"part": number} for number in numbers]
    parts = library.from_items(items, override_num_blocks=len(items))
    parts.context.execution_options.preserve_order = True
    return cast(
        "Dataset",
        parts.map_batches(
            read,
            batch_size=1,
            batch_format="pyarrow",
            fn_kwargs=dict(arguments),
            compute=library.TaskPoolStrategy(size=at_once),
        ),
    )


def dataset_of(table: Any) -> Dataset:
    """A dataset of a table of Arrow."""
    import ray.data

    return cast("Dataset", cast("Any", ray.data).from_arrow(table))
