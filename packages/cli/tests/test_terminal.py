"""What somebody at a terminal sees, and what Ctrl-C does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from packages.cli.tests.screens import CTRL_C, Screen, Terminal

from ai_batch.emulator import Timing

if TYPE_CHECKING:
    from packages.cli.tests.conftest import Shell


@pytest.fixture
def terminal(make_shell: Callable[..., Shell]) -> Iterator[Callable[..., tuple[Shell, Terminal]]]:
    """Start a run on a terminal, before an emulator whose batches take so many seconds."""
    opened: list[Terminal] = []

    def start(seconds: float, *arguments: str) -> tuple[Shell, Terminal]:
        shell = make_shell(timing=Timing(in_progress=seconds))
        command = shell.command(
            "run", shell.table(rows=20), "--prompt", "{text}", "-p", "openai",
            "-m", "gpt-4o-mini", "-o", "out.csv", "-O", "poll_interval=0.2", *arguments,
        )  # fmt: skip
        made = Terminal(command, shell.folder, shell.environment)
        opened.append(made)
        return shell, made

    yield start
    for each in opened:
        each.end()


def test_a_job_is_drawn_while_it_runs(
    terminal: Callable[..., tuple[Shell, Terminal]],
) -> None:
    """A terminal shows a line per batch, a bar, counts, tokens and cost; the end stays."""
    shell, screen = terminal(2.0)

    screen.expect(r"batch +state +requests +done +failed +age")
    screen.expect(r"0001 +at provider +20 +\d+ +0 +\d+s")
    screen.expect(r"━+.* \d+% .*0/20 .*ETA ")
    screen.expect(r"0001 +collected +20 +20 +0 ")
    screen.expect(r"100% +20/20 +0 failed +[\d.]+/s +ETA 0s")
    screen.expect(r"[\d,]+ \+ [\d,]+ tokens, <?\$")

    assert screen.end() == 0
    assert "completed: 20 of 20 requests answered" in screen.text
    assert "\x1b[" in screen.raw
    assert len(shell.read_csv()) == 20
    head, columns, batch, bar, spent, *end = screen.screen.text.splitlines()[2:]
    assert head.split()[1] == "completed"
    assert columns.split() == ["batch", "state", "requests", "done", "failed", "age"]
    assert batch.split()[:5] == ["0001", "collected", "20", "20", "0"]
    assert "100% 20/20" in bar
    assert "tokens, " in spent
    assert [line.partition(":")[0] for line in end] == ["completed", "results"]


def test_a_screen_shows_what_a_terminal_would() -> None:
    """Moves, erasures, and lines that are written over."""
    screen = Screen(columns=10)

    screen.write("first\r\nsecond\r\nthird\x1b[2A\r\x1b[2Kone\x1b[1B\r\x1b[1;31mSE\x1b[0m")
    screen.write("\r\x1b[1B0123456789abc\b\bX")

    assert screen.text.splitlines() == ["one", "SEcond", "0123456789", "aXc"]


def test_ctrl_c_lets_go_and_says_how_to_come_back(
    terminal: Callable[..., tuple[Shell, Terminal]],
) -> None:
    """After Ctrl-C the job goes on at the provider, and resume gets its results."""
    shell, screen = terminal(6.0)
    screen.expect("at provider")

    screen.type(CTRL_C)
    job = screen.expect(r"come back with: ai-batch resume (job_\S+)").group(1)
    screen.expect("Press Ctrl-C again to cancel")
    code = screen.end()
    done = shell("resume", job)

    assert code == 130
    assert done.code == 0, done.err
    assert len(shell.read_csv()) == 20
    assert shell.emulator.stats.batches_created == 1


@pytest.mark.parametrize(
    ("answer", "code", "state"), [("y", 5, "cancelled"), ("n", 130, "running")]
)
def test_a_second_ctrl_c_offers_to_cancel(
    terminal: Callable[..., tuple[Shell, Terminal]], answer: str, code: int, state: str
) -> None:
    """The second Ctrl-C asks; only a yes cancels the job at the provider."""
    shell, screen = terminal(3600.0)
    screen.expect("at provider")

    screen.type(CTRL_C)
    screen.expect("Press Ctrl-C again to cancel")
    screen.type(CTRL_C)
    screen.expect(r"Cancel job_\S+ at the provider\?")
    screen.type(f"{answer}\n")

    assert screen.end() == code, screen.text
    assert [row["state"] for row in shell("jobs", "--json").json] == [state]


@pytest.mark.parametrize(("answer", "code", "billed"), [("y", 0, 20), ("", 5, 0)])
def test_a_costly_job_is_asked_about(
    terminal: Callable[..., tuple[Shell, Terminal]], answer: str, code: int, billed: int
) -> None:
    """From a threshold on, a terminal is asked first; without a yes there is no job."""
    shell, screen = terminal(0.0, "--ask-above", "0")

    screen.expect(r"20 requests, 1 batch, about")
    screen.expect(r"Go on\? \[y/N\]")
    screen.type(f"{answer}\n")

    assert screen.end() == code, screen.text
    assert shell.emulator.stats.items_billed == billed
    assert len(shell("jobs", "--json").json) == (1 if billed else 0)


def test_nobody_is_asked_who_has_said_yes(
    terminal: Callable[..., tuple[Shell, Terminal]],
) -> None:
    """--yes goes on without a question."""
    shell, screen = terminal(0.0, "--ask-above", "0", "--yes")

    assert screen.end() == 0
    assert "Go on?" not in screen.text
    assert shell.emulator.stats.items_billed == 20
