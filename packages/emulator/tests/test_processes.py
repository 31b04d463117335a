"""Emulators that stop, are killed, live in another process, and are found by pytest."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

from ai_batch.emulator import Emulator, Fault, Limits, RemoteEmulator, Timing, item_key
from ai_batch.emulator.json_types import JsonObject
from ai_batch.emulator.options import OptionArguments, Options

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab

ROOT = Path(__file__).parents[1]


def test_a_home_outlives_the_emulator(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """Files, batches, stats and the moved clock are there again after a stop."""
    emulator = Emulator(home=tmp_path, timing=Timing(in_progress=100))
    with emulator:
        lab = make_lab(emulator)
        batch = lab.submit(lab.lines(3), metadata={"a": "b"})
        emulator.advance(seconds=50)
        before = emulator.stats
        url = emulator.openai_url
    with emulator:
        assert emulator.openai_url == url
        assert emulator.stats == before
        assert lab.get(batch).metadata == {"a": "b"}
        assert lab.get(batch).status == "in_progress"
        emulator.advance(seconds=51)
        ended = lab.get(batch)
        assert ended.status == "completed"
        assert len(lab.rows(ended.output_file_id)) == 3
    other = Emulator(home=tmp_path)
    with other:
        assert make_lab(other).get(batch) == ended
        assert len(make_lab(other).rows(ended.output_file_id)) == 3


def test_without_a_home_everything_is_forgotten(make_lab: Callable[..., Lab]) -> None:
    """The temporary folder is gone after the stop."""
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            lab = make_lab(emulator)
            assert lab.client.batches.list().data == []
            lab.run(lab.lines(1))


def test_an_interrupted_run_is_repeated_and_counted_once(
    make_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """A batch whose work was abandoned by a stop is done anew after the next start."""
    begun = threading.Event()

    def slow(endpoint: str, body: JsonObject) -> None:  # noqa: ARG001
        begun.set()
        time.sleep(0.001)

    emulator = Emulator(home=tmp_path, answer=slow)
    with emulator:
        lab = make_lab(emulator)
        batch = lab.submit(lab.lines(700))
        assert begun.wait(5)
    with emulator:
        assert lab.ended(batch).status == "completed"
        assert emulator.stats.items_executed == 700
        assert emulator.stats.executed_twice() == []


def test_a_running_batch_can_be_cancelled(make_lab: Callable[..., Lab]) -> None:
    """Rows that are done stay; the others are cancelled, and the counts tell how far it is."""

    def slow(endpoint: str, body: JsonObject) -> None:  # noqa: ARG001
        time.sleep(0.001)

    lab = make_lab(answer=slow)
    batch = lab.submit(lab.lines(3000))
    while (seen := lab.get(batch).request_counts) is None or seen.completed == 0:
        assert lab.get(batch).status in {"validating", "in_progress"}
    lab.client.batches.cancel(batch.id)
    batch = lab.ended(batch)
    assert batch.status == "cancelled"
    done, undone = lab.rows(batch.output_file_id), lab.rows(batch.error_file_id)
    assert len(done) + len(undone) == 3000
    assert len(done) == lab.emulator.stats.items_executed < 3000


def test_one_home_has_one_emulator(tmp_path: Path) -> None:
    """A second emulator on the same home fails at once, instead of mixing up both."""
    with Emulator(home=tmp_path), pytest.raises(sqlite3.OperationalError, match="locked"):
        Emulator(home=tmp_path).start()


def test_every_option_can_be_given_to_an_emulator() -> None:
    """The keyword arguments are exactly the options that the emulator's parts read."""
    assert set(OptionArguments.__annotations__) == {each.name for each in fields(Options)}


def test_a_failed_start_leaves_nothing_behind(tmp_path: Path) -> None:
    """If the port is taken, the home is free again."""
    with Emulator() as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            Emulator(home=tmp_path, port=port).start()
    with Emulator(home=tmp_path):
        pass


