"""Bugs to plant: what the tests must find. Each is one edit, and the tests that are to find it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUGS", "Bug"]

CORE = "packages/core/src/ai_batch/core"
OPENAI = "packages/openai/src/ai_batch/openai"
ANTHROPIC = "packages/anthropic/src/ai_batch/anthropic"
GEMINI = "packages/gemini/src/ai_batch/gemini"

ENGINE = (
    "packages/core/tests/test_simulator.py",
    "packages/core/tests/test_engine.py",
    "packages/core/tests/test_ledger.py",
    "tests/simulation",
    "packages/core/tests",
)
"""Those first that find most."""


@dataclass(frozen=True, kw_only=True)
class Bug:
    """One bug: in ``file``, the only ``old`` becomes ``new``; ``tests`` are those that are run."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ENGINE


def engine(name: str, module: str, old: str, new: str, tests: tuple[str, ...] = ENGINE) -> Bug:
    """A bug in the core."""
    return Bug(name=name, file=f"{CORE}/{module}.py", old=old, new=new, tests=tests)


def wire(name: str, folder: str, module: str, old: str, new: str) -> Bug:
    """A bug in a provider."""
    package = folder.split("/")[1]
    tests = (f"packages/{package}/tests",)
    return Bug(name=name, file=f"{folder}/{module}.py", old=old, new=new, tests=tests)


