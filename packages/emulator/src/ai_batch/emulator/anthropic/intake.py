"""The body of a create call: streamed to disk, checked, and split into one line per request.

What is checked here fails the whole call; all else is found when the requests run. Source:
https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import msgspec

from ai_batch.emulator.anthropic.errors import VendorError, error_of_status
from ai_batch.emulator.json_types import JsonValue, as_object, decode

_PATTERN = "^[a-zA-Z0-9_-]{1,64}$"
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_ID = 64
_BLOCK = 1024


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    # The $ of the vendor's pattern would let a line feed pass in Python.
    custom_id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
    params: msgspec.Raw


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[_Item]


class _LooseBody(msgspec.Struct):
    requests: list[msgspec.Raw]


async def receive(chunks: AsyncIterator[bytes], target: Path, max_bytes: int) -> None:
    """Write a body to a file; one that is too large is read to its end, and refused then."""
    size = 0
    with target.open("wb") as sink:
        async for chunk in chunks:
            size += len(chunk)
            if size <= max_bytes:
                sink.write(chunk)
    if size > max_bytes:
        raise error_of_status(413)


def split(body: Path, lines: Path, max_requests: int) -> int:
    """Write each request of a body to a line, and return their number.

    Raises:
        VendorError: The body is refused as a whole.
    """
    if body.stat().st_size == 0:
        raise _not_json("unexpected end of data")
    with body.open("rb") as source:
        # It is not closed here but with the last of the items, which are views of it.
        data = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        items = msgspec.json.decode(data, type=_Body).requests
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _explained(bytes(data), max_requests) from None
    _check_total(len(items), max_requests)
    _write(items, lines)
    return len(items)


def _check_total(total: int, max_requests: int) -> None:
    if not total:
        message = "requests: List should have at least 1 item after validation, not 0"
        raise VendorError(message)
    if total > max_requests:
        message = (
            f"requests: List should have at most {max_requests} items after validation, not {total}"
        )
        raise VendorError(message)


def _write(items: list[_Item], lines: Path) -> None:
    seen: set[str] = set()
    with lines.open("wb") as sink:
        for start in range(0, len(items), _BLOCK):
            block = items[start : start + _BLOCK]
            sink.write(b"".join([_line(start + offset, item) for offset, item in enumerate(block)]))
            seen.update(item.custom_id for item in block)
            if len(seen) < start + len(block):
                raise _duplicate([item.custom_id for item in items])


def _line(index: int, item: _Item) -> bytes:
    params = bytes(item.params)
    if not params.startswith(b"{"):
        raise VendorError(f"requests.{index}.params: Input should be a valid dictionary")
    if not params.isascii():
        try:
            params.decode()
        except UnicodeDecodeError as error:
            raise _not_json(str(error)) from error
    if b"\n" in params or b"\r" in params:
        params = msgspec.json.format(params, indent=-1)
    return b'{"custom_id":"%b","params":%b}\n' % (item.custom_id.encode(), params)


def _duplicate(custom_ids: list[str]) -> VendorError:
    twice = next(name for name, count in Counter(custom_ids).items() if count > 1)
    return VendorError(
        f"requests: custom_id's must be unique within a batch. Duplicate custom_id found: {twice}"
    )


def _not_json(why: str) -> VendorError:
    return VendorError(f"The request body is not valid JSON: {why}")


def _explained(data: bytes, max_requests: int) -> VendorError:
    """Return what is wrong with a body, of which is only known that it is wrong."""
    try:
        loose = msgspec.json.decode(data, type=_LooseBody).requests
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _not_even_a_list(data)
    try:
        _check_total(len(loose), max_requests)
    except VendorError as error:
        return error
    for index, item in enumerate(loose):
        try:
            problem = _item_error(decode(item), index)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _not_json(str(error))
        if problem is not None:
            return VendorError(problem)
    extra = sorted(as_object(decode(data)).keys() - {"requests"})
    return VendorError(f"{extra[0]}: Extra inputs are not permitted")


def _not_even_a_list(data: bytes) -> VendorError:
    try:
        body = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _not_json(str(error))
    if not isinstance(body, dict):
        return VendorError("Input should be a valid dictionary")
    problem = "Input should be a valid list" if "requests" in body else "Field required"
    return VendorError(f"requests: {problem}")


def _item_error(item: JsonValue, index: int) -> str | None:
    place = f"requests.{index}"
    if not isinstance(item, dict):
        return f"{place}: Input should be a valid dictionary"
    if (problem := _id_problem(item)) is not None:
        return f"{place}.custom_id: {problem}"
    if "params" not in item:
        return f"{place}.params: Field required"
    extra = sorted(item.keys() - {"custom_id", "params"})
    return f"{place}.{extra[0]}: Extra inputs are not permitted" if extra else None


def _id_problem(item: dict[str, JsonValue]) -> str | None:
    if "custom_id" not in item:
        return "Field required"
    custom_id = item["custom_id"]
    if not isinstance(custom_id, str):
        return "Input should be a valid string"
    if not custom_id:
        return "String should have at least 1 character"
    if len(custom_id) > _MAX_ID:
        return f"String should have at most {_MAX_ID} characters"
    if _CUSTOM_ID.fullmatch(custom_id) is None:
        return f"String should match pattern '{_PATTERN}'"
    return None
