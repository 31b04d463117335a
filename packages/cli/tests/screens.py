"""A command on a terminal of its own, and what is to be seen on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROWS, COLUMNS = 30, 100
CTRL_C = "\x03"
WAIT = 90.0
SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[=>]|\x1b\][^\x07]*\x07")


class Screen:
    """What a terminal shows after some output: moves and erasures carried out, colours left out.

    Knows what rich, readline and this command send; nothing scrolls away.
    """

    def __init__(self, columns: int = COLUMNS) -> None:
        self.lines = [""]
        self._row = self._column = 0
        self._columns = columns

    def write(self, text: str) -> None:
        """Take output."""
        position = 0
        for found in SEQUENCE.finditer(text):
            self._print(text[position : found.start()])
            self._move(found.group(1) or "", found.group(2) or "")
            position = found.end()
        self._print(text[position:])

    def _print(self, text: str) -> None:
        for character in text:
            if character == "\n":
                self._row += 1
            elif character == "\r":
                self._column = 0
            elif character == "\b":
                self._column = max(self._column - 1, 0)
            elif character >= " ":
                self._put(character)
            while len(self.lines) <= self._row:
                self.lines.append("")

    def _put(self, character: str) -> None:
        if self._column == self._columns:
            self._row, self._column = self._row + 1, 0
            self.lines += [""] * (self._row + 1 - len(self.lines))
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
        self._column += 1

    def _move(self, arguments: str, kind: str) -> None:
        number = int(arguments) if arguments.isdigit() else 0
        if kind == "A":
            self._row = max(self._row - max(number, 1), 0)
        elif kind == "B":
            self._row += max(number, 1)
        elif kind == "C":
            self._column += max(number, 1)
        elif kind == "D":
            self._column = max(self._column - max(number, 1), 0)
        elif kind == "K":
            line = self.lines[self._row]
            self.lines[self._row] = "" if number == 2 else line[: self._column]
        elif kind == "J":
            self.lines[self._row] = self.lines[self._row][: self._column]
            del self.lines[self._row + 1 :]
        while len(self.lines) <= self._row:
            self.lines.append("")

    @property
    def text(self) -> str:
        """The lines, without spaces at their ends."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        columns: int = COLUMNS,
    ) -> None:
        """Starts it."""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            size = {"COLUMNS": str(columns), "LINES": str(ROWS)}
            os.execvpe(command[0], list(command), {**environment, "TERM": "xterm", **size})  # noqa: S606
        window = struct.pack("HHHH", ROWS, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, window)
        self.screen = Screen(columns)
        self.raw = ""
        self.code: int | None = None

    @property
    def text(self) -> str:
        """All that was ever written, without colours and movements."""
        return SEQUENCE.sub("", self.raw).replace("\r", "")

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until this has been written."""
        end = time.monotonic() + WAIT
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < end, self.text
            assert self._read(), f"ended without {pattern!r}: {self.text}"
        return found

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for the end of the command; its exit code."""
        if self.code is None:
            while self._read():
                pass
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self._master)
        return self.code

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], WAIT)
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:
            # Linux says so when the other end of a terminal is closed.
            data = b""
        text = data.decode("utf-8", "replace")
        self.raw += text
        self.screen.write(text)
        return bool(data)
