"""What is done with files: rows split, requests of users read, prompts filled."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import msgspec

from ai_batch.cli.requests import Asking, requests_of
from ai_batch.cli.templates import Template
from ai_batch.core import rows
from ai_batch.core.errors import Problem, UsageError
from ai_batch.core.intake import items_of, read_request
from ai_batch.core.parts import read_part
from ai_batch.core.places import index_of, wire_id
from ai_batch.core.provider import part_id
from ai_batch.core.requestlog import dump_request, load_request
from ai_batch.core.rows import rows_between, split_rows
from ai_batch.core.wire_json import as_object, merged, unwritable

__all__ = ["FILES"]

BOM = b"\xef\xbb\xbf"

# In memory where there is such a folder: a file is written for each input.
SHM = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
FOLDER = tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None)


def _file(data: bytes, name: str = "input") -> Path:
    path = Path(FOLDER.name) / name
    path.write_bytes(data)
    return path


def _split(data: bytes) -> None:
    """Every line is given once, whole, with its offset; a long one cut, and only once."""
    for most in (rows.MAX_ROW, 1 + len(data) % 7):
        expected: list[tuple[int, bytes]] = []
        offset = len(BOM) if data.startswith(BOM) else 0
        for line in data[offset:].split(b"\n"):
            row = (line + b"\n")[:most].rstrip(b"\r\n")
            if offset + len(line) >= len(data):
                row = line[:most].rstrip(b"\r\n")
            if row:
                expected.append((offset, row))
            offset += len(line) + 1
        with patch.object(rows, "MAX_ROW", most):
            found = list(split_rows(_file(data)))
        assert found == expected
        for start, row in found:
            assert data[start:].startswith(row)


def _follow(data: bytes) -> None:
    """However a file grows, its whole lines are given once and in order."""
    end = data.rfind(b"\n") + 1
    path = _file(data)
    cuts = [0, *(place + 1 for place in range(end) if data[place : place + 1] == b"\n")]
    stops = sorted({*cuts[:: 1 + len(data) % 3], end})
    found: list[bytes] = []
    for start, stop in pairwise(stops):
        found += rows_between(path, start, stop)
    assert found == data[:end].split(b"\n")[:-1]


def _jsonl(data: bytes) -> None:
    """Each line is a request, which is the same again after it was written, or told as faulty."""
    for index, item in enumerate(items_of(_file(data))):
        read = read_request(item, index)
        if isinstance(read, list):
            assert read
            for problem in read:
                assert problem.message
                assert problem.index == index
                str(problem).encode()
            continue
        line = dump_request(read)
        assert b"\n" not in line
        assert dump_request(load_request(line)) == line


def _asked(kind: str, asking: Asking) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        path = _file(data)
        try:
            for index, made in enumerate(requests_of(str(path), kind, asking)):
                found = read_request(made, index)
                assert not isinstance(found, list) or all(isinstance(one, Problem) for one in found)
        except UsageError as error:
            str(error).encode("utf-8", "surrogatepass")

    return read


def _template(data: bytes) -> None:
    """A prompt is refused with a ``UsageError``, or says which columns it needs and takes them."""
    try:
        template = Template(data.decode("utf-8", "replace"))
    except UsageError:
        return
    row = dict.fromkeys(template.columns, "value")
    text = template.fill(row)
    assert text.count("value") >= len(row)
    for missing in row:
        try:
            template.fill({name: value for name, value in row.items() if name != missing})
        except KeyError:
            continue
        raise AssertionError(f"nobody missed {missing!r}")


def _wire_ids(data: bytes) -> None:
    """An id is our own exactly where it is what we would have written."""
    text = data.decode("utf-8", "replace")
    token, _, _ = text.partition("-")
    index = index_of(text, token)
    assert index is None or wire_id(token, index).lstrip("0123456789-") or index >= 0
    if index is not None:
        assert int(text.rpartition("-")[2]) == index
    place = read_part(text, f"{token}-")
    if place is not None:
        ours = part_id(wire_id(token, place.request), place.part, place.parts)
        assert read_part(ours, f"{token}-") == place


def _extras(data: bytes) -> None:
    """What is merged can be written, and holds everything of the second over the first."""
    value = as_object(data.decode("utf-8", "replace"))
    if value is None:
        return
    keys = list(value)
    base = {key: value[key] for key in keys[::2]}
    whole = merged(base, value)
    assert merged(whole, value) == whole
    assert whole.keys() == value.keys()
    if unwritable(whole) is None:
        assert json.loads(msgspec.json.encode(whole)) == json.loads(json.dumps(whole))


FILES: dict[str, Callable[[bytes], None]] = {
    "split_rows": _split,
    "follow_rows": _follow,
    "requests_jsonl": _jsonl,
    "cli_jsonl": _asked("jsonl", Asking(system="Be brief.", keep_extra=True)),
    "cli_openai": _asked("jsonl", Asking()),
    "cli_csv": _asked("csv", Asking(prompt="Say {text}")),
    "cli_tsv": _asked("tsv", Asking(embed=True, keep=("text",))),
    "cli_txt": _asked("txt", Asking()),
    "templates": _template,
    "wire_ids": _wire_ids,
    "extras": _extras,
}
"""What reads a user's files and the spool's, by the name of its target."""
