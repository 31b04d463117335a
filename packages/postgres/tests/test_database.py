"""The database below the ledger: a server that goes and comes back, its clock, its settings."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from packages.core.tests.ledger_contract import claim, job, shard
from packages.postgres.tests.server import Server

from ai_batch.core import LedgerError, LedgerUnavailable, NoRoom, UsageError
from ai_batch.core.database import Row
from ai_batch.core.ledgers import open_ledger
from ai_batch.core.migrations import MIGRATIONS
from ai_batch.core.state import ShardState
from ai_batch.postgres import PostgresLedger, database
from ai_batch.postgres.address import Address
from ai_batch.postgres.database import PostgresDatabase
from ai_batch.postgres.dialect import translated
from ai_batch.postgres.failures import failure

SECRET = "letmein-please-0123"


@pytest.fixture
def ledger(server: Server, schema: str) -> Iterator[PostgresLedger]:
    """A ledger of its own."""
    ledger = PostgresLedger(server.url, schema=schema, max_connections=3)
    yield ledger
    ledger.close()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that is away."""
    monkeypatch.setattr(database, "WAITS", (0.01,))
    monkeypatch.setattr(database, "FRESH", 0.0)


# -- a server that goes and comes back ------------------------------------------------------------


def test_a_restart_between_two_transactions_is_not_noticed(
    server: Server, ledger: PostgresLedger
) -> None:
    """Connections that were kept are dead; new ones are made."""
    ledger.add_job(job(), [shard()])
    server.restart()

    assert [one.id for one in ledger.jobs()] == ["job_1"]