BUGS: tuple[Bug, ...] = (
    # -- the engine's steps ---------------------------------------------------------------------
    engine(
        "the intent is recorded as one of long ago",
        "advance",
        "ShardState.INTENT, intent_at=now, high_water=mark",
        "ShardState.INTENT, intent_at=0.0, high_water=mark",
    ),
    engine(
        "a lost create is repeated without waiting",
        "advance",
        "if waited < self._policy.settle_wait:",
        "if waited < 0.0:",
    ),
    engine(
        "the input of a lost create stays valid",
        "advance",
        "await self._provider.revoke(self._submission(shard))\n                shard =",
        "shard =",
    ),
    engine(
        "batches that were found to be another's are found again",
        "advance",
        "submission = submission_of(self._folder, shard, rejected)",
        "submission = submission_of(self._folder, shard, rejected & set())",
    ),
    engine(
        "an upload that may have arrived is forgotten",
        "advance",
        "strays=(*shard.strays, shard.token))",
        "strays=shard.strays)",
    ),
    engine(
        "a submission keeps the token of the one before",
        "steps",
        "submission = shard.submission + 1",
        "submission = shard.submission",
    ),
    engine(
        "an expired batch's missing rows are taken for damage",
        "advance",
        "cut=status.cut,",
        "cut=None,",
    ),
    engine(
        "a batch that is not surely ours is cancelled",
        "advance",
        "and status.state in UNDER_WAY and not shard.adopted:",
        "and status.state in UNDER_WAY:",
    ),
    engine(
        "progress goes back when the vendor's counts do",
        "advance",
        "min(max(status.completed, shard.live_completed), shard.count)",
        "min(status.completed, shard.count)",
    ),
    engine(
        "one 404 ends an old batch",
        "advance",
        "if now - since <= LOST_AFTER or shard.failures < MIN_MISSES:",
        "if now - (shard.submitted_at or now) <= LOST_AFTER:",
    ),
    engine(
        "a key that was revoked is waited for",
        "advance",
        "        if not error.retryable:\n            raise error\n",
        "",
    ),
    # -- the ledger -----------------------------------------------------------------------------
    engine(
        "who lost the lease may still write",
        "statements",
        "AND owner = ? AND fence = ? AND state = ?",
        "AND (owner = ? OR 1 = 1) AND (fence = ? OR 1 = 1) AND state = ?",
    ),
    engine(
        "two processes claim the same shard",
        "leases",
        'due += " AND lease_until <= ? AND state {}',
        'due += " AND (lease_until <= ? OR 1 = 1) AND state {}',
    ),
    engine("a claim leaves the fence", "leases", "fence=shard.fence + 1)", "fence=shard.fence)"),
    engine(
        "room in the queue is never given back",
        "budget",
        "sign = 1 if holds else -1",
        "sign = 1 if holds else 0",
    ),
    engine(
        "more batches than allowed are in the queue",
        "budget",
        "batches >= max_batches:",
        "batches > max_batches:",
    ),
    engine(
        "two shards adopt the same batch",
        "ledger",
        'WHERE account = ? AND remote_id = ?", key):',
        'WHERE account = ? AND remote_id = ? AND 1 = 0", key):',
    ),
    engine(
        "every adopted batch is taken for one's own",
        "ledger",
        '"adopted": not candidate.certain}',
        '"adopted": False}',
    ),
    engine(
        "a second process plans the same job again",
        "ledger",
        "                return found\n            tx.execute(insert",
        "                pass\n            tx.execute(insert",
    ),
    # -- rows and results -----------------------------------------------------------------------
    engine(
        "a damaged download is settled for",
        "collect",
        "if download >= looks and harm == least:",
        "if True:",
    ),
    engine(
        "rows of a batch that was cut are looked at once",
        "collect",
        "SECOND_LOOK = 2",
        "SECOND_LOOK = 1",
    ),
    engine(
        "a batch that may be either of two shards' is lost with one",
        "collect",
        "released=shard.adopted",
        "released=False",
    ),
    engine(
        "the last row of a request counts, not the answered one",
        "accounting",
        "if self._answered(position) or scan.error is not None:\n                return",
        "if False:\n                return",
    ),
    engine(
        "any submission's row is ours",
        "places",
        "if prefix != token or not",
        "if not prefix or not",
    ),
    engine(
        "what failed for a passing cause is not asked again",
        "accounting",
        "return _MAY_RETRY if error.retryable else _FAILED",
        "return _FAILED",
    ),
    engine(
        "a batch takes one request too many",
        "plan",
        "self.count < limits.max_requests",
        "self.count <= limits.max_requests",
    ),
    engine(
        "requests of one form are asked with the settings of the first",
        "templates",
        "(*_settings(fields), *form)",
        "(*form,)",
        ("tests/properties/test_templates.py", "packages/core/tests"),
    ),
    engine(
        "every turn of a line is the user's",
        "plain_lines",
        '"role": turn.role,',
        '"role": "user",',
        ("packages/core/tests/test_plain_lines.py", "packages/core/tests"),
    ),
    engine(
        "results may come of a shard that was asked again",
        "reader",
        "            if not place.retried:\n                return self._make",
        "            if True:\n                return self._make",
    ),
    engine(
        "the vendor's wait is undercut",
        "schedule",
        "return retry_after + random * min(step, 0.1 * retry_after)",
        "return step * (0.5 + 0.5 * random)",
    ),
    # -- what vendors say -----------------------------------------------------------------------
    wire(
        "a time-out is taken for a refusal",
        CORE,
        "vendor_errors",
        "if status in {408, 409} or status >= 500:",
        "if status >= 500:",
    ),
    wire(
        "a cut connection is taken for one that was never made",
        CORE,
        "vendor_errors",
        "if creating and sent:",
        "if creating and not sent:",
    ),
    wire(
        "the SDK repeats a create",
        OPENAI,
        "client",
        "with_options(max_retries=0, timeout=settings.timeout)",
        "with_options(timeout=settings.timeout)",
    ),
    wire(
        "a row with an HTTP status of failure is a success",
        OPENAI,
        "wire_rows",
        "if complaint or (status is not None and not 200 <= status < 300):",
        "if complaint:",
    ),
    wire(
        "a plain row with an HTTP status of failure is a success",
        OPENAI,
        "wire_rows",
        "good = 200 <= response.status_code < 300 and",
        "good = 200 <= response.status_code and",
    ),
    wire(
        "a create without an id is recorded",
        OPENAI,
        "provider",
        "return created_id(batch)",
        'return str(batch.get("id"))',
    ),
    wire(
        "vectors may be numbered anyhow",
        OPENAI,
        "wire_embeddings",
        "if sorted(_places(vectors)) != list(range(len(vectors))):",
        "if False:",
    ),
    wire(
        "cached input is not input",
        ANTHROPIC,
        "wire_answers",
        "(usage.input_tokens or 0) + read + written,",
        "(usage.input_tokens or 0),",
    ),
    wire(
        "batches of before the intent are looked at",
        ANTHROPIC,
        "provider",
        "return is_marked(batch, submission.high_water)",
        "return False",
    ),
    wire(
        "thoughts are part of the answer",
        GEMINI,
        "wire_answers",
        "        if part.thought:\n",
        "        if part.thought and part.thought_signature:\n",
    ),
    wire(
        "thoughts cost nothing",
        GEMINI,
        "wire_answers",
        "(usage.candidates_token_count or 0) + thoughts,",
        "(usage.candidates_token_count or 0),",
    ),
)
"""What is planted, one after the other."""
