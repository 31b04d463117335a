"""Files in Cloud Storage: whole or not there, each call made once, and nothing left open."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from packages.gemini.tests.conftest import vertex_connection

from ai_batch.core import (
    AuthenticationFailed,
    OutcomeUnknown,
    ProviderError,
    ProviderNotInstalled,
    ProviderUnavailable,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
)
from ai_batch.emulator import Emulator, Fault
from ai_batch.gemini import storage as module
from ai_batch.gemini.storage import Storage, check_installed, split_uri

URI = "gs://my-bucket/batches/in.jsonl"
LINES = b'{"a":1}\n{"b":2}\n'


@pytest.fixture
def storage(emulator: Emulator) -> Iterator[Storage]:
    """The emulated storage; nothing of it may be left open."""
    storage = Storage(vertex_connection(emulator))
    yield storage
    storage.close()
    # A socket that is left open is an error of the test that collects it.
    gc.collect()


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "lines"
    path.write_bytes(LINES)
    return path


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The headers of every call that the library makes."""
    seen: list[Any] = []
    session: Any = requests.Session
    original = session.send

    def send(self: object, request: Any, **options: Any) -> Any:
        seen.append(request.headers)
        return original(self, request, **options)

    monkeypatch.setattr(session, "send", send)
    return seen


async def content(storage: Storage, folder: Path, *uris: str) -> bytes:
    """What is in objects."""
    to = folder / "found"
    await storage.download(uris, to)
    return to.read_bytes()


def test_a_uri_is_a_bucket_and_a_name() -> None:
    """The name may hold slashes, and may be missing."""
    assert split_uri("gs://bucket/a/b.jsonl") == ("bucket", "a/b.jsonl")
    assert split_uri("gs://bucket") == ("bucket", "")


async def test_a_file_goes_there_and_back(
    storage: Storage, lines: Path, tmp_path: Path, emulator: Emulator
) -> None:
    """As it is, into a file that nobody else can read, by as many calls as it takes."""
    await storage.upload(lines, URI)
    assert await content(storage, tmp_path, URI) == LINES + b"\n"
    assert (tmp_path / "found").stat().st_mode & 0o777 == 0o600
    assert dict(emulator.stats.requests) == {"objects.upload": 1, "objects.download": 1}


async def test_an_empty_file_is_one_too(storage: Storage, tmp_path: Path) -> None:
    """It has no lines."""
    empty = tmp_path / "empty"
    empty.touch()
    await storage.upload(empty, URI)
    assert await content(storage, tmp_path, URI) == b"\n"


async def test_a_large_file_goes_in_pieces(
    storage: Storage, tmp_path: Path, emulator: Emulator
) -> None:
    """Of eight megabytes, which is all that is held of it."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (17 << 20))
    await storage.upload(large, URI)
    assert emulator.stats.requests["objects.upload.chunk"] == 3
    assert len(await content(storage, tmp_path, URI)) == (17 << 20) + 1


async def test_files_are_joined_at_the_ends_of_their_lines(
    storage: Storage, tmp_path: Path
) -> None:
    """A file that does not end with its line must not swallow the next one's first."""
    for name, text in (("a", b"1\n2"), ("b", b"3")):
        (tmp_path / name).write_bytes(text)
        await storage.upload(tmp_path / name, f"gs://my-bucket/{name}")
    both = await content(storage, tmp_path, "gs://my-bucket/a", "gs://my-bucket/b")
    assert both.split() == [b"1", b"2", b"3"]


async def test_what_is_there_already_stays(
    storage: Storage, lines: Path, tmp_path: Path, emulator: Emulator
) -> None:
    """An upload whose answer was lost is made again; both had the same name and content."""
    other = tmp_path / "other"
    other.write_bytes(b"other")
    for path in (lines, other):
        await storage.upload(path, URI)
    assert await content(storage, tmp_path, URI) == LINES + b"\n"
    assert emulator.stats.files_uploaded == 1


