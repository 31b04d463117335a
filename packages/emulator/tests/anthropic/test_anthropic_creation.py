"""What is looked at when a batch is created, and who may create it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest

from ai_batch.emulator import AnthropicLimits

if TYPE_CHECKING:
    from packages.emulator.tests.anthropic.conftest import AnthropicLab

PARAMS: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "x"}],
}
PATTERN = "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"
PATH = "/v1/messages/batches"


def create(lab: AnthropicLab, body: object, **headers: str) -> httpx2.Response:
    """The answer to a create call."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lab.http.post(PATH, content=content, headers=named)


BAD_BODIES: list[tuple[Any, str]] = [
    ({"requests": []}, "requests: List should have at least 1 item after validation, not 0"),
    ({"requests": [{"params": PARAMS}]}, "requests.0.custom_id: Field required"),
    (
        {"requests": [{"custom_id": "x" * 65, "params": PARAMS}]},
        "requests.0.custom_id: String should have at most 64 characters",
    ),
    (
        {"requests": [{"custom_id": "", "params": PARAMS}]},
        "requests.0.custom_id: String should have at least 1 character",
    ),
    ({"requests": [{"custom_id": 3, "params": {}}]}, "requests.0.custom_id: Input should be"),
    ({"requests": [{"custom_id": "a.b", "params": {}}]}, f"requests.0.custom_id: {PATTERN}"),
    ({"requests": [{"custom_id": "a\n", "params": {}}]}, f"requests.0.custom_id: {PATTERN}"),
    ({"requests": [{"custom_id": "ä", "params": {}}]}, f"requests.0.custom_id: {PATTERN}"),
    (
        {"requests": [{"custom_id": "dup", "params": PARAMS}] * 2},
        "requests: custom_id's must be unique within a batch. Duplicate custom_id found: dup",
    ),
    ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
    ({"requests": [{"custom_id": "a", "params": []}]}, "requests.0.params: Input should be"),
    (
        {"requests": [{"custom_id": "a", "params": {}}, {"custom_id": "b", "x": 1}]},
        "requests.1.params: Field required",
    ),
    (
        {"requests": [{"custom_id": "a", "params": {}, "x": 1}]},
        "requests.0.x: Extra inputs are not permitted",
    ),
    ({"requests": [3]}, "requests.0: Input should be a valid dictionary"),
    (
        {"requests": [{"custom_id": "a", "params": {}}], "x": 1},
        "x: Extra inputs are not permitted",
    ),
    ({"requests": {}}, "requests: Input should be a valid list"),
    ({}, "requests: Field required"),
    ([], "Input should be a valid dictionary"),
    (b"", "The request body is not valid JSON: "),
    (b'{"requests": [', "The request body is not valid JSON: "),
    (
        b'{"requests":[{"custom_id":"a","params":{"x":"\xff"}}]}',
        "The request body is not valid JSON: ",
    ),
]


@pytest.mark.parametrize(("body", "message"), BAD_BODIES)
def test_a_bad_body_creates_nothing(lab: AnthropicLab, body: object, message: str) -> None:
    """The whole call is refused, with the words of the vendor."""
    answer = create(lab, body)
    assert answer.status_code == 400
    found = answer.json()
    assert found["type"] == "error"
    assert found["error"]["type"] == "invalid_request_error"
    assert found["error"]["message"].startswith(message)
    assert found["request_id"] == answer.headers["request-id"]
    assert lab.emulator.stats.batches_created == 0
    assert lab.client.messages.batches.list().data == []


def test_the_number_of_requests_is_limited(make_lab: Callable[..., AnthropicLab]) -> None:
    """One request more than the limit is too many."""
    lab = make_lab(anthropic_limits=AnthropicLimits(max_requests=3))
    lab.submit(lab.items(3))
    with pytest.raises(anthropic.BadRequestError) as caught:
        lab.submit(lab.items(4))
    assert caught.value.api_message == (
        "requests: List should have at most 3 items after validation, not 4"
    )


