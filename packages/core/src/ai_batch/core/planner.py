"""Plans a job: reads the requests once, checks all of them, and writes the shards' inputs.

Nothing is sent, and nothing gets into the ledger, before the last request has been checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

import msgspec

from ai_batch.core.checks import check_request
from ai_batch.core.disk import of_disk
from ai_batch.core.duplicates import IdIndex
from ai_batch.core.errors import MAX_PROBLEMS, Problem, UsageError
from ai_batch.core.intake import load_media, read_request
from ai_batch.core.places import wire_id
from ai_batch.core.plan import Draft, ShardCutter
from ai_batch.core.provider import Formats, Limits, Route
from ai_batch.core.requestlog import RequestLog, RequestWriter
from ai_batch.core.requests import OutputSchema, Request, output_schema
from ai_batch.core.spool import JobFolder, LineWriter, open_private, sync, write_members
from ai_batch.core.state import Shard, ShardState, token_for
from ai_batch.core.templates import Draw, Templates, drawn_out

__all__ = ["Plan", "Planner", "RouteTotals"]


@dataclass(slots=True)
class RouteTotals:
    """What a plan holds on one route; tokens are estimated, output tokens where asked for."""

    requests: int = 0
    batches: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True, kw_only=True)
class Plan:
    """A planned job: its fingerprint, its shards, and the Python types of its answers by key."""

    total: int
    fingerprint: str
    drafts: list[Draft]
    routes: dict[Route, RouteTotals]
    types: dict[str, object] = field(default_factory=dict[str, object])
    structured: bool = False


class Planner:
    """Takes requests one after the other; ``finish`` gives the plan or raises ``UsageError``."""

    def __init__(
        self,
        provider: Formats,
        folder: JobFolder,
        *,
        store_id: str,
        job_id: str,
        max_tokens: int | None = None,
        salt: str = "",
    ) -> None:
        """``max_tokens`` lowers the vendor's limit of tokens in one batch.

        ``salt`` sets a job apart from others of the same requests.
        """
        self._provider = provider
        self._folder = folder
        self._names = (store_id, job_id)
        self._max_tokens = max_tokens
        self._cutter = ShardCutter(self._limits)
        self._templates = Templates(provider)
        self._ids = IdIndex(folder.path)
        self._log = RequestWriter(folder)
        self._inputs: dict[Route, tuple[str, IO[bytes], LineWriter]] = {}
        self._digest = _fingerprint_of(provider, salt)
        self._drafts: list[Draft] = []
        self._routes: dict[Route, RouteTotals] = {}
        self._types: dict[str, object] = {}
        self._structured = False
        self._problems: list[Problem] = []
        self._faults = 0
        self._index = 0

    def _limits(self, route: Route) -> Limits:
        limits = self._provider.limits(route)
        caps = [cap for cap in (limits.max_tokens, self._max_tokens) if cap is not None]
        return replace(limits, max_tokens=min(caps) if caps else None)

    def add(self, item: object) -> None:
        """Take the next item of the input. Raises ``LedgerError`` where it can't be kept."""
        try:
            self._add(item)
        except OSError as error:
            raise of_disk(error, self._folder.path) from error

    def _add(self, item: object) -> None:
        index = self._index
        self._index += 1
        read = read_request(item, index)
        if isinstance(read, list):
            self._report(read, read[0].id or "", index)
            return
        identity = read.id or f"req_{index}"
        self._ids.add(identity)
        quick = self._templates.drawn(read, identity)
        draw = self._drawn_out(read, identity) if quick is None else quick
        if isinstance(draw, list):
            self._report(draw, identity, index)
        else:
            self._place(draw, identity, index)

    def _drawn_out(self, read: Request, identity: str) -> Draw | list[Problem]:
        request = read if read.id else read.model_copy(update={"id": identity})
        loaded = load_media(request)
        if isinstance(loaded, Problem):
            return [loaded]
        problems = self._check(loaded)
        return list(problems) if problems else drawn_out(self._provider, loaded)

    def _check(self, request: Request) -> Sequence[Problem]:
        ours, theirs = check_request(request), self._provider.check(request)
        if not ours or not theirs:
            return ours or theirs
        known = {problem.field for problem in ours}
        return [*ours, *(problem for problem in theirs if problem.field not in known)]

    def _report(self, problems: Sequence[Problem], identity: str, index: int) -> None:
        self._faults += len(problems)
        room = MAX_PROBLEMS - len(self._problems)
        for problem in problems[: max(room, 0)]:
            known = problem.id or identity or f"req_{index}"
            self._problems.append(replace(problem, id=known, index=index))
        # The log keeps a line per request also then: duplicate ids are looked up in it.
        self._log.append(msgspec.json.encode({"id": identity}))

    def _place(self, draw: Draw, identity: str, index: int) -> None:
        route = draw.route
        token = self._inputs[route][0] if route in self._inputs else "0" * 16
        line = draw.line(wire_id(token, index))
        if (problem := self._too_large(route, len(line) + 1, draw.inputs)) is not None:
            self._report([problem], identity, index)
            return
        draft, closed = self._cutter.place(index, route, len(line) + 1, draw.inputs, draw.tokens)
        if closed is not None:
            self._close(closed)
        if draft.count == 1:
            line = draw.line(wire_id(self._open(draft), index))
        self._write(draw, line)
        self._count(draw)

    def _too_large(self, route: Route, size: int, inputs: int) -> Problem | None:
        limits = self._cutter.limits(route)
        if size > limits.max_bytes:
            return Problem(
                f"the request takes {size:,} bytes, a batch may hold {limits.max_bytes:,}"
            )
        if limits.max_inputs is not None and inputs > limits.max_inputs:
            return Problem(
                f"{inputs:,} texts, a batch may hold {limits.max_inputs:,}", field="texts"
            )
        return None

    def _open(self, draft: Draft) -> str:
        token = token_for(*self._names, draft.name, 1)
        file = open_private(self._folder.file(draft.name, "input.jsonl"))
        self._inputs[draft.route] = (token, file, LineWriter(file))
        self._drafts.append(draft)
        self._routes.setdefault(draft.route, RouteTotals()).batches += 1
        return token

    def _write(self, draw: Draw, line: bytes) -> None:
        self._digest.update(draw.logged)
        self._log.append(draw.logged)
        self._inputs[draw.route][2].write(line)
        if draw.output_type is not None:
            self._structured = True
            if not isinstance(draw.output_type, dict | OutputSchema):
                self._types[output_schema(draw.output_type).key] = draw.output_type

    def _count(self, draw: Draw) -> None:
        totals = self._routes[draw.route]
        totals.requests += 1
        totals.input_tokens += draw.tokens
        totals.output_tokens += draw.output_tokens

    def _close(self, draft: Draft) -> None:
        _, file, lines = self._inputs[draft.route]
        lines.flush()
        sync(file)
        file.close()
        draft.input_check = lines.check
        if draft.members:
            write_members(self._folder, draft.name, draft.members)
            draft.members = array("Q")

    def finish(self) -> Plan:
        """The plan. Raises ``UsageError`` with all faults found, duplicate ids included.

        Raises ``LedgerError`` where it can't be kept.
        """
        try:
            return self._finish()
        except OSError as error:
            raise of_disk(error, self._folder.path) from error

    def _finish(self) -> Plan:
        if self._faults == 0:
            for draft in self._cutter.open_drafts():
                self._close(draft)
        self._log.finish()
        self._folder.settle()
        self._find_duplicates()
        if self._faults:
            raise UsageError(
                f"{self._faults} problem{'s' if self._faults > 1 else ''} in "
                f"{self._index} request{'s' if self._index > 1 else ''}; nothing was sent",
                sorted(self._problems, key=lambda problem: problem.index or 0),
                total=self._faults,
            )
        return Plan(
            total=self._index,
            fingerprint=self._digest.hexdigest(),
            drafts=self._drafts,
            routes=self._routes,
            types=self._types,
            structured=self._structured,
        )

    def _find_duplicates(self) -> None:
        suspects = set(self._ids.suspects())
        if not suspects:
            return
        first: dict[str, int] = {}
        with RequestLog(self._folder) as log:
            for index, identity in enumerate(log.ids(0)):
                if hash(identity) not in suspects or not identity:
                    continue
                if identity in first:
                    self._faults += 1
                    message = f"duplicate id, first used by the request at index {first[identity]}"
                    if len(self._problems) < MAX_PROBLEMS:
                        self._problems.append(Problem(message, identity, index, "id"))
                else:
                    first[identity] = index

    def close(self) -> None:
        """Close files, whatever has happened.

        What a full disk has not taken is of no use any more: such a plan has failed already.
        """
        with contextlib.suppress(OSError):
            self._log.close()
        for _, file, _ in self._inputs.values():
            with contextlib.suppress(OSError):
                file.close()

    def shards(self, plan: Plan, now: float) -> Iterator[Shard]:
        """The plan's shards as the ledger records them."""
        store_id, job_id = self._names
        for draft in plan.drafts:
            yield Shard(
                job_id=job_id,
                seq=draft.seq,
                name=draft.name,
                state=ShardState.PLANNED,
                route=draft.route,
                account=f"{self._provider.account}:{draft.route.model}",
                token=token_for(store_id, job_id, draft.name, 1),
                count=draft.count,
                bytes=draft.bytes,
                tokens=draft.tokens,
                first_index=draft.first_index,
                last_index=draft.last_index,
                next_at=now,
                input_check=draft.input_check,
            )


def _fingerprint_of(provider: Formats, salt: str) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    identity = {"provider": provider.name, "salt": salt, **provider.identity}
    digest.update(json.dumps(identity, sort_keys=True).encode())
    return digest
