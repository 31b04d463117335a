"""The emulator in this process."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ai_batch.emulator.answers import check_answer
from ai_batch.emulator.control import control_routes
from ai_batch.emulator.faults import Fault, FaultPlan
from ai_batch.emulator.hosts import Rule, rule_for
from ai_batch.emulator.live_paths import LiveApp
from ai_batch.emulator.options import OptionArguments, Options
from ai_batch.emulator.server import ServerThread, listen
from ai_batch.emulator.stats import LiveStats, Stats
from ai_batch.emulator.surface import StartableEmulator
from ai_batch.emulator.tally import CALLS, LOST, Tally
from ai_batch.emulator.vendors import VENDORS
from ai_batch.emulator.world import World

if TYPE_CHECKING:
    import socket
    from typing import Self

    from ai_batch.emulator.remote import SpawnedEmulator

_REQUESTS = "requests:"


class Emulator(StartableEmulator):
    """A local server that speaks the vendors' batch APIs, run in a thread of this process.

    The keyword arguments from `answer` on are those of `OptionArguments`.

    Args:
        home: Folder for everything that is to outlive the emulator; a temporary one if None.
        host: Address to listen on. On one of this machine's own, calls are answered only if they
            are made to such an address or name, and not by a web page from elsewhere.
        port: Port to listen on; a free one if 0, the same again after each restart.
        faults: What goes wrong from the start; see also `inject`.
        answer: `"echo"` repeats the last user text; `"canned"` is one constant answer; a function
            `(endpoint, body) -> body | (status, body) | None` answers itself (None: echo); a URL
            is an OpenAI-compatible server that each request is forwarded to.
        timing: How long a batch stays in each state.
        latency: How many seconds of real time a live answer takes: so many, a range that each call
            draws from, or a `Latency`.
        limits: OpenAI's limits.
        anthropic_limits: Anthropic's limits.
        gemini_limits: The limits of the Gemini Developer API.
        vertex_limits: The limits of Vertex AI.
        seed: Decides ids, drawn durations, the order of rows and chance.
        api_keys: The keys that are accepted; any if None.
        webhooks: URL that gets the events of ended batches.
        webhook_secret: The `whsec_...` secret that signs them.
        track_items: Count the executions of each item; costs eight bytes per row.
        known_model: Tells which models exist; all but `no-such...` by default.
        embedding_dimensions: Length of vectors where the request names none; the model's if None.
    """

    def __init__(
        self,
        *,
        home: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        **options: Unpack[OptionArguments],
    ) -> None:
        self._options = Options(**options)
        check_answer(self._options.answer)
        self._home = home
        self._host = host
        self._port = port
        self._faults = FaultPlan(tuple(faults), self._options.seed)
        self._running: _Running | None = None

    @classmethod
    def spawn(
        cls,
        *,
        home: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        **options: Unpack[OptionArguments],
    ) -> SpawnedEmulator:
        """Return an emulator for a process of its own, which can be killed and started again.

        The options are those of `Emulator`, without `known_model`; a function as `answer` is given
        as `"module:name"`.
        """
        from ai_batch.emulator.remote import SpawnedEmulator

        return SpawnedEmulator(
            Options(**options), home=home, host=host, port=port, faults=tuple(faults)
        )

    def start(self) -> Self:
        """Start to answer; what an earlier emulator left in `home` is there again."""
        if self._running is not None:
            msg = "the emulator runs already"
            raise RuntimeError(msg)
        listening = listen(self._host, self._port)
        try:
            rule = rule_for(self._host)
            self._running = _Running(self, self._options, self._faults, self._home, rule)
        except BaseException:
            listening.close()
            raise
        self._running.serve(listening)
        self._port = listening.getsockname()[1]
        return self

    def stop(self) -> None:
        """Cut all connections and stop; without a `home`, everything is forgotten."""
        if self._running is not None:
            running, self._running = self._running, None
            running.close()

    def wait(self) -> None:
        """Block until the server has ended."""
        self._now_running.server.wait()

    @property
    def _now_running(self) -> _Running:
        if self._running is None:
            msg = "the emulator does not run; use it as a context manager, or call start()"
            raise RuntimeError(msg)
        return self._running

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def webhook_secret(self) -> str:
        """The secret that signs webhooks."""
        return self._options.webhook_secret

    @property
    def stats(self) -> Stats:
        """What the emulator was asked to do until now."""
        return self._now_running.stats()

    def inject(self, fault: Fault) -> Fault:
        """Arm a fault, and return it."""
        return self._faults.inject(fault)

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._faults.clear()

    def reset(self) -> None:
        """Forget everything: files, batches, stats, faults and the moved clock."""
        self._now_running.reset()

    def _advance(self, seconds: float) -> None:
        self._now_running.world.advance(seconds)


class _Running:
    """All that exists only between start and stop."""

    def __init__(
        self,
        emulator: Emulator,
        options: Options,
        faults: FaultPlan,
        home: Path | None,
        rule: Rule,
    ) -> None:
        self._temporary = home is None
        self._home = Path(tempfile.mkdtemp(prefix="ai-batch-emulator-")) if home is None else home
        self.world = World(self._home, options, faults)
        self._vendors = [make(self.world) for make in VENDORS]
        routes = [route for vendor in self._vendors for route in vendor.routes()]
        self._app = LiveApp([*control_routes(emulator), *routes], rule)
        self.server: ServerThread

    def serve(self, listening: socket.socket) -> None:
        self.server = ServerThread(self._app, listening)
        self.server.start()

    def close(self) -> None:
        self.server.stop()
        try:
            self.world.close()
        finally:
            if self._temporary:
                shutil.rmtree(self._home)

    def reset(self) -> None:
        world = self.world
        world.faults.clear()
        world.agenda.clear()
        world.agenda.settle()
        # What was running may have planned its next step.
        world.agenda.clear()
        with world.lock:
            world.tally.clear()
            world.store.clear()
            world.clock.reload()
            for vendor in self._vendors:
                vendor.reload()

    def stats(self) -> Stats:
        self.world.tally.flush()
        counters = Counter(self.world.store.counters())
        executions, billings = self.world.items.counts()
        requests = _named(counters, _REQUESTS)
        statuses = Counter[str]()
        for vendor in self._vendors:
            statuses.update(vendor.batches_by_status())
        return Stats(
            files_uploaded=counters["files_uploaded"],
            files_deleted=counters["files_deleted"],
            files_live=sum(vendor.files_live() for vendor in self._vendors),
            creates_attempted=requests.get("batches.create", 0),
            batches_created=counters["batches_created"],
            batches_by_status=dict(statuses),
            items_executed=counters["items_executed"],
            items_billed=counters["items_billed"],
            live_calls=counters["live_calls"],
            most_in_flight=self.world.tally.most_of_all,
            live=_live(_named(counters, CALLS), self.world.tally),
            requests=requests,
            executions=dict(executions),
            billings=dict(billings),
            lost=_named(counters, LOST),
            prompts=dict(self.world.tally.prompts()),
        )


def _live(counters: Mapping[str, int], tally: Tally) -> dict[str, LiveStats]:
    vendors = sorted({name.partition(":")[0] for name in counters})
    found: dict[str, LiveStats] = {}
    for vendor in vendors:
        counts = _named(counters, f"{vendor}:")
        found[vendor] = LiveStats(
            **counts,
            in_flight=tally.in_flight[vendor],
            most_in_flight=tally.most_in_flight.get(vendor, 0),
        )
    return found


def _named(counters: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): value
        for name, value in counters.items()
        if name.startswith(prefix)
    }