def test_an_emulator_that_does_not_run_says_so() -> None:
    """Stats of a stopped emulator and a second start are mistakes."""
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="does not run"):
        _ = emulator.stats
    with emulator, pytest.raises(RuntimeError, match="runs already"):
        emulator.start()
    emulator.stop()


def test_the_clock_only_moves_forward(make_lab: Callable[..., Lab]) -> None:
    """Hours, minutes, seconds and durations add up; there is no way back."""
    lab = make_lab()
    first = lab.upload(lab.lines(1)).created_at
    lab.emulator.advance(timedelta(days=1), hours=1, minutes=1, seconds=1)
    assert 90_061 <= lab.upload(lab.lines(1)).created_at - first <= 90_066
    with pytest.raises(ValueError, match="forward"):
        lab.emulator.advance(seconds=-1)


def test_a_reset_forgets_everything(make_lab: Callable[..., Lab]) -> None:
    """Afterwards the emulator is as new, but for its ids, which never come twice."""
    lab = make_lab(timing=Timing(in_progress=100))
    before = lab.submit(lab.lines(1))
    lab.emulator.inject(Fault(status=500, route="batches.*"))
    lab.emulator.advance(hours=1)
    lab.emulator.reset()
    assert lab.client.files.list().data == []
    assert lab.client.batches.list().data == []
    stats = lab.emulator.stats
    assert (stats.batches_created, stats.items_executed, dict(stats.executions)) == (0, 0, {})
    after = lab.submit(lab.lines(1))
    assert after.id != before.id
    assert after.created_at - before.created_at < 60


def test_stats_tell_what_ran_twice(make_lab: Callable[..., Lab]) -> None:
    """An item is known by its content, whatever it is called; a failed try is not billed."""
    answers: list[tuple[int, JsonObject]] = [(500, {}), (200, {}), (200, {})]

    def answer(endpoint: str, body: JsonObject) -> tuple[int, JsonObject]:  # noqa: ARG001
        return answers.pop(0)

    lab = make_lab(answer=answer)
    line = lab.line(0)
    key = item_key(line["url"], line["body"])
    for executed, billed in ((1, 0), (2, 1), (3, 2)):
        lab.run([{**line, "custom_id": f"attempt-{executed}"}])
        stats = lab.emulator.stats
        assert (stats.items_executed, stats.items_billed) == (executed, billed)
        assert stats.executions == {key: executed}
        assert stats.executed_twice() == ([key] if executed > 1 else [])
        assert stats.billed_twice() == ([key] if billed > 1 else [])
        assert stats.items_executed_more_than_once == len(stats.executed_twice())


def test_stats_count_calls_and_files(make_lab: Callable[..., Lab]) -> None:
    """Each route is counted, those that failed too; items can be left uncounted."""
    lab = make_lab(track_items=False)
    batch = lab.run(lab.lines(2))
    lab.client.files.delete(batch.input_file_id)
    with pytest.raises(openai.NotFoundError):
        lab.client.files.delete(batch.input_file_id)
    stats = lab.emulator.stats
    assert (stats.files_uploaded, stats.files_deleted, stats.files_live) == (1, 1, 1)
    assert stats.requests["files.delete"] == 2
    assert stats.requests["files.upload"] == stats.creates_attempted == 1
    assert stats.batches_by_status == {"completed": 1}
    assert stats.items_executed == 2
    assert dict(stats.executions) == {}