async def test_a_large_file_that_is_there_stays_too(storage: Storage, tmp_path: Path) -> None:
    """Its refusal comes from another part of the library."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (9 << 20))
    for _ in range(2):
        await storage.upload(large, URI)


async def test_names_are_those_below_a_folder(storage: Storage, lines: Path) -> None:
    """In order, and not those of a folder whose name only begins alike."""
    for name in ("t/b", "t/a", "token/c", "t.jsonl"):
        await storage.upload(lines, f"gs://my-bucket/batches/{name}")
    prefix = "gs://my-bucket/batches/t/"
    assert await storage.names(prefix) == [f"{prefix}a", f"{prefix}b"]
    assert await storage.names("gs://my-bucket/elsewhere/") == []


async def test_deleting_is_done_once_and_may_be_repeated(
    storage: Storage, lines: Path, tmp_path: Path
) -> None:
    """What is not there is no error to delete, and one to read."""
    await storage.upload(lines, URI)
    for _ in range(2):
        await storage.delete(URI)
    with pytest.raises(RemoteNotFound, match="Cloud Storage"):
        await storage.download([URI], tmp_path / "found")


async def test_a_bucket_that_does_not_exist_is_said_at_once(
    storage: Storage, lines: Path, emulator: Emulator
) -> None:
    """It is not waited for: the option is wrong."""
    emulator.inject(Fault(route="objects.upload", status=404))
    with pytest.raises(RequestRefused, match="check gcs_uri"):
        await storage.upload(lines, URI)


STATUSES: list[tuple[int, type[ProviderError]]] = [
    (400, RequestRefused),
    (401, AuthenticationFailed),
    (403, AuthenticationFailed),
    (429, RateLimited),
    (500, ProviderUnavailable),
    (503, ProviderUnavailable),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_every_call_is_made_once(
    status: int, kind: type[ProviderError], storage: Storage, lines: Path, emulator: Emulator
) -> None:
    """The engine tries again, with its own pauses; the library must not, with others."""
    emulator.inject(Fault(route="objects.*", status=status))
    calls = {
        "objects.upload": storage.upload(lines, URI),
        "objects.list": storage.names("gs://my-bucket/"),
        "objects.download": storage.download([URI], lines.with_name("found")),
        "objects.delete": storage.delete(URI),
    }
    for call in calls.values():
        with pytest.raises(ProviderError) as caught:
            await call
        assert type(caught.value) is kind
        assert caught.value.__cause__ is None
    assert dict(emulator.stats.requests) == dict.fromkeys(calls, 1)


@pytest.mark.parametrize("route", ["objects.upload", "objects.upload.chunk"])
@pytest.mark.parametrize("fault", [{"status": 500}, {"cut": "before"}])
async def test_a_large_upload_fails_at_once_too(
    route: str, fault: dict[str, Any], storage: Storage, tmp_path: Path, emulator: Emulator
) -> None:
    """In whichever of its calls; nothing of it appears, and it can be made again."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (9 << 20))
    emulator.inject(Fault(route=route, nth=1, **fault))
    with pytest.raises(ProviderUnavailable):
        await storage.upload(large, URI)
    gc.collect()
    assert emulator.stats.requests[route] == 1
    assert emulator.stats.files_live == 0
    await storage.upload(large, URI)
    assert emulator.stats.files_live == 1


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_call_that_is_cut_may_be_made_again(
    cut: Any, storage: Storage, lines: Path, tmp_path: Path, emulator: Emulator
) -> None:
    """Nothing of Cloud Storage is paid by the request: a cut is no unknown outcome."""
    calls: list[tuple[str, Callable[[], Awaitable[object]]]] = [
        ("objects.upload", partial(storage.upload, lines, URI)),
        ("objects.list", partial(storage.names, "gs://my-bucket/")),
        ("objects.download", partial(storage.download, [URI], tmp_path / "found")),
        ("objects.delete", partial(storage.delete, URI)),
    ]
    for route, call in calls:
        emulator.inject(Fault(route=route, nth=1, cut=cut))
        with pytest.raises(ProviderUnavailable, match="can't be reached") as caught:
            await call()
        assert not isinstance(caught.value, OutcomeUnknown)
        await call()
        assert emulator.stats.requests[route] == 2
        gc.collect()


