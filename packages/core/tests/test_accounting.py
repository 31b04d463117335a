"""Accounting for every request of a shard, whatever rows the vendor gave."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from ai_batch.core import ItemError, VendorFault
from ai_batch.core.accounting import Accountant, Check, dump_local, load_local
from ai_batch.core.fakes import FakeVendor, Line, write_line
from ai_batch.core.provider import Route
from ai_batch.core.rows import Place, RowTable, Source
from ai_batch.core.spool import JobFolder, members_of, write_members
from ai_batch.core.state import Shard, ShardState
from ai_batch.core.testing import FakeProvider

TOKEN = "abcdefghijklmnop"


def shard_of(*indices: int) -> Shard:
    """A shard that holds these requests."""
    return Shard(
        job_id="job_1",
        seq=1,
        name="0001",
        state=ShardState.ENDED,
        route=Route("chat", "/chat", "fake-chat"),
        account="a",
        token=TOKEN,
        count=len(indices),
        bytes=0,
        tokens=0,
        first_index=indices[0],
        last_index=indices[-1],
    )


def answer(index: int, text: str = "yes", token: str = TOKEN) -> bytes:
    """A row with an answer."""
    return write_line(Line(f"{token}-{index}", text, tokens=10))


def failure(index: int, *, retryable: bool = False) -> bytes:
    """A row with an error."""
    return write_line(Line(f"{TOKEN}-{index}", error="overloaded", retryable=retryable))


class Books:
    """One shard in a folder, and what the accounting makes of rows."""

    def __init__(self, folder: Path, *indices: int) -> None:
        self.folder = JobFolder(folder)
        self.shard = shard_of(*indices)
        if not self.shard.contiguous:
            write_members(self.folder, "0001", array("Q", indices))

    def accountant(
        self, *rows: bytes, retries_left: bool = False, check: Check | None = None
    ) -> Accountant:
        """An accountant that has read the rows."""
        self.folder.file("0001", "output.jsonl").write_bytes(b"".join(r + b"\n" for r in rows))
        accountant = Accountant(
            self.folder,
            self.shard,
            FakeProvider(FakeVendor()),
            retries_left=retries_left,
            check=check,
        )
        accountant.read(Source.OUTPUT)
        accountant.read(Source.ERRORS)
        return accountant

    def places(self) -> list[Place]:
        """The table that was written."""
        table = RowTable.read(self.folder.file("0001", "rows"), self.shard.count)
        return [table[position] for position in range(len(table))]

    def row(self, place: Place) -> bytes:
        """The row at a place."""
        data = self.folder.file("0001", Source(place.source).kind).read_bytes()
        return data[place.offset : place.offset + place.length]


def test_each_row_finds_its_request_whatever_the_order(tmp_path: Path) -> None:
    """Vendors shuffle; counts and usage come out right."""
    books = Books(tmp_path, 5, 6, 7)

    account = books.accountant(answer(7, "c"), answer(5, "a"), failure(6)).write()

    assert [books.row(place) for place in books.places()] == [
        answer(5, "a"),
        failure(6),
        answer(7, "c"),
    ]
    assert (account.ok, account.failed, account.usage[0]) == (2, 1, 20)
    assert account.harm == 0


def test_a_shard_of_scattered_requests_finds_its_rows(tmp_path: Path) -> None:
    """Where the requests are no plain range, their list is looked into."""
    books = Books(tmp_path, 2, 40, 41, 900)

    account = books.accountant(answer(900), answer(41), answer(3), answer(2), answer(40)).write()

    assert list(members_of(books.folder, books.shard)) == [2, 40, 41, 900]
    assert (account.ok, account.foreign) == (4, 1)
    assert books.row(books.places()[3]) == answer(900)


@pytest.mark.parametrize(
    "row",
    [
        answer(0, token="ponmlkjihgfedcba"),
        write_line(Line(f"{TOKEN}-")),
        write_line(Line(f"{TOKEN}-99")),
        write_line(Line(f"{TOKEN}--1")),
        write_line(Line(f"{TOKEN}-1.0")),
        write_line(Line(f"{TOKEN}-\u0661")),
        write_line(Line(TOKEN + "-" + "9" * 5000)),
        write_line(Line("")),
    ],
    ids=["token", "none", "beyond", "minus", "point", "arabic", "endless", "empty"],
)
def test_a_row_that_is_not_ours_is_left_aside(tmp_path: Path, row: bytes) -> None:
    """Another token or no index of ours: counted, and nothing else."""
    books = Books(tmp_path, 0, 1)

    account = books.accountant(row, answer(0), answer(1)).write()

    assert (account.ok, account.foreign, account.missing) == (2, 1, 0)


@pytest.mark.parametrize(
    "row",
    [b"<html>", b"{", b'{"id": 5}', b"\xff\xfe", b"null", b"[" * 100_000, b'{"x":' * 100_000],
    ids=["html", "torn", "number", "utf-8", "null", "deep list", "deep object"],
)
def test_a_row_that_cannot_be_read_is_damage(tmp_path: Path, row: bytes) -> None:
    """It is counted, every other row is taken, and the request behind it is missing."""
    books = Books(tmp_path, 0, 1)
    accountant = books.accountant(row, answer(0))

    assert accountant.count_missing() == 1
    assert accountant.account.unreadable == 1
    assert accountant.account.harm >= 1


def test_the_first_of_two_answers_counts(tmp_path: Path) -> None:
    """And is billed once."""
    books = Books(tmp_path, 0)

    account = books.accountant(answer(0, "first"), answer(0, "second")).write()

    assert books.row(books.places()[0]) == answer(0, "first")
    assert (account.ok, account.duplicates, account.usage[0]) == (1, 1, 10)


@pytest.mark.parametrize("rows", [[failure(0), answer(0)], [answer(0), failure(0)]])
def test_an_answer_counts_more_than_an_error(tmp_path: Path, rows: list[bytes]) -> None:
    """Whichever of both rows comes first."""
    books = Books(tmp_path, 0)

    account = books.accountant(*rows).write()

    assert books.row(books.places()[0]) == answer(0)
    assert (account.ok, account.failed, account.duplicates) == (1, 0, 1)


def test_a_misfit_answer_is_our_error_and_billed_once(tmp_path: Path) -> None:
    """Text that does not fit its schema was paid for, also where its row comes twice."""
    books = Books(tmp_path, 0)
    misfit = ItemError(code="invalid_output", message="does not fit")

    account = books.accountant(answer(0), answer(0), check=lambda _row, _index: misfit).write()

    assert load_local(books.row(books.places()[0])) == misfit
    assert (account.ok, account.failed, account.duplicates, account.usage[0]) == (0, 1, 1, 10)


def test_passing_errors_go_again_while_there_are_tries(tmp_path: Path) -> None:
    """Permanent ones do not."""
    books = Books(tmp_path, 0, 1, 2)
    rows = (failure(0, retryable=True), failure(1), answer(2))

    account = books.accountant(*rows, retries_left=True).write()

    assert (list(account.retry), account.ok, account.failed) == ([0], 1, 1)
    assert [place.retried for place in books.places()] == [True, False, False]


def test_passing_errors_are_final_when_the_tries_are_used_up(tmp_path: Path) -> None:
    """The vendor's row is the result then."""
    books = Books(tmp_path, 0)

    account = books.accountant(failure(0, retryable=True)).write()

    assert (list(account.retry), account.failed) == ([], 1)
    assert books.row(books.places()[0]) == failure(0, retryable=True)


