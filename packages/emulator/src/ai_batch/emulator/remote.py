"""An emulator in another process: its controls, and the process itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from ai_batch.emulator.command_line import arguments_of
from ai_batch.emulator.control import PREFIX
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.json_types import JsonObject, as_object, decode, encode
from ai_batch.emulator.options import Options
from ai_batch.emulator.plain_http import plain_opener
from ai_batch.emulator.stats import Stats
from ai_batch.emulator.surface import StartableEmulator, Surface

if TYPE_CHECKING:
    from typing import Self

_TIMEOUT = 600.0
_STOP_TIMEOUT = 10.0


class RemoteEmulator(Surface):
    """The controls of an emulator that somebody else runs."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._opener = plain_opener()

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        return self._url

    @property
    def stats(self) -> Stats:
        """What the emulator was asked to do until now."""
        return Stats.from_json(json.loads(self._call("GET", "stats")))

    def inject(self, fault: Fault) -> Fault:
        """Arm a fault, and return it."""
        self._call("POST", "faults", fault.to_json())
        return fault

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._call("DELETE", "faults")

    def reset(self) -> None:
        """Forget everything: files, batches, stats, faults and the moved clock."""
        self._call("POST", "reset")

    def _advance(self, seconds: float) -> None:
        self._call("POST", "advance", {"seconds": seconds})

    def _call(self, method: str, name: str, body: JsonObject | None = None) -> bytes:
        data = None if body is None else encode(body)
        request = urllib.request.Request(  # noqa: S310 - the URL is the caller's own
            f"{self.url}{PREFIX}/{name}", data, method=method
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            with error:
                found = as_object(decode(error.read())).get("error")
            raise ValueError(str(found)) from None


class SpawnedEmulator(RemoteEmulator, StartableEmulator):
    """An emulator in a process of its own, made by `Emulator.spawn`.

    Its faults live in the process's memory: after `kill` and `restart` there are none.
    """

    def __init__(
        self,
        options: Options,
        *,
        home: Path | None,
        host: str,
        port: int,
        faults: tuple[Fault, ...],
    ) -> None:
        super().__init__("")
        self._options = options
        self._faults = faults
        self._host = host
        self._port = port
        self._temporary = home is None
        self._home = home
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start the process, and return when it answers."""
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="ai-batch-emulator-"))
        self._launch()
        for fault in self._faults:
            self.inject(fault)
        return self

    def _launch(self) -> None:
        address = ["--host", self._host, "--port", str(self._port), "--home", str(self._home)]
        # The child sees the modules that this process sees, wherever they were found.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-m", "ai_batch.emulator", *address, *arguments_of(self._options)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._url = self._announced_url(self._process)
        self._port = int(self._url.rsplit(":", 1)[1])

    def _announced_url(self, process: subprocess.Popen[str]) -> str:
        line = process.stdout.readline() if process.stdout is not None else ""
        if "http" not in line:
            self._end(signal.SIGTERM)
            msg = "the emulator's process ended before it answered; its errors are above"
            raise RuntimeError(msg)
        return line[line.index("http") :].strip().removesuffix("/v1")

    def stop(self) -> None:
        """End the process; without a `home`, everything is forgotten."""
        self._end(signal.SIGTERM)
        if self._temporary and self._home is not None:
            shutil.rmtree(self._home)
            self._home = None

    def kill(self) -> None:
        """Kill the process, as if the power had failed."""
        self._end(getattr(signal, "SIGKILL", signal.SIGTERM))

    def restart(self) -> None:
        """Start the process again, with the same port and home."""
        self._end(signal.SIGTERM)
        self._launch()

    @property
    def pid(self) -> int | None:
        """The process's id, while it runs."""
        return None if self._process is None else self._process.pid

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        with process:
            process.send_signal(how)
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
