"""Runs an emulator until it is told to end."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from ai_batch.emulator.command_line import emulator_from


def main(arguments: list[str] | None = None) -> None:
    """Run the command `python -m ai_batch.emulator`."""
    signal.signal(signal.SIGTERM, _interrupt)
    with emulator_from(arguments) as emulator:
        # The first line tells a parent process the port.
        sys.stdout.write(f"ai-batch emulator: {emulator.openai_url}\n")
        sys.stdout.flush()
        try:
            emulator.wait()
        except KeyboardInterrupt:
            return


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
