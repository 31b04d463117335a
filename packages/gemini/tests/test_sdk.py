"""What is used of Google's SDK beside its public names is still there, in every release."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from google import genai
from google.genai import types

from ai_batch.gemini.sdk import http_options, inner, one_attempt, raw_call


@pytest.fixture
def client() -> genai.Client:
    """A client that is never connected."""
    options = types.HttpOptions(base_url="http://127.0.0.1:9/prefix", api_version="v1beta")
    return genai.Client(api_key="AIza-test", http_options=options)


def test_the_inner_client_makes_calls_and_knows_who_asks(client: genai.Client) -> None:
    """A release that renames a part of it must be noticed here, and not by a user."""
    core = inner(client)
    parameters = list(inspect.signature(core.async_request).parameters)
    assert parameters[:4] == ["http_method", "path", "request_dict", "http_options"]
    assert core.api_key == "AIza-test"
    assert (core.project, core.location) == (None, None)
    assert http_options(client).base_url.rstrip("/") == "http://127.0.0.1:9/prefix"


def test_a_call_is_sent_once(client: genai.Client) -> None:
    """Zero would mean the SDK's default, which is more; the timeout is in milliseconds."""
    options = one_attempt(1.5)
    assert options.retry_options.attempts == 1
    assert options.timeout == 1500
    client.close()


@pytest.mark.parametrize(("body", "text"), [('{"a": 1}', '{"a": 1}'), ("", ""), (None, "")])
async def test_the_answer_is_the_bare_body(
    body: str | None, text: str, client: genai.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some answers have none."""
    calls: list[tuple[Any, ...]] = []

    async def answer(*given: Any) -> types.HttpResponse:
        calls.append(given)
        return types.HttpResponse(headers={}, body=body)

    monkeypatch.setattr(inner(client), "async_request", answer)
    assert await raw_call(client, "get", "batches/x", None, 2.0) == text
    [(method, path, sent, options)] = calls
    assert (method, path, sent, options.timeout) == ("get", "batches/x", {}, 2000)