def test_a_request_without_a_row_gets_our_error(tmp_path: Path) -> None:
    """Every request has a place in the end."""
    books = Books(tmp_path, 0, 1, 2)
    accountant = books.accountant(answer(1))
    gone = ItemError(code="missing_row", message="no row", retryable=False)

    assert accountant.count_missing() == 2
    accountant.fill(gone)
    account = accountant.write()

    places = books.places()
    assert [place.source for place in places] == [Source.LOCAL, Source.OUTPUT, Source.LOCAL]
    assert load_local(books.row(places[0])) == load_local(books.row(places[2])) == gone
    assert (account.ok, account.failed) == (1, 2)


def test_both_files_are_read(tmp_path: Path) -> None:
    """Errors may come in a file of their own."""
    books = Books(tmp_path, 0, 1)
    books.folder.file("0001", "errors.jsonl").write_bytes(failure(1) + b"\n")

    books.accountant(answer(0)).write()

    assert [place.source for place in books.places()] == [Source.OUTPUT, Source.ERRORS]
    assert books.row(books.places()[1]) == failure(1)


def test_a_refused_batch_blames_the_lines_it_names(tmp_path: Path) -> None:
    """Lines count from 1; those that do not exist blame nobody."""
    books = Books(tmp_path, 4, 5, 6)
    accountant = books.accountant()

    faults = [VendorFault("bad", code="x", line=2), VendorFault("bad", line=9)]
    accountant.blame([*faults, VendorFault("general"), VendorFault("again", line=2)])
    accountant.ask_again()
    account = accountant.write()

    assert list(account.retry) == [4, 6]
    assert load_local(books.row(books.places()[1])) == ItemError(code="x", message="bad")
    assert account.failed == 1


def test_our_own_errors_survive_the_disk() -> None:
    """All fields of an error come back."""
    error = ItemError(
        code="x", message="y\n\u2028", retryable=True, status=500, request_id="r", raw="z"
    )

    assert load_local(dump_local(7, error)) == error
    assert b"\n" not in dump_local(7, error)
