"""A disk that is full or read-only: told in one message, mended, and nothing is paid for twice."""

from __future__ import annotations

import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_batch.emulator import Fault

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell

ROWS = 3000

IMPATIENT = """
import ai_batch.core.patience
ai_batch.core.patience.NO_ROOM_WAITS = (0.1, 0.2, 0.4)
from ai_batch.cli.app import main
main()
"""
"""The command, with waits for room that a test can wait for."""

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
os.execv(sys.argv[1], sys.argv[1:])
"""


@cache
def mounts() -> bool:
    """Whether this user may have a disk of their own, as most systems allow."""
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]  # noqa: S108
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def script(shell: Shell, text: str) -> str:
    """Run a shell's script in which the home is a disk of its own, of four megabytes.

    ``ai`` is the command, and an impatient one. What goes wrong is told on the same output.
    """
    home = Path(shell.environment["AI_BATCH_HOME"])
    home.mkdir(exist_ok=True)
    shell.write("impatient.py", IMPATIENT)
    python = f"{shlex.quote(sys.executable)} -W error"
    head = f"""
mount -t tmpfs -o size=4m,mode=0700 tmpfs {home}
ai() {{ {python} impatient.py "$@"; }}
patient() {{ {python} -m ai_batch.cli "$@"; }}
"""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", head + text],  # noqa: S607
        cwd=shell.folder,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


RUN = "run in.csv --prompt '{text}' -p openai -m gpt-4o-mini -o out.csv -O poll_interval=0.1"
FILL = 'dd if=/dev/zero of="$AI_BATCH_HOME/filler" bs=4k 2>/dev/null'
EMPTY = 'rm "$AI_BATCH_HOME/filler"'


def paid_once(shell: Shell) -> None:
    """All answers are there, and the vendor has counted each request once."""
    assert [row["content"] for row in shell.read_csv()] == [f"text {n}" for n in range(ROWS)]
    stats = shell.emulator.stats
    assert (stats.batches_created, stats.items_billed) == (1, ROWS)


def limited(shell: Shell, *arguments: str) -> tuple[int, str]:
    """Run the command so that no file of it may grow beyond 300 kB; its code and its errors."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *shell.command(*arguments)],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_download_that_is_not_let_in_can_be_resumed(shell: Shell) -> None:
    """Exit code 4 and what to do; afterwards resume has everything, for nothing."""
    left = shell.run(shell.table(rows=ROWS), "--prompt", "{text}", "--detach", output="out.csv")
    assert left.code == 0, left.err

    code, errors = limited(shell, "resume", "last")
    done = shell("resume", "last")

    assert code == 4, errors
    assert "may not grow further" in errors
    assert "Traceback" not in errors
    assert done.code == 0, done.err
    paid_once(shell)


def test_a_full_disk_ends_the_command_and_room_brings_it_back(shell: Shell) -> None:
    """Tried for a while, then exit code 4; with room the same job is written, for nothing."""
    if not mounts():
        # Where nobody may mount, the limit of a file's size stands in for the disk's.
        test_a_download_that_is_not_let_in_can_be_resumed(shell)
        return
    shell.table(rows=ROWS)

    found = script(
        shell,
        f"ai {RUN} --detach; echo detached $?\n{FILL}\n"
        "ai resume last; echo full $?\n"
        f"{EMPTY}\nai jobs; ai resume last; echo room $?\n",
    )

    assert "detached 0" in found
    assert "full 4" in found, found
    assert "no room left on the disk" in found
    assert "trying again in" in found
    assert "room 0" in found, found
    paid_once(shell)


def test_room_that_is_made_in_time_needs_no_resume(shell: Shell) -> None:
    """Where somebody makes room while it is waited for, the command goes on by itself."""
    if not mounts():
        test_a_download_that_is_not_let_in_can_be_resumed(shell)
        return
    shell.table(rows=ROWS)
    # The disk has room while it is polled for, and is full once the results come.
    shell.emulator.inject(Fault(route="files.content", nth=1, delay=3))

    found = script(
        shell,
        f"""
patient {RUN} & running=$!
until ls "$AI_BATCH_HOME"/jobs/*/*.output.jsonl.*.tmp >/dev/null 2>&1; do
    kill -0 $running || exit 1
    sleep 0.05
done
{FILL}
sleep 8
{EMPTY}
wait $running; echo ended $?
""",
    )

    assert "trying again in" in found, found
    assert "ended 0" in found, found
    paid_once(shell)


def test_a_disk_that_is_full_from_the_start_takes_no_job(shell: Shell) -> None:
    """Nothing is sent, there is no job, and the same command works once there is room."""
    shell.table(rows=ROWS)
    if not mounts():
        arguments = ("run", "in.csv", "--prompt", "{text}", "-p", "openai", "-m", "gpt-4o-mini")
        code, errors = limited(shell, *arguments, "-o", "out.csv")
        assert (code, "may not grow further" in errors) == (4, True), errors
        assert shell.run("in.csv", "--prompt", "{text}", output="out.csv").code == 0
        paid_once(shell)
        return

    found = script(
        shell,
        f"ai jobs; {FILL}\nai {RUN}; echo full $?\n{EMPTY}\nai jobs\nai {RUN}; echo room $?\n",
    )

    assert "full 4" in found, found
    assert found.count("there are no jobs in") == 2
    assert "no room left on the disk" in found
    assert "room 0" in found, found
    paid_once(shell)


@pytest.mark.parametrize("command", ["jobs", "run"])
def test_a_home_on_a_read_only_disk_is_told(shell: Shell, command: str) -> None:
    """What nobody can write to names the place, and how to choose another."""
    # In a container it is mounted read-only, elsewhere the kernel lets nobody make a folder there.
    shell.environment["AI_BATCH_HOME"] = "/sys/ai-batch"

    done = shell("jobs") if command == "jobs" else shell.run(shell.table(), "--prompt", "{text}")

    assert done.code == 4
    assert "/sys/ai-batch can't be read or written" in done.err
    assert "Choose another place with --home" in done.err
    assert shell.emulator.stats.items_billed == 0


def test_a_home_that_has_become_read_only_goes_on_once_it_is_mended(shell: Shell) -> None:
    """A job on it can't be worked on, says so, and is finished afterwards, for nothing."""
    shell.table(rows=ROWS)
    if not mounts():
        left = shell.run("in.csv", "--prompt", "{text}", "--detach", output="out.csv")
        home = Path(shell.environment["AI_BATCH_HOME"])
        home.rename(home.with_name("elsewhere"))
        home.symlink_to("/sys/ai-batch")
        refused = shell("resume", "last")
        home.unlink()
        home.with_name("elsewhere").rename(home)
        assert (left.code, refused.code, shell("resume", "last").code) == (0, 4, 0)
        paid_once(shell)
        return

    found = script(
        shell,
        f"ai {RUN} --detach; echo detached $?\nmount -o remount,ro $AI_BATCH_HOME\n"
        "ai resume last; echo refused $?\n"
        "mount -o remount,rw $AI_BATCH_HOME\nai resume last; echo mended $?\n",
    )

    assert "refused 4" in found, found
    assert "Choose another place with --home or AI_BATCH_HOME" in found
    assert "mended 0" in found, found
    paid_once(shell)
