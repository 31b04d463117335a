"""What a user constructs: ``GeminiProcessor``, ``VertexProcessor`` and their options."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from ai_batch.core import NativeProcessor, Options, UsageError
from ai_batch.core.options import Duration, GeneralOptions, seconds
from ai_batch.core.provider import Limits, Provider
from ai_batch.gemini.client import ClientSettings
from ai_batch.gemini.settings import Backend, GeminiSettings

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.genai import Client

__all__ = ["GeminiProcessor", "VertexProcessor"]

MAX_INLINE = 20_000_000
"""Bytes of a create call; https://ai.google.dev/gemini-api/docs/batch-api"""


class GeminiProcessor(NativeProcessor):
    """Answers chat and embedding requests through Gemini's batch APIs, at half the live price.

    ``backend`` says whose: the Developer API's, with a key, or Vertex AI's, with a Google Cloud
    project. Sources of the limits and rules: https://ai.google.dev/gemini-api/docs/batch-api and
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        embedding_model: str | None = None,
        backend: Backend = "developer",
        api_key: str | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Credentials | None = None,
        gcs_uri: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        max_tokens: int | None = None,
        inline_bytes: int = 0,
        limits: Limits | None = None,
        client: Client | None = None,
        timeout: Duration = 60.0,
        **general: Unpack[GeneralOptions],
    ) -> None:
        """All options are explained in ``docs/options.md`` and the pages of the two backends.

        Raises ``UsageError`` for values that can't be meant. Nothing is sent or opened yet.
        """
        own: dict[str, Any] = {
            "api_key": api_key,
            "project": project,
            "location": location,
            "base_url": base_url,
            "api_version": api_version,
            "extra_headers": extra_headers,
        }
        files = {"gcs_uri": gcs_uri, "inline_bytes": inline_bytes}
        _check(backend, {**own, **files, "credentials": credentials}, client)
        settings = GeminiSettings(
            connection=ClientSettings(
                vertex=backend == "vertex",
                **own,
                credentials=credentials,
                timeout=seconds("timeout", timeout) or 60.0,
                client=client,
            ),
            model=model,
            embedding_model=embedding_model,
            max_tokens=max_tokens,
            inline_bytes=inline_bytes,
            gcs_uri=gcs_uri,
            limits=limits,
        )
        super().__init__(partial(_provider, settings), Options.of(type(self), general))


def _check(backend: str, given: Mapping[str, object], client: Client | None) -> None:
    """Raises ``UsageError`` for options that do not go together."""
    names = [name for name, value in given.items() if value]
    if backend == "vertex":
        _check_vertex(names, given["gcs_uri"])
    elif backend == "developer":
        _check_developer(names, given["inline_bytes"])
    else:
        raise UsageError(f"backend must be developer or vertex, found {backend!r}")
    # Cloud Storage has credentials of its own, beside those of the client.
    if client is not None and set(names) - {"gcs_uri", "credentials", "inline_bytes"}:
        raise UsageError(
            "client= brings its own key, project, URL, version and headers: give either or"
        )


def _check_vertex(names: list[str], uri: object) -> None:
    wrong = [name for name in ("api_key", "inline_bytes") if name in names]
    if wrong:
        raise UsageError(f"Vertex AI has no batches with {' or '.join(wrong)}: leave it out")
    bucket = uri.removeprefix("gs://").partition("/")[0] if isinstance(uri, str) else ""
    if not (isinstance(uri, str) and uri.startswith("gs://") and bucket):
        raise UsageError(
            "Vertex AI reads and writes batches in Cloud Storage: "
            f"gcs_uri must be gs://bucket or gs://bucket/folder, found {uri!r}"
        )


def _check_developer(names: list[str], inline_bytes: object) -> None:
    wrong = [n for n in ("project", "location", "credentials", "gcs_uri") if n in names]
    if wrong:
        raise UsageError(f"{', '.join(wrong)} is for Vertex AI: use backend='vertex'")
    if not (isinstance(inline_bytes, int) and 0 <= inline_bytes <= MAX_INLINE):
        raise UsageError(f"inline_bytes must be within 0 and {MAX_INLINE}, found {inline_bytes!r}")


class VertexProcessor(GeminiProcessor):
    """``GeminiProcessor`` for Vertex AI: the provider ``vertex``."""

    def __init__(
        self,
        *,
        model: str | None = None,
        embedding_model: str | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Credentials | None = None,
        gcs_uri: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        max_tokens: int | None = None,
        limits: Limits | None = None,
        client: Client | None = None,
        timeout: Duration = 60.0,
        **general: Unpack[GeneralOptions],
    ) -> None:
        """The options of ``GeminiProcessor`` that Vertex AI has."""
        super().__init__(
            model=model,
            embedding_model=embedding_model,
            backend="vertex",
            project=project,
            location=location,
            credentials=credentials,
            gcs_uri=gcs_uri,
            base_url=base_url,
            api_version=api_version,
            extra_headers=extra_headers,
            max_tokens=max_tokens,
            limits=limits,
            client=client,
            timeout=timeout,
            **general,
        )


def _provider(settings: GeminiSettings) -> Provider:
    # Only now: the wire formats take a while to import.
    if settings.connection.vertex:
        from ai_batch.gemini.vertex import VertexProvider

        return VertexProvider(settings)
    from ai_batch.gemini.developer import DeveloperProvider

    return DeveloperProvider(settings)
