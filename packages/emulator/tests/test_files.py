"""Files and uploads."""

from __future__ import annotations

import hashlib
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from ai_batch.emulator import Emulator

if TYPE_CHECKING:
    from packages.emulator.tests.conftest import Lab


def test_a_file_is_kept_as_it_came(lab: Lab) -> None:
    """The object has the vendor's fields, and the content comes back byte for byte."""
    content = b'{"a":1}\r\n' + random.Random(0).randbytes(300_000)
    file = lab.upload(content)
    assert (file.bytes, file.filename, file.purpose) == (len(content), "input.jsonl", "batch")
    assert (file.object, file.status) == ("file", "processed")
    assert file.expires_at is not None
    assert file.expires_at - file.created_at == 30 * 86_400
    assert lab.client.files.retrieve(file.id) == file
    answer = lab.client.files.content(file.id)
    assert answer.content == content
    assert answer.response.headers["content-length"] == str(len(content))


def test_files_of_other_purposes_stay(lab: Lab) -> None:
    """Only batch files expire by themselves; any file does when told to."""
    kept = lab.client.files.create(file=("a.txt", b"a"), purpose="user_data")
    brief = lab.client.files.create(
        file=("a.txt", b"a"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert kept.expires_at is None
    assert brief.expires_at == brief.created_at + 3600
    lab.emulator.advance(hours=2)
    assert [file.id for file in lab.client.files.list()] == [kept.id]


def test_a_download_that_nobody_reads_to_its_end_leaves_no_file_open(tmp_path: Path) -> None:
    """Where the emulator ends in the middle of it."""
    with Emulator(home=tmp_path) as emulator:
        client = openai.OpenAI(base_url=emulator.openai_url, api_key="test")
        content = ("a.bin", bytes(30_000_000))
        file = client.files.create(file=content, purpose="user_data")
        with client.files.with_streaming_response.content(file.id):
            assert opened(file.id)
            emulator.stop()
            assert not opened(file.id)


def opened(name: str) -> list[str]:
    """Files of this process whose path holds the name."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [path for link in links if name in (path := str(link.readlink()))]


def test_a_range_of_a_file_can_be_fetched(lab: Lab) -> None:
    """Ranges are honoured, so that a cut download can go on."""
    file = lab.upload(b'"0123456789"')
    for asked, found, shown in (
        ("bytes=2-4", b"123", "bytes 2-4/12"),
        ("bytes=9-", b'89"', "bytes 9-11/12"),
        ("bytes=-2", b'9"', "bytes 10-11/12"),
        ("bytes=0-999", b'"0123456789"', "bytes 0-11/12"),
    ):
        answer = lab.client.files.content(file.id, extra_headers={"range": asked})
        assert (answer.response.status_code, answer.content) == (206, found)
        assert answer.response.headers["content-range"] == shown
    with pytest.raises(openai.APIStatusError) as caught:
        lab.client.files.content(file.id, extra_headers={"range": "bytes=12-"})
    assert caught.value.status_code == 416


def test_a_deleted_file_is_gone(lab: Lab) -> None:
    """Deleting answers with the deletion, and every later call with 404."""
    file = lab.upload(lab.lines(1))
    deletion = lab.client.files.delete(file.id)
    assert (deletion.id, deletion.object, deletion.deleted) == (file.id, "file", True)
    for call in (lab.client.files.retrieve, lab.client.files.delete, lab.client.files.content):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            call(file.id)
    assert lab.emulator.stats.files_deleted == 1
    assert lab.emulator.stats.files_live == 0


def test_files_are_listed_by_purpose_and_order(lab: Lab) -> None:
    """The list is newest first unless told otherwise, can be filtered, and pages."""
    names = [lab.upload(lab.lines(1)).id for _ in range(3)]
    other = lab.client.files.create(file=("a.txt", b"a"), purpose="user_data").id
    assert [file.id for file in lab.client.files.list()] == [other, *names[::-1]]
    assert [file.id for file in lab.client.files.list(purpose="batch", order="asc")] == names
    first = lab.client.files.list(purpose="batch", limit=2)
    assert first.has_more
    assert [file.id for file in lab.client.files.list(limit=1)] == [other, *names[::-1]]
    for options in ({"limit": 0}, {"limit": 10_001}, {"order": "sideways"}):
        wrong: dict[str, Any] = options
        with pytest.raises(openai.BadRequestError):
            lab.client.files.list(**wrong)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"purpose": "party"}, "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 60}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "updated_at", "seconds": 3600}}, "expires_after.anchor"),
    ],
)
def test_a_bad_upload_is_refused(lab: Lab, options: dict[str, Any], param: str) -> None:
    """The parameter at fault is named."""
    upload: Any = partial(lab.client.files.create, file=("x.jsonl", b"{}"))
    with pytest.raises(openai.BadRequestError) as caught:
        upload(**{"purpose": "batch", **options})
    assert caught.value.param == param


def test_a_form_must_be_whole(lab: Lab) -> None:
    """Without its file, or without being a form at all, an upload is refused."""
    with pytest.raises(openai.BadRequestError, match="multipart"):
        lab.client.post("/files", body={"purpose": "batch"}, cast_to=object)
    for fields, param in (({"purpose": (None, "batch")}, "file"), ({"file": "x"}, "purpose")):
        answer = httpx2.post(
            f"{lab.emulator.openai_url}/files", headers={"authorization": "Bearer k"}, files=fields
        )
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_an_upload_in_parts_becomes_a_file(lab: Lab) -> None:
    """The SDK's own helper for big files works, checksum included."""
    content = b"".join(b'{"line":%d}\n' % number for number in range(1000))
    upload = lab.client.uploads.upload_file_chunked(
        file=content,
        filename="big.jsonl",
        bytes=len(content),
        mime_type="application/jsonl",
        purpose="batch",
        part_size=4000,
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
    )
    assert upload.status == "completed"
    assert upload.file is not None
    assert lab.client.files.content(upload.file.id).content == content


def start_upload(lab: Lab, size: int) -> openai.types.Upload:
    """An upload without parts."""
    return lab.client.uploads.create(
        bytes=size, filename="x.jsonl", mime_type="text/plain", purpose="batch"
    )


def test_the_order_of_parts_is_told_at_the_end(lab: Lab) -> None:
    """Parts may come in any order; their ids say how they are joined."""
    upload = start_upload(lab, 4)
    end = lab.client.uploads.parts.create(upload.id, data=b"34")
    begin = lab.client.uploads.parts.create(upload.id, data=b"12")
    assert begin.object == "upload.part"
    assert begin.id.startswith("part_")
    done = lab.client.uploads.complete(upload.id, part_ids=[begin.id, end.id])
    assert done.file is not None
    assert lab.client.files.content(done.file.id).content == b"1234"


def test_an_upload_must_add_up(lab: Lab) -> None:
    """A wrong size, a wrong checksum and an unknown part are refused; the upload stays open."""
    upload = start_upload(lab, 4)
    part = lab.client.uploads.parts.create(upload.id, data=b"12")
    with pytest.raises(openai.BadRequestError, match="2 bytes"):
        lab.client.uploads.complete(upload.id, part_ids=[part.id])
    with pytest.raises(openai.BadRequestError, match="No such part"):
        lab.client.uploads.complete(upload.id, part_ids=["part_x"])
    with pytest.raises(openai.BadRequestError, match="checksum"):
        lab.client.uploads.complete(upload.id, part_ids=[part.id, part.id], md5="0" * 32)
    lab.client.uploads.complete(upload.id, part_ids=[part.id, part.id])


def test_a_closed_upload_takes_no_parts(lab: Lab) -> None:
    """Cancelled, expired and unknown uploads are refused."""
    cancelled = start_upload(lab, 4)
    assert lab.client.uploads.cancel(cancelled.id).status == "cancelled"
    late = start_upload(lab, 4)
    lab.emulator.advance(hours=2)
    for upload, word in ((cancelled, "cancelled"), (late, "expired")):
        with pytest.raises(openai.BadRequestError, match=word):
            lab.client.uploads.parts.create(upload.id, data=b"12")
    with pytest.raises(openai.NotFoundError):
        lab.client.uploads.cancel("upload_x")
