"""The ledger's tables. Numbered steps that run once each, in order, in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from ai_batch.core.database import Database, Transaction
from ai_batch.core.errors import LedgerError
from ai_batch.core.records import JOB_COLUMNS, SHARD_COLUMNS

__all__ = ["migrate"]

# One row per shard, never one per request: 10^9 requests are 20,000 rows. Times are Unix
# seconds. The statements are plain SQL that PostgreSQL takes as well.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE job (
            id TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            provider TEXT NOT NULL,
            folder TEXT NOT NULL,
            spec TEXT NOT NULL,
            state TEXT NOT NULL,
            total BIGINT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            max_batches BIGINT,
            max_tokens BIGINT,
            deadline_at DOUBLE PRECISION,
            finished_at DOUBLE PRECISION,
            delivered_at DOUBLE PRECISION
        )""",
        "CREATE INDEX job_fingerprint ON job (fingerprint)",
        """CREATE TABLE budget (
            account TEXT PRIMARY KEY,
            learned_tokens BIGINT,
            blocked_until DOUBLE PRECISION NOT NULL DEFAULT 0,
            used_batches BIGINT NOT NULL DEFAULT 0 CHECK (used_batches >= 0),
            used_tokens BIGINT NOT NULL DEFAULT 0 CHECK (used_tokens >= 0)
        )""",
        """CREATE TABLE shard (
            job_id TEXT NOT NULL REFERENCES job (id),
            seq BIGINT NOT NULL,
            name TEXT NOT NULL,
            state TEXT NOT NULL,
            route TEXT NOT NULL,
            account TEXT NOT NULL,
            token TEXT NOT NULL,
            count BIGINT NOT NULL,
            bytes BIGINT NOT NULL,
            tokens BIGINT NOT NULL,
            first_index BIGINT NOT NULL,
            last_index BIGINT NOT NULL,
            parent BIGINT,
            attempt BIGINT NOT NULL,
            submission BIGINT NOT NULL,
            input_id TEXT,
            remote_id TEXT,
            adopted BIGINT NOT NULL,
            high_water TEXT,
            intent_at DOUBLE PRECISION,
            submitted_at DOUBLE PRECISION,
            ended_at DOUBLE PRECISION,
            cancel_at DOUBLE PRECISION,
            next_at DOUBLE PRECISION NOT NULL,
            failures BIGINT NOT NULL,
            refusals BIGINT NOT NULL,
            mended BIGINT NOT NULL,
            live_completed BIGINT NOT NULL,
            live_failed BIGINT NOT NULL,
            ok BIGINT NOT NULL,
            failed BIGINT NOT NULL,
            retried BIGINT NOT NULL,
            usage TEXT NOT NULL,
            cut TEXT,
            rows_expected BIGINT,
            details TEXT NOT NULL,
            faults TEXT NOT NULL,
            strays TEXT NOT NULL,
            cleaned BIGINT NOT NULL,
            owner TEXT,
            lease_until DOUBLE PRECISION NOT NULL,
            fence BIGINT NOT NULL,
            PRIMARY KEY (job_id, seq),
            UNIQUE (job_id, name)
        )""",
        # One vendor batch belongs to one shard: two shards that adopt the same one are a bug
        # that must not become a wrong result.
        """CREATE UNIQUE INDEX shard_remote ON shard (account, remote_id)
            WHERE remote_id IS NOT NULL""",
        # Ordered by next_at alone: an expression in ORDER BY would defeat the partial index.
        "CREATE INDEX shard_due ON shard (job_id, next_at) WHERE cleaned = 0",
        """CREATE TABLE rejected (
            account TEXT NOT NULL,
            remote_id TEXT NOT NULL,
            job_id TEXT NOT NULL,
            seq BIGINT NOT NULL,
            PRIMARY KEY (account, remote_id, job_id, seq)
        )""",
        """CREATE TABLE event (
            at DOUBLE PRECISION NOT NULL,
            job_id TEXT NOT NULL,
            seq BIGINT,
            fence BIGINT,
            from_state TEXT,
            to_state TEXT,
            detail TEXT NOT NULL
        )""",
        "CREATE INDEX event_job ON event (job_id, at)",
    ),
    ("ALTER TABLE shard ADD COLUMN input_check BIGINT",),
    ("ALTER TABLE shard ADD COLUMN calls_out BIGINT NOT NULL DEFAULT 0",),
    (
        # What waits to be sent may be all but a few of 20,000 rows: what is on its way is found
        # without passing them, and they are looked through without being read.
        "DROP INDEX shard_due",
        """CREATE INDEX shard_moving ON shard (job_id, next_at, seq)
            WHERE cleaned = 0 AND state <> 'planned'""",
        """CREATE INDEX shard_waiting ON shard (job_id, next_at, seq, account, lease_until)
            WHERE cleaned = 0 AND state = 'planned'""",
        """CREATE INDEX shard_queue ON shard (account, next_at)
            WHERE cleaned = 0 AND state = 'planned'""",
        "CREATE INDEX shard_owner ON shard (job_id, owner, lease_until) WHERE owner IS NOT NULL",
        "CREATE INDEX job_open ON job (id) WHERE finished_at IS NULL",
    ),
    (
        "ALTER TABLE budget ADD COLUMN paced_until DOUBLE PRECISION NOT NULL DEFAULT 0",
        "ALTER TABLE budget ADD COLUMN paced_at DOUBLE PRECISION NOT NULL DEFAULT 0",
    ),
)


TABLES = {
    "job": JOB_COLUMNS,
    "shard": SHARD_COLUMNS,
    "budget": (
        *("account", "learned_tokens", "blocked_until", "used_batches", "used_tokens"),
        *("paced_until", "paced_at"),
    ),
    "rejected": ("account", "remote_id", "job_id", "seq"),
    "event": ("at", "job_id", "seq", "fence", "from_state", "to_state", "detail"),
}
"""What must be there once all steps are done."""


def migrate(database: Database, new_store_id: Callable[[], str]) -> str:
    """Bring the tables up to date; the store's id, made when the tables are new.

    All of it is one transaction: a process that dies in it leaves the ledger as it was, and of
    two that come at the same time the second one finds nothing to do. Raises ``LedgerError`` for
    a ledger that a newer version has written, and for one that lacks tables or columns.
    """
    with database.transaction() as tx:
        tx.turn("migrate")
        tx.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        found = tx.execute("SELECT value FROM meta WHERE key = 'schema_version'")
        version = int(found[0][0]) if found else 0
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"the ledger has schema {version}, this ai-batch knows up to {len(MIGRATIONS)}: a "
                "newer version has written it; upgrade with pip install -U ai-batch-core, or use "
                "another home"
            )
        for step in MIGRATIONS[version:]:
            for statement in step:
                tx.execute(statement)
        if version == 0:
            tx.execute("INSERT INTO meta VALUES ('store_id', ?)", (new_store_id(),))
        _record_version(tx, version)
        _check_tables(tx)
        return str(tx.execute("SELECT value FROM meta WHERE key = 'store_id'")[0][0])


def _check_tables(tx: Transaction) -> None:
    """Have the database itself name a table or a column that is missing."""
    for table, columns in TABLES.items():
        tx.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE 1 = 0")  # noqa: S608
    if not tx.execute("SELECT 1 FROM meta WHERE key = 'store_id'"):
        raise LedgerError("the ledger has lost its id: bring it back from a backup")


def _record_version(tx: Transaction, version: int) -> None:
    if version == len(MIGRATIONS):
        return
    tx.execute("DELETE FROM meta WHERE key = 'schema_version'")
    tx.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(len(MIGRATIONS)),))