def test_a_spawned_emulator_survives_a_kill(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """Killed and started again it has the same address, clock, batches and stats."""
    with Emulator.spawn(
        home=tmp_path,
        faults=[Fault(route="files.list", nth=1, status=500)],
        timing=Timing(validating=(1, 2), in_progress=100),
        seed=3,
    ) as emulator:
        lab = make_lab(emulator)
        with pytest.raises(openai.InternalServerError):
            lab.client.files.list()
        batch = lab.submit(lab.lines(5))
        emulator.advance(seconds=50)
        assert lab.get(batch).status == "in_progress"
        before = emulator.stats
        emulator.kill()
        with pytest.raises(openai.APIConnectionError):
            lab.get(batch)
        emulator.restart()
        assert emulator.stats.batches_created == before.batches_created == 1
        emulator.advance(seconds=60)
        ended = lab.get(batch)
        assert ended.status == "completed"
        assert len(lab.rows(ended.output_file_id)) == 5
        assert emulator.stats.executed_twice() == []
        assert len(emulator.stats.executions) == 5
        emulator.reset()
        assert emulator.stats.batches_created == 0


def test_an_emulator_is_controlled_from_elsewhere(lab: Lab) -> None:
    """All controls work over HTTP, with either form of the address."""
    remote = RemoteEmulator(lab.emulator.openai_url)
    assert remote.openai_url == lab.emulator.openai_url
    fault = Fault(route="files.list", nth=1, status=429, headers={"retry-after": "1"})
    assert remote.inject(fault) == fault
    with pytest.raises(openai.RateLimitError):
        lab.client.files.list()
    remote.inject(Fault(status=500))
    remote.clear_faults()
    batch = lab.run(lab.lines(1))
    assert remote.stats == lab.emulator.stats
    remote.advance(hours=1)
    assert lab.submit(lab.lines(1)).created_at - batch.created_at >= 3600
    with pytest.raises(ValueError, match="0 or more"):
        remote.advance(seconds=-1)
    remote.reset()
    assert remote.stats.batches_created == 0


def test_a_spawned_emulator_takes_all_options(make_lab: Callable[..., Lab]) -> None:
    """Options reach the process: keys, limits and lengths."""
    with Emulator.spawn(
        answer="canned",
        api_keys=["k1"],
        limits=Limits(enqueued_tokens={"gpt-4o-mini": 1}, requests_per_minute=5),
        embedding_dimensions=3,
        track_items=False,
    ) as emulator:
        with pytest.raises(openai.AuthenticationError):
            make_lab(emulator).client.models.list()
        lab = make_lab(emulator, api_key="k1")
        assert lab.run(lab.lines(1)).status == "failed"
        vector = lab.client.embeddings.create(model="m", input="x").data[0].embedding
        assert len(vector) == 3


def test_a_spawned_emulator_needs_a_named_function() -> None:
    """A function cannot be handed to another process, and a process that fails says so."""
    with pytest.raises(RuntimeError, match="ended before"):
        Emulator.spawn(answer="ecko").start()
    with Emulator() as taken, pytest.raises(RuntimeError, match="ended before"):
        Emulator.spawn(port=int(taken.url.rsplit(":", 1)[1])).start()


def test_the_command_takes_a_function(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """`module:name` is imported in the emulator's process."""
    (tmp_path / "mine.py").write_text("def answer(endpoint, body): return {'mine': True}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-m", "ai_batch.emulator", "--answer", "mine:answer"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        lab = make_lab(RemoteEmulator(line.split()[-1]))
        (row,) = lab.rows(lab.run(lab.lines(1)).output_file_id)
        process.terminate()
    assert line.startswith("ai-batch emulator: http://127.0.0.1:")
    assert row["response"]["body"] == {"mine": True}
    assert process.returncode == 0


def test_pytest_gets_a_fixture(tmp_path: Path) -> None:
    """Other projects' tests have an emulator each, and the plug-in itself imports no server."""
    (tmp_path / "test_it.py").write_text(
        "import sys, urllib.request\n"
        "def test_light():\n"
        "    assert 'starlette' not in sys.modules and 'uvicorn' not in sys.modules\n"
        "import os\n"
        "def test_fixture(ai_batch_emulator):\n"
        "    assert ai_batch_emulator.stats.batches_created == 0\n"
        "    assert ai_batch_emulator.openai_url.endswith('/v1')\n"
        "    assert os.environ['OPENAI_BASE_URL'] == ai_batch_emulator.openai_url\n"
        "    assert 'AI_BATCH_HOME' in os.environ\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ai_batch.emulator.pytest_plugin"]
    found = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        env={
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 passed" in found.stdout


def test_it_listens_where_it_is_told(make_lab: Callable[..., Lab]) -> None:
    """An IPv6 address has brackets in the URL."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with Emulator(host="::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
        assert make_lab(emulator).client.models.list().data
