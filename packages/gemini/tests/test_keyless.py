"""Rows without keys, which are told by the texts that they repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ai_batch.gemini.keyless import give_keys, instances_of


def lines(*values: Any) -> bytes:
    """Lines of JSON."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def asked(folder: Path, **texts: str) -> Path:
    """An input with these keys and texts."""
    path = folder / "asked"
    path.write_bytes(lines(*({"key": k, "instance": {"content": t}} for k, t in texts.items())))
    return path


def answer(text: str, **more: Any) -> dict[str, Any]:
    """A row of results."""
    return {"instance": {"content": text, **more}, "predictions": [text.upper()], "status": ""}


def given(folder: Path, source: Path, *rows: bytes) -> list[bytes]:
    """The rows with their keys."""
    came = folder / "came"
    came.write_bytes(b"".join(rows))
    give_keys(came, source, folder / "out")
    return (folder / "out").read_bytes().splitlines()


def test_what_is_sent_has_no_keys(tmp_path: Path) -> None:
    """Older models refuse what they do not know."""
    path = asked(tmp_path, k1="one", k2="zwei")
    assert [json.loads(line) for line in instances_of(path)] == [
        {"content": "one"},
        {"content": "zwei"},
    ]


def test_rows_get_the_keys_of_their_texts(tmp_path: Path) -> None:
    """In whatever order they come, and with whatever was added to what they repeat."""
    path = asked(tmp_path, k1="one", k2="zwei", k3="Ünï")
    rows = given(tmp_path, path, lines(answer("Ünï"), answer("one", task_type="X"), answer("zwei")))
    found = {row["key"]: row["predictions"] for row in map(json.loads, rows)}
    assert found == {"k1": ["ONE"], "k2": ["ZWEI"], "k3": ["ÜNÏ"]}


def test_equal_texts_share_their_rows(tmp_path: Path) -> None:
    """Their vectors are equal: each key gets one, and a row too many gets none."""
    path = asked(tmp_path, k1="same", k2="same")
    rows = given(tmp_path, path, lines(answer("same"), answer("same"), answer("same")))
    assert [json.loads(row).get("key") for row in rows] == ["k1", "k2", None]


def test_what_can_not_be_told_stays_as_it_is(tmp_path: Path) -> None:
    """It is no row of ours, or a damaged one: the engine says so."""
    path = asked(tmp_path, k1="one")
    odd = [b"{", b"[1]", b'{"status":"x"}', b'{"instance":7}', b'{"instance":{"content":"two"}}']
    deep = b'{"instance":' + b"[" * 5000 + b"]" * 5000 + b"}"
    named = b'{"key":"own","instance":{"content":"one"}}'
    rows = [*odd, deep, named]
    assert given(tmp_path, path, b"\r\n".join(rows)) == rows
