"""Where rows are: the table, and the offsets of lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_batch.core import rows
from ai_batch.core.rows import Place, RowTable, Source, split_rows

lines = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.booleans())
def test_offsets_are_right_for_any_bytes(
    tmp_path: Path, content: list[bytes], end: bytes, bom: bool, closed: bool
) -> None:
    """Each row is where its offset says, whatever the line's end, with or without a last one."""
    path = tmp_path / "rows"
    data = (b"\xef\xbb\xbf" if bom else b"") + end.join(content) + (end if closed else b"")
    path.write_bytes(data)

    found = list(split_rows(path))

    body = data.removeprefix(b"\xef\xbb\xbf")
    expected = [line.rstrip(b"\r\n") for line in body.split(b"\n")]
    assert [row for _, row in found] == [line for line in expected if line]
    assert all(data[offset : offset + len(row)] == row for offset, row in found)


def test_rows_are_split_at_line_feeds_alone(tmp_path: Path) -> None:
    """Vendors' text may hold U+2028, U+0085 and form feeds."""
    path = tmp_path / "rows"
    row = '{"text": "a\u2028b\u0085c\x0cd"}'.encode()
    path.write_bytes(row + b"\n" + row)

    assert [found for _, found in split_rows(path)] == [row, row]


@pytest.mark.parametrize("extra", [0, 1, 7, 8, 9, 100])
def test_a_line_that_is_too_long_is_cut_and_the_next_one_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    """One monstrous row takes neither the memory nor the rows behind it."""
    monkeypatch.setattr(rows, "MAX_ROW", 8)
    path = tmp_path / "rows"
    long = b"x" * (8 + extra)
    path.write_bytes(b"first\n" + long + b"\nlast\n")

    found = list(split_rows(path))

    assert found[0] == (0, b"first")
    assert found[1] == (6, b"x" * 8)
    assert found[-1] == (6 + len(long) + 1, b"last")
    assert len(found) == 3


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """Nothing in, nothing out."""
    path = tmp_path / "rows"
    path.touch()

    assert list(split_rows(path)) == []


def test_places_survive_the_disk(tmp_path: Path) -> None:
    """What was put into the table is read back from its file."""
    table = RowTable.empty(3)
    table.put(0, 10, 20, Source.OUTPUT, retried=False)
    table.put(2, 1 << 40, 1 << 31, Source.LOCAL, retried=False)
    table.mark_retried(2)
    path = tmp_path / "rows"
    path.write_bytes(table.sealed(path))

    read = RowTable.read(path, 3)

    assert len(read) == 3
    assert read[0] == Place(10, 20, Source.OUTPUT, retried=False)
    assert read[1] == Place(0, 0, Source.NONE, retried=False)
    assert read[2] == Place(1 << 40, 1 << 31, Source.LOCAL, retried=True)
    assert read.unseen() == 1
    assert [read.retried(position) for position in range(3)] == [False, False, True]