def test_a_large_body_meets_cloudflare(make_lab: Callable[..., AnthropicLab]) -> None:
    """The 413 has no outer type: it does not come from the API itself."""
    lab = make_lab(anthropic_limits=AnthropicLimits(max_body_bytes=10_000))
    lab.submit([lab.item(0, system="x" * 9_000)])
    with pytest.raises(anthropic.RequestTooLargeError) as caught:
        lab.submit([lab.item(0, system="x" * 3_000_000)])
    assert caught.value.response.json() == {
        "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}
    }
    assert lab.emulator.stats.batches_created == 1


def test_a_pretty_body_is_kept_on_one_line_per_request(lab: AnthropicLab) -> None:
    """How the JSON is laid out does not matter."""
    answer = create(lab, json.dumps({"requests": lab.items(3)}, indent=4).encode())
    batch = lab.ended(lab.client.messages.batches.retrieve(answer.json()["id"]))
    assert batch.request_counts.succeeded == 3


def test_many_requests_are_taken_at_once(make_lab: Callable[..., AnthropicLab]) -> None:
    """A batch of 5,000 items of a kilobyte is created in one call, and answered."""
    lab = make_lab(answer="canned")
    batch = lab.run(lab.items(5_000, system="x" * 1000))
    assert batch.request_counts.succeeded == 5_000
    assert len(set(lab.raw(batch).splitlines())) == 5_000


@pytest.mark.parametrize("name", ["x-api-key", "authorization"])
def test_both_headers_carry_the_key(make_lab: Callable[..., AnthropicLab], name: str) -> None:
    """Old SDKs send x-api-key, new ones a bearer; a wrong key is a 401 in both."""
    lab = make_lab(api_keys=["good"])

    def called(key: str) -> httpx2.Response:
        value = f"Bearer {key}" if name == "authorization" else key
        headers = {name: value, "anthropic-version": "2023-06-01"}
        return httpx2.get(f"{lab.emulator.anthropic_url}{PATH}", headers=headers)

    assert called("good").status_code == 200
    assert called("bad").status_code == 401
    error = called("bad").json()["error"]
    assert error == {"type": "authentication_error", "message": "API key is invalid."}


def test_the_old_header_wins(make_lab: Callable[..., AnthropicLab]) -> None:
    """Where both headers are sent, x-api-key is looked at."""
    lab = make_lab(api_keys=["good"])
    for key, status in (("good", 200), ("bad", 401)):
        headers = {"x-api-key": key, "authorization": "Bearer good"}
        assert lab.http.get(PATH, headers=headers).status_code == status


def test_no_key_is_refused(lab: AnthropicLab) -> None:
    """Someone without any key gets a 401."""
    url = f"{lab.emulator.anthropic_url}{PATH}"
    answer = httpx2.get(url, headers={"anthropic-version": "2023-06-01"})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.headers["request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize(
    ("version", "status"),
    [("2023-06-01", 200), ("2026-10-21", 200), ("2023-01-01", 400), (None, 400)],
)
def test_two_versions_are_served(lab: AnthropicLab, version: str | None, status: int) -> None:
    """Any other version, and none, is a 400."""
    headers = {"x-api-key": "k"} | ({"anthropic-version": version} if version else {})
    answer = httpx2.get(f"{lab.emulator.anthropic_url}{PATH}?beta=true", headers=headers)
    assert answer.status_code == status
    assert answer.headers["request-id"].startswith("req_")
    if status == 400:
        assert answer.json()["error"]["message"].startswith("anthropic-version: ")


def test_the_beta_address_of_old_sdks_works(lab: AnthropicLab) -> None:
    """A create with `?beta=true` and the beta's header is an ordinary create."""
    answer = lab.http.post(
        f"{PATH}?beta=true",
        json={"requests": lab.items(1)},
        headers={"anthropic-beta": "message-batches-2024-09-24"},
    )
    assert answer.status_code == 200


def test_an_unknown_address_is_not_found(lab: AnthropicLab) -> None:
    """A doubled version in the path is the usual mistake."""
    answer = lab.http.get("/v1/v1/messages/batches")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
