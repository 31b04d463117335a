"""From one call's requests to a job: a new one, or the one that they are already."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from typing import Self

from ai_batch.core.delivery import confirm
from ai_batch.core.errors import NotApproved, UsageError
from ai_batch.core.estimate import estimate_plan
from ai_batch.core.ledger import Ledger
from ai_batch.core.options import Options
from ai_batch.core.planner import Plan, Planner
from ai_batch.core.provider import Formats
from ai_batch.core.records import JobRecord
from ai_batch.core.spool import Spool

__all__ = ["Planning"]

logger = logging.getLogger("ai_batch.job")


def new_job_id(now: float) -> str:
    """An id that sorts by time, can be read aloud, and is nobody else's."""
    return f"job_{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(4)}"


class Planning:
    """Holds a new job's folder while its requests come in; keeps it only for a new job."""

    def __init__(
        self,
        provider: Formats,
        ledger: Ledger,
        spool: Spool,
        options: Options,
        *,
        salt: str = "",
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        """``salt`` sets a job apart from others of the same requests.

        ``beside`` are files that a new job's folder gets before the job is on record.
        """
        self._provider = provider
        self._ledger = ledger
        self._spool = spool
        self._options = options
        self._beside = beside or {}
        self._sweep()
        self._now = ledger.now()
        self._job_id = new_job_id(self._now)
        self._folder = spool.create(self._job_id, ledger.store_id)
        self._kept = False
        try:
            self.planner = Planner(
                provider,
                self._folder,
                store_id=ledger.store_id,
                job_id=self._job_id,
                max_tokens=options.max_enqueued_tokens,
                salt=salt,
            )
        except BaseException:
            spool.release(self._folder, keep=False)
            raise

    def _sweep(self) -> None:
        """Delete what killed processes had begun to plan; keep what they had just finished."""
        self._spool.sweep()
        store_id = self._ledger.store_id
        if not any(self._spool.abandoned(store_id)):
            return
        known = {job.id for job in self._ledger.jobs()}
        for folder in self._spool.abandoned(store_id):
            if folder.path.name in known:
                self._spool.keep(folder)
            else:
                self._spool.discard(folder)

    def __enter__(self) -> Self:
        """The planning itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Deletes the folder unless it has become a job's."""
        self.planner.close()
        self._spool.release(self._folder, keep=self._kept)

    def finish(self) -> tuple[JobRecord, Mapping[str, object] | None] | None:
        """The job, and its answers' types; None when there were no requests.

        Raises ``UsageError`` for faults of the input, and for a cost above ``max_cost``;
        ``NotApproved`` where ``approve`` says no.
        """
        plan = self.planner.finish()
        if plan.total == 0:
            return None
        types = plan.types if plan.structured else None
        record = self._existing(plan.fingerprint)
        if record is not None:
            self._spool.bring_back(self._spool.open(record.folder), self._folder)
        if record is None:
            self._check_cost(plan)
            self._ask(plan)
            record = self._add(plan)
        elif record.state in ("cancelling", "cancelled"):
            logger.warning(
                "job %s was cancelled and its results have not been read yet: here they are; its "
                "retry_failed() asks for the rest",
                record.id,
            )
        elif not record.finished:
            # How it is run may have changed since; what is asked has not.
            record = self._ledger.change_job(
                record.id,
                max_batches=self._options.max_batches_in_flight,
                max_tokens=self._options.max_enqueued_tokens,
            )
        return record, types

    def _existing(self, fingerprint: str) -> JobRecord | None:
        found = self._ledger.find_job(fingerprint, delivered=self._options.reuse)
        if found is None or self._options.reuse:
            return found
        # Read to its end by this very program, which asks again: it wants new answers.
        return self._existing(fingerprint) if confirm(self._ledger.store_id, found.id) else found

    def _check_cost(self, plan: Plan) -> None:
        limit = self._options.max_cost
        if limit is None:
            return
        cost = estimate_plan(plan, self._provider).batch_cost
        if cost is None:
            models = ", ".join(sorted({route.model for route in plan.routes}))
            raise UsageError(
                f"max_cost={limit} can't be checked: the price of {models} is not known; install "
                '"ai-batch-core[prices]", name a known model, or leave max_cost out'
            )
        if cost > limit:
            raise UsageError(
                f"the job would cost about {cost:.3g} USD, more than max_cost={limit}; nothing "
                "was sent"
            )

    def _ask(self, plan: Plan) -> None:
        approve = self._options.approve
        if approve is not None and not approve(estimate_plan(plan, self._provider)):
            raise NotApproved("the job was not approved; nothing was sent")

    def _add(self, plan: Plan) -> JobRecord:
        record = JobRecord(
            id=self._job_id,
            fingerprint=plan.fingerprint,
            provider=self._provider.name,
            folder=self._spool.name_of(self._folder),
            spec={**self._provider.identity, "structured": plan.structured},
            total=plan.total,
            created_at=self._now,
            max_batches=self._options.max_batches_in_flight,
            max_tokens=self._options.max_enqueued_tokens,
            deadline_at=self._options.deadline_at(self._now),
        )
        for name, data in self._beside.items():
            with self._folder.written(self._folder.path / name) as file:
                file.write(data)
        # The folder must outlive this call from the moment the ledger may name it.
        self._kept = True
        added = self._ledger.add_job(record, self.planner.shards(plan, self._now))
        self._kept = added.id == record.id
        return added