def test_a_server_that_is_away_for_a_moment_is_waited_for(
    server: Server, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that has not begun begins a moment later, however slowly the server starts."""
    monkeypatch.setattr(database, "WAITS", (0.05, *[0.5] * 120))
    server.stop()
    thread = threading.Timer(0.3, server.start)
    thread.start()

    try:
        assert ledger.count_jobs() == 0
    finally:
        thread.join()


def test_a_server_that_stays_away_is_told_of(
    server: Server, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; whoever asks at once again is not kept waiting. When it is back, all is."""
    monkeypatch.setattr(database, "WAITS", (0.1, 0.2))
    server.stop()
    try:
        with pytest.raises(LedgerUnavailable, match="run the same again when it is back"):
            ledger.count_jobs()
        began = time.monotonic()
        for _ in range(50):
            with pytest.raises(LedgerUnavailable):
                ledger.count_jobs()
        assert time.monotonic() - began < 0.1
    finally:
        server.start()
    time.sleep(database.FRESH)

    assert ledger.count_jobs() == 0


def test_a_transaction_that_is_cut_has_not_happened(server: Server, ledger: PostgresLedger) -> None:
    """It raises, and the next one finds what was before."""

    def cut() -> None:
        with ledger._database.transaction() as tx:
            tx.execute("INSERT INTO budget (account) VALUES (?)", ("a",))
            server.restart()
            tx.execute("INSERT INTO budget (account) VALUES (?)", ("b",))

    with pytest.raises(LedgerUnavailable, match="nothing is lost"):
        cut()

    with ledger._database.transaction() as tx:
        assert tx.execute("SELECT account FROM budget") == []


def test_a_commit_that_is_cut_raises_too(server: Server, ledger: PostgresLedger) -> None:
    """Nobody knows then whether it happened; here it has not."""

    def cut() -> None:
        with ledger._database.transaction() as tx:
            tx.execute("INSERT INTO budget (account) VALUES (?)", ("a",))
            server.restart()

    with pytest.raises(LedgerUnavailable):
        cut()

    with ledger._database.transaction() as tx:
        assert tx.execute("SELECT account FROM budget") == []


def test_a_block_that_raises_changes_nothing(ledger: PostgresLedger) -> None:
    """The connection is as good as before."""

    def fail() -> None:
        with ledger._database.transaction() as tx:
            tx.execute("INSERT INTO budget (account) VALUES (?)", ("a",))
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with ledger._database.transaction() as tx:
        assert tx.execute("SELECT account FROM budget") == []


def test_a_transaction_that_sleeps_is_ended_by_the_server(
    server: Server, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped within one keeps an account from the others only for so long."""
    monkeypatch.setattr("ai_batch.postgres.dialect.IDLE_SECONDS", 1)
    sleeper = PostgresLedger(server.url, schema=schema)
    sleeper.add_job(job(), [shard()])
    (held,) = claim(sleeper)
    other = PostgresLedger(server.url, schema=schema)

    def sleep() -> None:
        with sleeper.holding(held):
            began = time.monotonic()
            other.set_free("job_1", "a")
            assert 0.5 < time.monotonic() - began < 10

    with pytest.raises(LedgerUnavailable):
        sleep()

    assert other.shards("job_1")[0].owner is None
    for one in (sleeper, other):
        one.close()


def test_a_deadlock_is_waited_out_like_a_lost_connection(ledger: PostgresLedger) -> None:
    """The server ends one of the two; to whom it happens nothing has happened."""
    with ledger._database.transaction() as tx:
        tx.execute("INSERT INTO budget (account) VALUES ('a'), ('b')")
    barrier = threading.Barrier(2)
    found: list[Exception | None] = []

    def cross(first: str, second: str) -> None:
        try:
            with ledger._database.transaction() as tx:
                tx.lock("SELECT 1 FROM budget WHERE account = ?", (first,))
                barrier.wait()
                tx.lock("SELECT 1 FROM budget WHERE account = ?", (second,))
        except LedgerUnavailable as error:
            found.append(error)

    threads = [threading.Thread(target=cross, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [type(one) for one in found] == [LedgerUnavailable]
    assert "deadlock" in str(found[0])


def test_a_closed_ledger_opens_again_for_the_last_word(ledger: PostgresLedger) -> None:
    """A job's delivery is marked when the program ends, after its processor was closed."""
    ledger.add_job(job(), [])
    ledger.close()

    assert ledger.change_job("job_1", delivered_at=5.0).delivered_at == 5.0


def test_a_delivery_is_marked_when_the_program_ends(server: Server, schema: str) -> None:
    """Also by a program that has closed its ledger: no thread can be started that late."""
    script = """
import sys
from ai_batch.core import JobRecord
from ai_batch.core.delivery import read_to_end
from ai_batch.postgres import PostgresLedger
ledger = PostgresLedger(sys.argv[1], schema=sys.argv[2])
ledger.add_job(JobRecord(id="job_1", fingerprint="f", provider="p", folder="jobs/job_1"), [])
read_to_end(ledger, "job_1")
ledger.close()
"""
    subprocess.run([sys.executable, "-c", script, server.url, schema], check=True, timeout=60)

    found = server.execute(f'SELECT delivered_at > 0 FROM "{schema}".job')  # noqa: S608
    assert found == [(True,)]


def test_a_forked_process_has_connections_of_its_own(ledger: PostgresLedger) -> None:
    """Its parent's are left alone, also when it ends."""
    ledger.add_job(job(), [shard()])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if len(claim(ledger, "child")) == 1 else 2
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.owners("job_1") == {"child"}


# -- time -----------------------------------------------------------------------------------------


def test_the_time_is_the_servers(
    ledger: PostgresLedger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's own time of day may be years off."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1e8)
    ledger.count_jobs()
    (found,) = server.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8")[0]

    assert isinstance(found, float)
    assert abs(ledger.now() - found) < 1.0


def test_time_passes_between_transactions(ledger: PostgresLedger) -> None:
    """Leases and waits are judged by it without asking the server each time."""
    before = ledger.now()
    time.sleep(0.2)

    assert 0.19 < ledger.now() - before < 5.0


# -- what is refused ------------------------------------------------------------------------------


def test_a_server_that_may_forget_is_refused(server: Server, schema: str) -> None:
    """synchronous_commit = off confirms what a crash may undo."""
    with pytest.raises(LedgerError, match="synchronous_commit = off"):
        PostgresLedger(f"{server.url}&options=-csynchronous_commit%3Doff", schema=schema)
    for level in ("local", "remote_write", "on"):
        url = f"{server.url}&options=-csynchronous_commit%3D{level}"
        PostgresLedger(url, schema=schema).close()


def test_a_server_that_does_not_sync_is_warned_of(
    server: Server, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    """That is for tests; it is nothing to stop for."""
    server.execute("ALTER SYSTEM SET fsync = off")
    server.execute("SELECT pg_reload_conf()")
    try:
        time.sleep(0.3)
        with caplog.at_level(logging.WARNING, "ai_batch.ledger"):
            PostgresLedger(server.url, schema=schema).close()
    finally:
        server.execute("ALTER SYSTEM RESET fsync")
        server.execute("SELECT pg_reload_conf()")

    assert "has fsync = off" in caplog.text


def test_a_ledger_of_a_newer_version_is_refused(ledger: PostgresLedger, server: Server) -> None:
    """As with SQLite."""
    schema = ledger._database_of_ours.schema
    server.execute(f"UPDATE {schema}.meta SET value = '99' WHERE key = 'schema_version'")  # noqa: S608

    with pytest.raises(
        LedgerError, match=r"the ledger has schema 99.*newer version has written it"
    ):
        PostgresLedger(server.url, schema=schema)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_ledger_of_an_older_version_is_brought_up_to_date(
    server: Server, schema: str, version: int
) -> None:
    """By all who open it at the same time; what is in it stays."""
    database = PostgresDatabase(server.url, schema=schema)
    with database.transaction() as tx:
        for statement in (statement for step in MIGRATIONS[:version] for statement in step):
            tx.execute(statement)
        tx.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        for pair in (("schema_version", str(version)), ("store_id", "0123456789abcdef")):
            tx.execute("INSERT INTO meta VALUES (?, ?)", pair)
        tx.execute("INSERT INTO budget (account) VALUES (?)", ("kept",))
    database.close()

    def opened(_: int) -> tuple[str, list[Row]]:
        ledger = PostgresLedger(server.url, schema=schema)
        with ledger._database.transaction() as tx:
            found = tx.execute("SELECT account, used_batches FROM budget")
        ledger.close()
        return ledger.store_id, found

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(opened, range(4)))

    assert found == [("0123456789abcdef", [("kept", 0)])] * 4
    ledger = PostgresLedger(server.url, schema=schema)
    ledger.add_job(job(), [shard()])
    assert len(claim(ledger)) == 1
    ledger.close()


@pytest.mark.parametrize("name", ["", "x" * 41, "a\0b"])
def test_a_schema_that_cannot_be_meant_is_refused(server: Server, name: str) -> None:
    """Before anything is connected."""
    with pytest.raises(UsageError, match="schema must be a name"):
        PostgresLedger(server.url, schema=name)


def test_any_other_name_is_a_schema(server: Server) -> None:
    """Whatever SQL thinks of it; two schemas are two ledgers."""
    opened = [PostgresLedger(server.url, schema=name) for name in ('a "b"; DROP', "Ünï % ?", "x")]
    opened[0].add_job(job(), [])

    assert [one.count_jobs() for one in opened] == [1, 0, 0]
    assert len({one.store_id for one in opened}) == 3
    for one in opened:
        one.close()


def test_no_connections_are_too_few(server: Server) -> None:
    """One is enough."""
    with pytest.raises(UsageError, match="max_connections must be 1 or more, found 0"):
        PostgresLedger(server.url, max_connections=0)


# -- errors and secrets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("08006", LedgerUnavailable),
        ("25006", LedgerUnavailable),
        ("40001", LedgerUnavailable),
        ("40P01", LedgerUnavailable),
        ("53100", NoRoom),
        ("53300", LedgerUnavailable),
        ("55P03", LedgerUnavailable),
        ("57P01", LedgerUnavailable),
        ("57P03", LedgerUnavailable),
        ("23505", LedgerError),
        ("42P01", LedgerError),
    ],
)
def test_what_passes_is_told_from_what_does_not(code: str, kind: type[LedgerError]) -> None:
    """By the code that the server gives."""
    error = psycopg.errors.lookup(code)("it says so")

    assert type(failure(error, Address.of("host=h dbname=d"))) is kind


@pytest.mark.parametrize("text", ["a\0b", "half a \ud800"])
def test_a_text_that_no_database_takes_is_an_error_of_ours(
    ledger: PostgresLedger, text: str
) -> None:
    """Such as the id of a batch; the ledger goes on."""
    ledger.add_job(job(), [shard()])
    (held,) = claim(ledger)

    with pytest.raises(LedgerError, match="failed"):
        ledger.update(held, input_id=text)

    assert ledger.shards("job_1")[0].state is ShardState.PLANNED


def test_marks_in_sql_are_no_parameters_of_the_driver() -> None:
    """A per cent sign stays one, ids sort by bytes, and a row has PostgreSQL's own place."""
    assert translated("SELECT 5 % ?") == b"SELECT 5 %% %s"
    assert translated("CREATE TABLE a (b TEXT)") == b'CREATE TABLE a (b TEXT COLLATE "C")'
    assert translated("SELECT 1 ORDER BY at, rowid") == b"SELECT 1 ORDER BY at, ctid"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@localhost:1/d",
        f"postgres://localhost:1/d?user=me&password={SECRET}",
        f"host=localhost port=1 password={SECRET}",
        f"postgresql://me:{SECRET}@localhost:1/d?sslmode=sometimes",
        f"postgresql://me:{SECRET}@[::1/d",
        f"postgresql://me:{SECRET}@localhost:1/d?nonsense={SECRET}",
    ],
)
def test_no_error_and_no_log_tells_the_password(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it stands in the address, and whatever is wrong with that."""
    impatient(monkeypatch)
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises((LedgerError, UsageError)) as caught,
    ):
        PostgresLedger(url)

    chain = [caught.value, caught.value.__cause__]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SECRET not in f"{chain!r} {caught.value} {vars(caught.value)} {caplog.text}"


def test_no_representation_tells_the_password(server: Server, schema: str) -> None:
    """Of ledger, database and address."""
    url = server.url.replace("tests@", f"tests:{SECRET}@")
    ledger = PostgresLedger(url, schema=schema)
    found: list[object] = [ledger, ledger._database, Address.of(url)]
    ledger.close()

    assert SECRET not in repr(found)
    assert "schema='test_" in repr(found)


def test_an_address_opens_a_ledger(server: Server, tmp_path: Path) -> None:
    """Through the entry point, as a processor's option does; both schemes do."""
    for url in (server.url, server.url.replace("postgresql:", "postgres:")):
        ledger = open_ledger(url, tmp_path)

        assert isinstance(ledger, PostgresLedger)
        assert isinstance(ledger._database, PostgresDatabase)
        ledger.close()
