"""Cloud Storage, from which Vertex AI reads batches and to which it writes results.

``google-cloud-storage`` comes with the extra ``vertex``. It blocks, so that each call runs in a
thread. Its own retries are off: they pause for seconds, and the engine tries again with all state
on record.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ai_batch.core.errors import (
    AIBatchError,
    ProviderError,
    ProviderNotInstalled,
    ProviderUnavailable,
    RemoteNotFound,
    RequestRefused,
    mask,
)
from ai_batch.core.transfers import private_file
from ai_batch.core.vendor_errors import LONGEST_MESSAGE, kind_of_status, of_transport, raised_in
from ai_batch.gemini.client import CONNECT_SECONDS, ClientSettings
from ai_batch.gemini.errors import of_credentials

__all__ = ["Storage", "check_installed", "split_uri"]

Found = TypeVar("Found")

MEDIA_TYPE = "application/jsonl"

EXISTS_ALREADY = 412

PIECE = 8 << 20
"""Bytes of a large file that are held at once; the library's own pieces are of 100 MiB."""


def check_installed() -> None:
    """Raises ``ProviderNotInstalled`` where Cloud Storage's library is missing."""
    try:
        found = find_spec("google.cloud.storage")
    except ImportError:
        found = None
    if found is None:
        raise ProviderNotInstalled(
            "Vertex AI needs Cloud Storage: pip install 'ai-batch-gemini[vertex]'"
        )


def split_uri(uri: str) -> tuple[str, str]:
    """The bucket and the name within it, of ``gs://bucket/name``."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


class Storage:
    """Objects by their ``gs://`` URIs."""

    def __init__(self, settings: ClientSettings) -> None:
        """Nothing is imported or connected before the first call."""
        self._settings = settings
        connect = min(CONNECT_SECONDS, settings.timeout)
        self._once: dict[str, Any] = {"timeout": (connect, settings.timeout), "retry": None}
        self._client: Any = None
        self._lock = threading.Lock()

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _connect(self._settings)
            return self._client

    def _blob(self, uri: str) -> Any:
        bucket, name = split_uri(uri)
        return self._connected().bucket(bucket).blob(name)

    async def _run(self, work: Callable[[], Found]) -> Found:
        try:
            return await asyncio.to_thread(work)
        except Exception as error:  # noqa: BLE001 - the border: everything is translated
            failure = _translated(error, self._settings.hidden)
        raise failure from None

    async def upload(self, path: Path, uri: str) -> None:
        """Write an object, unless it is there already: it appears whole or not at all."""

        def work() -> None:
            blob = self._blob(uri)
            blob.chunk_size = PIECE
            given = {**self._once, "content_type": MEDIA_TYPE, "if_generation_match": 0}
            blob.upload_from_filename(str(path), **given)

        try:
            await self._run(work)
        except RemoteNotFound as error:
            # Waited for like a batch that does not show yet, if it were not told apart.
            hint = f"{error.message}: check gcs_uri"
            raise RequestRefused(hint, status=error.status) from None
        except ProviderError as error:
            if error.status != EXISTS_ALREADY:
                raise

    async def names(self, prefix: str) -> list[str]:
        """The URIs that begin with ``prefix``, in order."""
        bucket, name = split_uri(prefix)

        def work() -> list[str]:
            found = self._connected().list_blobs(bucket, prefix=name, **self._once)
            return sorted(f"gs://{bucket}/{blob.name}" for blob in found)

        return await self._run(work)

    async def download(self, uris: Iterable[str], to: Path, most: int | None = None) -> None:
        """Stream some objects to disk, one after the other, each ended by a line's end.

        ``most`` are the bytes that they have together at the most.
        """

        def work() -> None:
            with private_file(to, most) as file:
                for uri in uris:
                    blob = self._blob(uri)
                    blob.download_to_file(file, **self._once)
                    file.write(b"\n")

        await self._run(work)

    async def delete(self, uri: str) -> None:
        """Delete an object; one that is not there is no error."""

        def work() -> None:
            blob = self._blob(uri)
            blob.delete(**self._once)

        try:
            await self._run(work)
        except RemoteNotFound:
            return

    def close(self) -> None:
        """Close connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _connect(settings: ClientSettings) -> Any:
    check_installed()
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import (  # type: ignore[import-untyped]
        storage,  # pyright: ignore[reportMissingTypeStubs]
    )

    make: Any = storage.Client
    anonymous: Any = AnonymousCredentials
    credentials: Any = settings.credentials
    if credentials is None and (settings.is_here or settings.storage_url):
        # No real credentials leave for a server on this machine.
        credentials = anonymous()
    options = {"api_endpoint": settings.storage_url} if settings.storage_url else None
    client = make(project=settings.place[0], credentials=credentials, client_options=options)
    # Else each bucket's place is asked for by a thread of the library's own, for traces that
    # nobody has ordered: with retries, and beyond the client's end. It minds a missing cache.
    client._bucket_metadata_cache = None  # noqa: SLF001 - the public switch is an environment's
    # Cloud Storage sends nobody on; another server would be sent what is meant for it alone.
    client._http.max_redirects = 0  # noqa: SLF001 - its session, with the credentials
    return client


def _translated(error: Exception, secret: str | None) -> AIBatchError:
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    if type(error).__name__ == "TooManyRedirects":
        error = RequestRefused("Cloud Storage's server sends the call on to another address")
    if isinstance(error, AIBatchError):
        return error
    text = mask(f"Cloud Storage: {error}", secret)[:LONGEST_MESSAGE]
    if isinstance(error, GoogleAPICallError):
        status = int(error.code or 500)
        return kind_of_status(status, creating=False)(text, status=status)
    answered = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(answered, int) and answered >= 400:
        # Uploads in pieces fail with errors of another library; a download that does not fit its
        # checksum has a status of 200.
        return kind_of_status(answered, creating=False)(text, status=answered)
    if isinstance(error, GoogleAuthError):
        return of_credentials(error, text)
    if isinstance(error, OSError):
        return of_transport(text, creating=False, sent=True)
    # Such a download, and answers that can't be read.
    of_google = type(error).__module__.startswith("google.") or raised_in(error, "google")
    if isinstance(error, ValueError) or of_google:
        return ProviderUnavailable(text)
    raise error
