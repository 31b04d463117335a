"""The key shows nowhere: not in errors, logs, the ledger or the spool, whatever goes wrong."""

from __future__ import annotations

import contextlib
import logging
import pickle  # noqa: TID251 - what others do with our errors
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_batch.core import AIBatchError, ChatRequest, Job
from ai_batch.emulator import Emulator, Fault, Timing

if TYPE_CHECKING:
    from tests.conftest import Lab

CANARY = "sk-canary-4f1d2c7e9b8a"
ECHO: Any = {
    "error": {
        "message": f"Incorrect API key provided: {CANARY}. Bearer {CANARY}",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
}
HTML = f"<html>authorization: Bearer {CANARY}</html>"

FAULTS: dict[str, list[Fault]] = {
    "a refused key": [Fault(route="files.upload", status=401, body=ECHO)],
    "a forbidden create": [Fault(route="batches.create", status=403, body=ECHO)],
    "a refused poll": [Fault(route="batches.get", status=401, body=ECHO)],
    "a refused download": [Fault(route="files.content", status=401, body=ECHO)],
    "no credit": [
        Fault(
            route="batches.create",
            status=429,
            body={"error": {**ECHO["error"], "code": "insufficient_quota"}},
        )
    ],
    "a bad request": [Fault(route="files.upload", status=400, body=ECHO)],
    "a create that is too large": [Fault(route="batches.create", status=413, body=ECHO)],
    "a proxy's page": [Fault(route="*", times=3, status=502, body=HTML)],
    "an odd page": [Fault(route="batches.create", times=1, status=200, body=HTML)],
    "a cut upload": [Fault(route="files.upload", times=2, cut="before")],
    "a cut create": [Fault(route="batches.create", times=2, cut="after")],
    "a cut download": [Fault(route="files.content", times=2, cut_after_bytes=10)],
    "throttling": [Fault(route="*", times=4, status=429, body=ECHO)],
    "a lost file": [Fault(route="files.content", nth=1, status=404, body=ECHO)],
    "a failed cleanup": [Fault(route="files.delete", status=403, body=ECHO)],
    "garbage": [Fault(route="files.content", row="garbage", persistent=True)],
}


def shown(error: BaseException) -> str:
    """All that can be seen of an exception, here or in another process."""
    parts = ["".join(traceback.format_exception(error)), str(error), repr(error)]
    parts += [repr(vars(error)), repr(error.__cause__), repr(error.__context__)]
    with contextlib.suppress(TypeError):
        parts.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(parts)


def written(home: Path) -> str:
    """All that is on disk below the home, the ledger included."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.mark.parametrize("name", FAULTS)
def test_the_key_is_never_shown(lab: Lab, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Servers that echo the key, and libraries that hold it, do not bring it to light."""
    caplog.set_level(logging.DEBUG)
    for fault in FAULTS[name]:
        lab.emulator.inject(fault)
    seen: list[str] = []
    processor = lab.processor(api_key=CANARY, shard=2)
    try:
        job: Job = processor.submit(lab.questions(3))
        seen += [repr(job), repr(job.status())]
        response = job.join(timeout=3)
        seen += [repr(response), *(repr(result) for result in response)]
    except (AIBatchError, TimeoutError) as error:
        seen.append(shown(error))
    seen += [repr(processor), repr(processor.jobs()), written(lab.home)]
    seen += [record.getMessage() for record in caplog.records]
    seen += [record.exc_text or "" for record in caplog.records]
    assert CANARY not in "\n".join(seen)


def test_a_key_in_a_request_is_masked_in_errors(lab: Lab) -> None:
    """A request that holds a key by mistake does not show it in its error."""
    with pytest.raises(AIBatchError) as caught:
        lab.processor().process([{"messages": "x", "api_key": CANARY}])
    assert CANARY not in shown(caught.value)


def test_a_dead_server_shows_no_key(
    make_lab: Callable[..., Lab], caplog: pytest.LogCaptureFixture
) -> None:
    """A server that goes away while batches run leads to waits, not to leaks."""
    caplog.set_level(logging.DEBUG)
    server = Emulator(timing=Timing(in_progress=3600))
    with server:
        lab = make_lab(server)
        job = lab.processor(api_key=CANARY).submit([ChatRequest(messages="x")])
    with pytest.raises(TimeoutError) as caught:
        job.join(timeout=0.5)
    job.detach()
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert CANARY not in logged + shown(caught.value) + written(lab.home)