@pytest.mark.parametrize("close_delimited", [False, True])
async def test_a_cut_download_is_noticed(
    storage: Storage,
    lines: Path,
    tmp_path: Path,
    emulator: Emulator,
    *,
    close_delimited: bool,
) -> None:
    """Also where the end of the connection is the end of the file: the checksum tells."""
    await storage.upload(lines, URI)
    emulator.inject(
        Fault(
            route="objects.download",
            nth=1,
            cut_after_bytes=9,
            close_delimited=close_delimited,
        )
    )
    with pytest.raises(ProviderUnavailable):
        await storage.download([URI], tmp_path / "found")
    assert await content(storage, tmp_path, URI) == LINES + b"\n"


async def test_an_answer_that_is_no_json_is_none(storage: Storage, emulator: Emulator) -> None:
    """HTML from something in between."""
    emulator.inject(Fault(route="objects.list", status=200, body="<html>hello</html>"))
    with pytest.raises(ProviderUnavailable):
        await storage.names("gs://my-bucket/")


async def test_a_silent_server_is_not_waited_for_ever(emulator: Emulator, lines: Path) -> None:
    """``timeout`` holds for Cloud Storage too."""
    storage = Storage(vertex_connection(emulator, timeout=0.2))
    emulator.inject(Fault(route="objects.upload", delay=1.0))
    with pytest.raises(ProviderUnavailable, match="timed out"):
        await storage.upload(lines, URI)
    storage.close()


async def test_no_credentials_go_to_a_server_on_this_machine(
    storage: Storage, lines: Path, headers: list[Any]
) -> None:
    """It stands in for Google; whatever the environment holds stays here."""
    await storage.upload(lines, URI)
    assert headers
    assert not any("authorization" in each for each in headers)


def credentials_that_expire(*, retryable: bool) -> Any:
    """A user's token, which the vendor of tokens does not renew."""
    from google.auth.exceptions import RefreshError
    from google.oauth2.credentials import Credentials

    base: Any = Credentials
    failure: Any = RefreshError

    class Expiring(base):  # type: ignore[misc]
        def refresh(self, request: object) -> None:
            del request
            raise failure("invalid_grant: ya29-of-mine was revoked", retryable=retryable)

    return Expiring("ya29-of-mine")


@pytest.mark.parametrize("retryable", [False, True])
async def test_ones_credentials_are_used_and_may_be_revoked(
    emulator: Emulator, lines: Path, headers: list[Any], *, retryable: bool
) -> None:
    """A call that is refused asks for a new token once; where there is none, that is the error."""
    credentials = credentials_that_expire(retryable=retryable)
    storage = Storage(vertex_connection(emulator, credentials=credentials))
    await storage.upload(lines, URI)
    assert [each["authorization"] for each in headers] == ["Bearer ya29-of-mine"]
    emulator.inject(Fault(route="objects.list", status=401))
    kind = ProviderUnavailable if retryable else AuthenticationFailed
    with pytest.raises(kind, match="no access token can be had") as caught:
        await storage.names("gs://my-bucket/")
    assert "ya29" not in f"{caught.value!r} {vars(caught.value)}"
    assert emulator.stats.requests["objects.list"] == 1
    storage.close()


async def test_a_closed_storage_connects_anew(storage: Storage, lines: Path) -> None:
    """Closing may be repeated, and is no end."""
    storage.close()
    await storage.upload(lines, URI)
    storage.close()
    storage.close()


async def test_a_bug_is_not_dressed_up(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is nobody's error is raised as it is."""

    def bug(settings: object) -> None:
        del settings
        raise ZeroDivisionError

    monkeypatch.setattr(module, "_connect", bug)
    with pytest.raises(ZeroDivisionError):
        await storage.names("gs://my-bucket/")


@pytest.mark.parametrize("parent", [False, True])
def test_a_missing_library_names_the_command(
    monkeypatch: pytest.MonkeyPatch, *, parent: bool
) -> None:
    """Which brings it; the package above it may be missing as well."""

    def find(name: str) -> None:
        del name
        if parent:
            raise ModuleNotFoundError("No module named 'google'")

    monkeypatch.setattr(module, "find_spec", find)
    with pytest.raises(ProviderNotInstalled, match=r"pip install 'ai-batch-gemini\[vertex\]'"):
        check_installed()
