"""Cloud Storage, as the bare client sees it."""

from __future__ import annotations

import importlib
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import pytest
import requests

from ai_batch.emulator import Emulator, Fault
from ai_batch.emulator.gcs.checksums import crc32c
from ai_batch.emulator.surface import Surface

# Google's libraries have no types.
official: Any = importlib.import_module("google_crc32c")
storage: Any = importlib.import_module("google.cloud.storage")
retry: Any = importlib.import_module("google.cloud.storage.retry")
exceptions: Any = importlib.import_module("google.api_core.exceptions")
credentials: Any = importlib.import_module("google.auth.credentials")

Connect: TypeAlias = Callable[[Surface], Any]
MIB = 1 << 20


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator as it comes."""
    with Emulator() as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make clients that are closed when the test ends."""
    with ExitStack() as stack:

        def make(emulator: Surface) -> Any:
            client = storage.Client(
                project="p",
                credentials=credentials.AnonymousCredentials(),
                client_options={"api_endpoint": emulator.gcs_url},
            )
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(emulator: Emulator, connect: Connect) -> Any:
    """A client of that emulator."""
    return connect(emulator)


def names(found: Any) -> list[str]:
    """The names of listed objects."""
    return [blob.name for blob in found]


@pytest.mark.parametrize("size", [0, 1, 1000, MIB, MIB + 1, 3 * MIB + 77])
def test_checksums_are_those_of_the_vendors_library(size: int) -> None:
    """Our CRC32C is the official one, whole and in pieces."""
    data = os.urandom(size)
    assert crc32c(data) == official.value(data)
    assert crc32c(data[size // 3 :], crc32c(data[: size // 3])) == official.value(data)


def test_the_client_is_sent_here_by_its_environment(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STORAGE_EMULATOR_HOST is all that an unmodified program needs: no credentials."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.gcs_url)
    client = storage.Client(project="p")
    client.bucket("b").blob("a").upload_from_string("x")
    assert client.bucket("b").blob("a").download_as_bytes() == b"x"
    client.close()


@pytest.mark.parametrize("checksum", ["md5", "crc32c", None])
def test_a_small_object_comes_back(client: Any, checksum: Any) -> None:
    """What was put in is got out, with the checksums that the client verifies."""
    blob = client.bucket("b").blob("folder/a b%c.txt")
    blob.metadata = {"who": "me"}
    blob.upload_from_string("héllo", content_type="text/plain", checksum=checksum)
    found = client.bucket("b").get_blob("folder/a b%c.txt")
    assert found is not None
    assert (found.size, found.content_type, found.metadata) == (6, "text/plain", {"who": "me"})
    assert found.generation == blob.generation
    assert found.time_created is not None
    assert found.download_as_bytes(checksum=checksum).decode() == "héllo"


@pytest.mark.parametrize("chunk", [256 * 1024, MIB])
def test_a_big_object_comes_in_chunks(emulator: Emulator, client: Any, chunk: int) -> None:
    """A resumable upload of known and of unknown length arrives whole."""
    data = os.urandom(9 * MIB + 123)
    blob = client.bucket("b").blob("big", chunk_size=chunk)
    blob.upload_from_file(io.BytesIO(data), size=len(data), checksum="crc32c")
    with client.bucket("b").blob("stream").open("wb", chunk_size=chunk) as sink:
        sink.write(data)
    for name in ("big", "stream"):
        assert client.bucket("b").blob(name).download_as_bytes(checksum="md5") == data
    assert emulator.stats.requests["objects.upload"] == 2
    assert emulator.stats.requests["objects.upload.chunk"] == 2 * (9 * MIB // chunk + 1)
    assert emulator.stats.files_uploaded == emulator.stats.files_live == 2


def test_an_object_is_read_in_ranges(client: Any) -> None:
    """Parts of an object, and its lines one by one."""
    lines = [f"line {number}" for number in range(1000)]
    client.bucket("b").blob("a").upload_from_string("\n".join(lines))
    blob = client.bucket("b").blob("a")
    assert blob.download_as_bytes(start=5, end=10) == b"0\nline"
    with blob.open("rt", chunk_size=1024) as source:
        assert [line.rstrip("\n") for line in source] == lines


def test_wrong_checksums_are_refused(client: Any) -> None:
    """A content that is not what its sender says is not stored."""
    blob = client.bucket("b").blob("a")
    blob.md5_hash = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(exceptions.BadRequest, match="md5Hash"):
        blob.upload_from_string("x")
    assert not client.bucket("b").blob("a").exists()


def test_objects_are_listed_by_prefix_and_page(client: Any) -> None:
    """Prefixes, delimiters and pages, in the order of names."""
    for name in ("a/1", "a/2", "a/b/3", "c", "a.txt"):
        client.bucket("b").blob(name).upload_from_string(name)
    assert names(client.list_blobs("b")) == ["a.txt", "a/1", "a/2", "a/b/3", "c"]
    assert names(client.list_blobs("b", prefix="a/")) == ["a/1", "a/2", "a/b/3"]
    pages = client.list_blobs("b", page_size=2)
    assert [names(page) for page in pages.pages] == [["a.txt", "a/1"], ["a/2", "a/b/3"], ["c"]]
    folders = client.list_blobs("b", delimiter="/")
    assert names(folders) == ["a.txt", "c"]
    assert folders.prefixes == {"a/"}
    assert names(client.list_blobs("b", max_results=1)) == ["a.txt"]


def test_generations_guard_against_overwriting(client: Any) -> None:
    """`if_generation_match` is enforced on upload, download and deletion."""
    blob = client.bucket("b").blob("a")
    blob.upload_from_string("one", if_generation_match=0)
    first = blob.generation
    with pytest.raises(exceptions.PreconditionFailed):
        client.bucket("b").blob("a").upload_from_string("two", if_generation_match=0)
    data = io.BytesIO(b"x" * MIB)
    resumable = client.bucket("b").blob("a", chunk_size=MIB)
    with pytest.raises(exceptions.PreconditionFailed):
        resumable.upload_from_file(data, size=MIB, if_generation_match=0)
    blob.upload_from_string("three", if_generation_match=first)
    assert blob.generation is not None
    assert first is not None
    assert blob.generation > first
    with pytest.raises(exceptions.PreconditionFailed):
        client.bucket("b").blob("a").download_as_bytes(if_generation_match=first)
    with pytest.raises(exceptions.NotFound):
        client.bucket("b").blob("a", generation=first).download_as_bytes()
    with pytest.raises(exceptions.PreconditionFailed):
        client.bucket("b").blob("a").delete(if_generation_match=first)
    client.bucket("b").blob("a").delete(if_generation_match=blob.generation)
    assert not client.bucket("b").blob("a").exists()


def test_what_does_not_exist_is_not_found(client: Any) -> None:
    """Objects and buckets that are unknown, in Google's words."""
    client.create_bucket("b")
    for call in (
        client.bucket("b").blob("a").download_as_bytes,
        client.bucket("b").blob("a").delete,
        client.bucket("b").blob("a").reload,
    ):
        with pytest.raises(exceptions.NotFound, match="No such object: b/a"):
            call()
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        client.get_bucket("unknown")
    with pytest.raises(exceptions.NotFound):
        list(client.list_blobs("unknown"))


def test_buckets_are_made_listed_and_deleted(client: Any) -> None:
    """A bucket also comes into being when something is put into it."""
    client.create_bucket("made")
    with pytest.raises(exceptions.Conflict):
        client.create_bucket("made")
    client.bucket("used").blob("a").upload_from_string("x")
    assert names(client.list_buckets()) == ["made", "used"]
    with pytest.raises(exceptions.Conflict, match="not empty"):
        client.bucket("used").delete()
    client.bucket("made").delete()
    assert client.bucket("used").exists()
    assert not client.bucket("made").exists()


def test_objects_are_copied_composed_and_changed(client: Any) -> None:
    """The contents move without passing through the client."""
    bucket = client.bucket("b")
    for name in ("1", "2"):
        bucket.blob(name).upload_from_string(f"part {name};", content_type="text/x")
    copied = bucket.copy_blob(bucket.blob("1"), client.bucket("other"), "copy")
    assert (copied.content_type, copied.download_as_bytes()) == ("text/x", b"part 1;")
    whole = bucket.blob("whole")
    whole.compose([bucket.blob("1"), bucket.blob("2")])
    assert whole.download_as_bytes() == b"part 1;part 2;"
    moved = bucket.rename_blob(bucket.blob("2"), "renamed")
    assert moved.download_as_bytes() == b"part 2;"
    assert not bucket.blob("2").exists()
    moved.metadata = {"k": "v"}
    moved.patch()
    found = bucket.get_blob("renamed")
    assert found is not None
    assert (found.metadata, found.metageneration) == ({"k": "v"}, 2)


def test_an_interrupted_upload_goes_on_where_it_stopped(emulator: Emulator, client: Any) -> None:
    """Of a chunk that is cut, whole quanta of 256 KiB are kept, and the client asks how far."""
    emulator.inject(Fault(route="objects.upload.chunk", nth=2, cut_after_bytes=700_000))
    data = os.urandom(3 * MIB)
    blob = client.bucket("b").blob("a", chunk_size=MIB)
    blob.upload_from_file(io.BytesIO(data), size=len(data), retry=retry.DEFAULT_RETRY)
    assert client.bucket("b").blob("a").download_as_bytes() == data


def test_an_upload_session_outlives_a_kill(connect: Connect, tmp_path: Path) -> None:
    """Objects, and how far an upload had come, are there again."""
    with Emulator.spawn(home=tmp_path) as emulator:
        client = connect(emulator)
        client.bucket("b").blob("a").upload_from_string("x")
        url = client.bucket("b").blob("slow").create_resumable_upload_session(size=2 * MIB)
        half = {"Content-Range": f"bytes 0-{MIB - 1}/{2 * MIB}"}
        assert httpx2.put(url, content=b"1" * MIB, headers=half).status_code == 308
        emulator.kill()
        emulator.restart()
        asked = httpx2.put(url, headers={"Content-Range": f"bytes */{2 * MIB}"})
        assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{MIB - 1}")
        rest = {"Content-Range": f"bytes {MIB}-{2 * MIB - 1}/{2 * MIB}"}
        done = httpx2.put(url, content=b"2" * MIB, headers=rest)
        assert json.loads(done.content)["size"] == str(2 * MIB)
        again = httpx2.put(url, headers={"Content-Range": f"bytes */{2 * MIB}"})
        assert json.loads(again.content)["generation"] == json.loads(done.content)["generation"]
        found = client.bucket("b").blob("slow").download_as_bytes()
        assert found == b"1" * MIB + b"2" * MIB
        assert names(client.list_blobs("b")) == ["a", "slow"]


def test_faults_strike_by_route_and_vendor(emulator: Emulator, client: Any) -> None:
    """A fault of another vendor leaves the storage alone; a status is in Google's words."""
    blob = client.bucket("b").blob("a")
    emulator.inject(Fault(route="*", vendor="openai", status=500))
    blob.upload_from_string("x" * 1000)
    emulator.inject(Fault(route="objects.get", vendor="gcs", nth=1, status=403))
    with pytest.raises(exceptions.Forbidden):
        blob.reload()
    emulator.inject(Fault(route="objects.download", nth=1, cut_after_bytes=10))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        blob.download_as_bytes(retry=None)
    assert blob.download_as_bytes() == b"x" * 1000
