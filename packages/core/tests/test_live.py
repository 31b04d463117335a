"""What goes into a single call, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ai_batch.core import (
    AuthenticationFailed,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    Image,
    ItemError,
    Message,
    ProviderError,
    ProviderUnavailable,
    QueueFull,
    QuotaExhausted,
    RateLimited,
    RemoteNotFound,
    RequestRefused,
    UsageError,
)
from ai_batch.core.errors import Problem
from ai_batch.core.live import answered, as_answer_error, embedded, ready, wrong_kind
from ai_batch.core.requests import OutputSchema, Request, output_schema

CHAT = ChatRequest(id="a", messages="hello")


NO = {"message": "m", "type": "y"}
UNPAID = {"message": "m", "code": "billing_not_active"}


class Place(BaseModel):
    name: str


def nothing(request: Request) -> Sequence[Problem]:
    """A vendor that can do everything."""
    del request
    return ()


def test_a_good_request_is_ready_as_it_is() -> None:
    """What needs no file is not copied."""
    assert ready(CHAT, nothing) is CHAT


def test_files_are_read_before_the_vendor_looks(tmp_path: Path) -> None:
    """A picture's path becomes its data; one that is not there is a fault."""
    path = tmp_path / "a.png"
    request = ChatRequest(messages=[Message(role="user", parts=[Image(path=path)])])
    with pytest.raises(UsageError, match="cannot be read"):
        ready(request, nothing)
    path.write_bytes(b"pixels")
    [part] = ready(request, nothing).messages[0].parts
    assert isinstance(part, Image)
    assert part.data == b"pixels"


def test_faults_of_both_kinds_are_told_once() -> None:
    """Our faults and the vendor's come together, with the request's id, each field once."""
    request = ChatRequest(id="a", messages="", max_tokens=0)

    def theirs(_: Request) -> list[Problem]:
        return [Problem("too small", field="max_tokens"), Problem("no seed", field="seed")]

    with pytest.raises(UsageError) as raised:
        ready(request, theirs)
    found = [(problem.field, problem.id) for problem in raised.value.problems]
    assert sorted(found) == [("max_tokens", "a"), ("messages[0]", "a"), ("seed", "a")]


def test_a_client_takes_its_own_kind_only() -> None:
    """A chat client says what it is, and so does an embedder."""
    texts = EmbeddingRequest(texts="x")
    assert wrong_kind(CHAT, ChatRequest) is None
    assert wrong_kind(texts, EmbeddingRequest) is None
    for request, kind, words in (
        (texts, ChatRequest, "only answers chats, found EmbeddingRequest"),
        (CHAT, EmbeddingRequest, "only embeds texts, found ChatRequest"),
    ):
        problem = wrong_kind(request, kind)
        assert problem is not None
        assert words in problem.message


@pytest.mark.parametrize(
    ("output_type", "parsed"),
    [
        (None, None),
        (Place, Place(name="x")),
        ({"type": "object"}, {"name": "x"}),
        (output_schema(Place), None),
    ],
)
def test_an_answer_is_parsed_by_the_type_that_was_asked_for(output_type: Any, parsed: Any) -> None:
    """A type gives an instance, a schema gives data; a planned request is parsed by its planner."""
    request = ChatRequest(messages="x", output_type=output_type)
    assert answered(ChatResponse(content='{"name":"x"}'), request, None).parsed == parsed
    assert isinstance(output_schema(Place), OutputSchema)


def test_an_answer_that_does_not_fit_is_refused() -> None:
    """Asking the very same again would cost the same again."""
    request = ChatRequest(messages="x", output_type=Place)
    with pytest.raises(RequestRefused) as raised:
        answered(ChatResponse(content="no json"), request, "req_1")
    assert (raised.value.code, raised.value.request_id) == ("invalid_output", "req_1")


def test_as_many_vectors_as_texts() -> None:
    """Fewer or more can't be matched to the texts."""
    outcome = EmbeddingResponse(vectors=[[1.0], [2.0]])
    assert embedded(outcome, EmbeddingRequest(texts=["a", "b"]), None) is outcome
    with pytest.raises(ProviderUnavailable, match="2 vectors came for 1 texts"):
        embedded(outcome, EmbeddingRequest(texts="a"), None)
    with pytest.raises(RequestRefused, match="another kind"):
        embedded(ChatResponse(), EmbeddingRequest(texts="a"), None)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (ItemError(code="x", message="m", retryable=True), ProviderUnavailable),
        (ItemError(code="x", message="m"), RequestRefused),
        (ItemError(code="x", message="m", status=429, retryable=True), RateLimited),
        (ItemError(code="x", message="m", status=401), AuthenticationFailed),
        (ItemError(code="x", message="m", status=404), RequestRefused),
        (ItemError(code="x", message="m", status=404, retryable=True), RemoteNotFound),
        (ItemError(code="x", message="m", status=500), RequestRefused),
        (ItemError(code="x", message="m", status=200, retryable=True), ProviderUnavailable),
        (ItemError(code="insufficient_quota", message="m", status=429), QuotaExhausted),
    ],
)
def test_an_error_in_an_answer_is_raised_by_its_kind(
    item: ItemError, kind: type[ProviderError]
) -> None:
    """Status and code pick the kind, and whether to ask again is never changed."""
    with pytest.raises(ProviderError) as raised:
        answered(item, CHAT, "req_1")
    found = raised.value
    assert type(found) is kind
    assert found.retryable is item.retryable
    assert (found.code, found.message, found.status) == (item.code, "m", item.status)
    assert found.request_id == "req_1"


@pytest.mark.parametrize(
    ("error", "detail", "kind", "code", "message"),
    [
        (RemoteNotFound("t", status=404), {"message": "m"}, RequestRefused, "http_404", "m"),
        (QueueFull("t", status=429, code="c"), None, RateLimited, "c", "t"),
        (RateLimited("t", status=429), {"error": NO}, RateLimited, "y", "m"),
        (RateLimited("t", status=429), UNPAID, QuotaExhausted, "billing_not_active", "m"),
        (ProviderUnavailable("cut"), {"message": "m"}, ProviderUnavailable, None, "cut"),
        (
            RequestRefused("t", status=400),
            "bad key k-1a2b",
            RequestRefused,
            "http_400",
            "bad key ***",
        ),
    ],
)
def test_an_error_of_a_call_speaks_as_a_row_would(
    error: ProviderError,
    detail: object,
    kind: type[ProviderError],
    code: str | None,
    message: str,
) -> None:
    """The server's own code and words are told, without the key."""
    error.retry_after, error.request_id = 3.0, "req_1"
    found = as_answer_error(error, detail, "k-1a2b")
    assert isinstance(found, kind)
    assert type(found) is kind
    assert (found.code, found.message, found.status) == (code, message, error.status)
    assert (found.retry_after, found.request_id) == (3.0, "req_1")


def test_what_is_no_vendors_error_stays() -> None:
    """A usage error is passed on as it is."""
    error = UsageError("wrong")
    assert as_answer_error(error, {"message": "m"}, None) is error
