"""Plans a job: reads the requests once, checks all of them, and writes the shards' inputs.

Nothing is sent, and nothing gets into the ledger, before the last request has been checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from ai_batch.core.checks import check_request
from ai_batch.core.disk import of_disk
from ai_batch.core.duplicates import IdIndex
from ai_batch.core.errors import MAX_PROBLEMS, Problem, UsageError
from ai_batch.core.inputs import RouteInputs, RouteTotals
from ai_batch.core.intake import load_media, read_plain_item, read_request
from ai_batch.core.places import wire_id
from ai_batch.core.plain_lines import PlainRequest
from ai_batch.core.plan import Draft, ShardCutter
from ai_batch.core.provider import Formats, Limits, Route
from ai_batch.core.requestlog import RequestLog, RequestWriter
from ai_batch.core.requests import OutputSchema, Request, output_schema
from ai_batch.core.spool import JobFolder
from ai_batch.core.state import Shard, ShardState, token_for
from ai_batch.core.templates import Draw, Templates, drawn_out

__all__ = ["Plan", "Planner", "RouteTotals"]


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
        self._inputs: dict[Route, RouteInputs] = {}
        self._digest = _fingerprint_of(provider, salt)
        self._drafts: list[Draft] = []
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
        plain = read_plain_item(item)
        draw = None if plain is None else self._templates.drawn(plain, _identity(plain, index))
        if plain is None or draw is None:
            self._add_whole(item, index)
        else:
            identity = _identity(plain, index)
            self._ids.add(identity)
            self._place(draw, identity, index)

    def _add_whole(self, item: object, index: int) -> None:
        """Take an item that is not plain, or has no template."""
        read = read_request(item, index)
        if isinstance(read, list):
            self._report(read, read[0].id or "", index)
            return
        identity = _identity(read, index)
        self._ids.add(identity)
        draw = self._templates.drawn(read, identity) or self._drawn_out(read, identity)
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
        inputs = self._inputs.get(route) or self._new_route(route)
        line = draw.line(wire_id(inputs.token, index))
        size = len(line) + 1
        if (problem := inputs.refusal(size, draw.inputs)) is not None:
            self._report([problem], identity, index)
            return
        draft, closed = self._cutter.place(index, route, size, draw.inputs, draw.tokens)
        if closed is not None:
            inputs.close(closed)
        if draft.count == 1:
            inputs.open(draft)
            self._drafts.append(draft)
            line = draw.line(wire_id(inputs.token, index))
        inputs.write(line, draw.tokens, draw.output_tokens)
        self._digest.update(draw.logged)
        self._log.append(draw.logged)
        if draw.output_type is not None:
            self._note_type(draw.output_type)

    def _new_route(self, route: Route) -> RouteInputs:
        found = RouteInputs(self._folder, self._names, self._cutter.limits(route))
        self._inputs[route] = found
        return found

    def _note_type(self, output_type: object) -> None:
        self._structured = True
        if not isinstance(output_type, dict | OutputSchema):
            self._types[output_schema(output_type).key] = output_type

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
                self._inputs[draft.route].close(draft)
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
            routes={
                route: inputs.totals
                for route, inputs in self._inputs.items()
                if inputs.totals.requests
            },
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
        for inputs in self._inputs.values():
            inputs.abandon()

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


def _identity(request: Request | PlainRequest, index: int) -> str:
    return request.id or f"req_{index}"


def _fingerprint_of(provider: Formats, salt: str) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    identity = {"provider": provider.name, "salt": salt, **provider.identity}
    digest.update(json.dumps(identity, sort_keys=True).encode())
    return digest
