"""The body of a create call, made of the input file while it is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ai_batch.anthropic import bodies
from ai_batch.anthropic.bodies import CreateBody


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("block", [1, 7, 100, 1 << 20])
async def test_lines_become_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, block: int
) -> None:
    """Wherever the blocks are cut, the body is JSON, of the size that is announced."""
    monkeypatch.setattr(bodies, "BLOCK", block)
    items = [{"custom_id": f"token-{n}", "params": {"text": "a\nb,\u2028"}} for n in range(count)]
    lines = [json.dumps(item, separators=(",", ":"), ensure_ascii=False) for item in items]
    path = tmp_path / "input.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    body = CreateBody(path)
    sent = b"".join(body.blocks())
    assert json.loads(sent) == {"requests": items}
    assert body.size == len(sent)
    assert b"".join([part async for part in body.ablocks()]) == sent


def test_only_a_block_is_in_memory(tmp_path: Path) -> None:
    """No piece is larger than a megabyte, however large the file."""
    path = tmp_path / "input.jsonl"
    path.write_bytes((b"x" * 999 + b"\n") * 3000)
    assert max(map(len, CreateBody(path).blocks())) == 1 << 20
