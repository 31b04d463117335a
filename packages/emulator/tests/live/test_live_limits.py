"""Rate limits of the live endpoints, as each vendor tells of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import openai
import pytest
from google import genai
from google.genai import errors
from google.oauth2.credentials import Credentials

from ai_batch.emulator import AnthropicLimits, Fault, GeminiLimits, Limits, VertexLimits
from ai_batch.emulator.openai.live_limits import duration

if TYPE_CHECKING:
    from packages.emulator.tests.live.conftest import LiveLab

    MakeLab = Callable[..., LiveLab]

ONE_A_MINUTE = {
    "limits": Limits(requests_per_minute=1),
    "anthropic_limits": AnthropicLimits(requests_per_minute=1),
    "gemini_limits": GeminiLimits(requests_per_minute=1),
}


def rates(response: Any, start: str = "x-ratelimit-") -> dict[str, str]:
    """The headers that tell of limits."""
    return {
        name.removeprefix(start): value
        for name, value in response.headers.items()
        if name.startswith(start)
    }


def when(text: str) -> float:
    """The time that a header names, in RFC 3339."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def details(error: Any) -> dict[str, Any]:
    """The details of a Google error, by the last word of their type."""
    found = error.details["error"]["details"]
    return {each["@type"].rpartition(".")[2]: each for each in found}


def test_openai_refuses_requests_beyond_the_limit(make_live_lab: MakeLab) -> None:
    """The 429 names the limit, and says in three ways when there is room again."""
    lab = make_live_lab(limits=Limits(requests_per_minute=3))
    assert lab.statuses("openai", 3) == [200, 200, 200]
    response = lab.refused("openai")
    error = response.json()["error"]
    assert response.status_code == 429
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert "on requests per min (RPM): Limit 3, Used 3, Requested 1." in error["message"]
    assert rates(response)["limit-requests"] == "3"
    assert rates(response)["remaining-requests"] == "0"
    # A third of a minute, less what has passed meanwhile.
    assert 15 <= int(response.headers["retry-after"]) <= 20
    assert 15_000 <= int(response.headers["retry-after-ms"]) <= 20_000
    assert rates(response)["reset-requests"].endswith("s")


def test_openai_tells_of_limits_in_good_answers(make_live_lab: MakeLab) -> None:
    """What is left goes down with each call, and rises with the time."""
    lab = make_live_lab(limits=Limits(requests_per_minute=60, tokens_per_minute=6000))
    raw = lab.openai.chat.completions.with_raw_response
    ask: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "max_completion_tokens": 600,
    }
    first, second = rates(raw.create(**ask)), rates(raw.create(**ask))
    assert first == {
        "limit-requests": "60",
        "remaining-requests": "59",
        "reset-requests": first["reset-requests"],
        "limit-tokens": "6000",
        "remaining-tokens": first["remaining-tokens"],
        "reset-tokens": first["reset-tokens"],
    }
    assert first["reset-requests"] in {"1s", *(f"{n}ms" for n in range(1000))}
    assert 5400 <= int(first["remaining-tokens"]) < 5500
    assert 5 < float(first["reset-tokens"].removesuffix("s")) <= 6
    assert int(second["remaining-tokens"]) < int(first["remaining-tokens"]) - 400
    lab.emulator.advance(minutes=1)
    assert rates(raw.create(**ask))["remaining-requests"] == "59"


def test_openai_limits_tokens(make_live_lab: MakeLab) -> None:
    """A request counts its prompt or its `max_tokens`; one that is too large is never let in."""
    lab = make_live_lab(limits=Limits(tokens_per_minute=600))
    lab.chat("x", max_tokens=500)
    response = lab.refused("openai", "x" * 2000)
    error = response.json()["error"]
    assert error["type"] == "tokens"
    assert "on tokens per min (TPM): Limit 600, Used" in error["message"]
    assert 0 < int(response.headers["retry-after"]) <= 45
    lab.emulator.advance(seconds=45)
    lab.chat("x" * 2000)
    large = lab.refused("openai", "x" * 4000)
    assert large.json()["error"]["message"].startswith("Request too large for gpt-4o-mini")
    assert "retry-after" not in large.headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0196, "20ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (360, "6m0s"),
        (90.25, "1m30.25s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    """From milliseconds up to hours."""
    assert duration(seconds) == text


def test_anthropic_refuses_requests_beyond_the_limit(make_live_lab: MakeLab) -> None:
    """The 429 names the limit, and the times at which it is full again."""
    lab = make_live_lab(anthropic_limits=AnthropicLimits(requests_per_minute=2))
    before = datetime.now(UTC).timestamp()
    assert lab.statuses("anthropic", 2) == [200, 200]
    response = lab.refused("anthropic")
    error = response.json()["error"]
    assert response.status_code == 429
    assert error["type"] == "rate_limit_error"
    assert "rate limit of 2 requests per minute" in error["message"]
    assert 20 <= int(response.headers["retry-after"]) <= 30
    found = rates(response, "anthropic-ratelimit-")
    assert (found["requests-limit"], found["requests-remaining"]) == ("2", "0")
    assert before + 50 <= when(found["requests-reset"]) <= before + 75


def test_anthropic_limits_input_and_output(make_live_lab: MakeLab) -> None:
    """Input counts before the answer, output after it; what is left is told in thousands."""
    limits = AnthropicLimits(input_tokens_per_minute=10_000, output_tokens_per_minute=4000)
    lab = make_live_lab(anthropic_limits=limits)
    raw = lab.anthropic.messages.with_raw_response.create(
        model="claude-haiku-4-5",
        max_tokens=4000,
        messages=[{"role": "user", "content": "x" * 12_000}],
    )
    found = rates(raw, "anthropic-ratelimit-")
    assert (found["input-tokens-limit"], found["input-tokens-remaining"]) == ("10000", "7000")
    assert (found["output-tokens-limit"], found["output-tokens-remaining"]) == ("4000", "1000")
    # The nearest to its end stands for both.
    assert (found["tokens-limit"], found["tokens-remaining"]) == ("4000", "1000")
    lab.message("x" * 8000, max_tokens=4000)
    refused = lab.refused("anthropic", "x")
    assert "4000 output tokens per minute" in refused.json()["error"]["message"]
    lab.emulator.advance(minutes=1)
    too_large = lab.refused("anthropic", "x" * 50_000)
    assert "10000 input tokens per minute" in too_large.json()["error"]["message"]
    assert "retry-after" not in too_large.headers


def test_what_anthropic_reads_from_the_cache_does_not_count(make_live_lab: MakeLab) -> None:
    """Only what is written to it, and what stands behind the mark."""
    limits = AnthropicLimits(input_tokens_per_minute=1_000_000)
    lab = make_live_lab(anthropic_limits=limits)
    marked = [{"type": "text", "text": "x" * 40_000, "cache_control": {"type": "ephemeral"}}]
    left: list[tuple[bool, int]] = []
    for number in range(20):
        raw = lab.anthropic.messages.with_raw_response.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            system=marked,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            messages=[{"role": "user", "content": f"say {number}"}],
        )
        was_read = bool(raw.parse().usage.cache_read_input_tokens)
        left.append((was_read, int(raw.headers["anthropic-ratelimit-input-tokens-remaining"])))
        lab.emulator.advance(minutes=1)
    assert {remaining for was_read, remaining in left if was_read} == {1_000_000}
    assert {remaining for was_read, remaining in left if not was_read} == {990_000}


def test_gemini_tells_of_its_quota_in_the_body(make_live_lab: MakeLab) -> None:
    """The 429 has a `RetryInfo` and a `QuotaFailure`, and no header."""
    lab = make_live_lab(gemini_limits=GeminiLimits(requests_per_minute=4))
    lab.statuses("gemini", 4)
    with pytest.raises(errors.ClientError) as caught:
        lab.generate("x")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    found = details(caught.value)
    delay = float(found["RetryInfo"]["retryDelay"].removesuffix("s"))
    assert 10 < delay <= 15
    assert f"Please retry in {delay:.9g}s." in str(caught.value.message)
    (violation,) = found["QuotaFailure"]["violations"]
    assert violation == {
        "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model",
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
        "quotaDimensions": {"location": "global", "model": "gemini-2.5-flash"},
        "quotaValue": "4",
    }
    headers = str(lab.refused("gemini").headers)
    assert "ratelimit" not in headers
    assert "retry" not in headers
    lab.emulator.advance(seconds=15)
    assert lab.generate("x") == "x"


def test_gemini_limits_tokens_and_counts_each_text(make_live_lab: MakeLab) -> None:
    """Input tokens count; a call with several texts counts as so many requests, or none."""
    lab = make_live_lab(gemini_limits=GeminiLimits(tokens_per_minute=100, requests_per_minute=5))
    with pytest.raises(errors.ClientError) as caught:
        lab.generate("x" * 404)
    (violation,) = details(caught.value)["QuotaFailure"]["violations"]
    assert violation["quotaId"] == "GenerateContentPaidTierInputTokensPerModelPerMinute"
    assert "RetryInfo" not in details(caught.value)
    assert lab.embed(["a", "b", "c"]) == 3
    with pytest.raises(errors.ClientError) as caught:
        lab.embed(["a", "b", "c"])
    assert "EmbedContentRequests" in str(details(caught.value))
    assert lab.embed(["a", "b"]) == 2


def test_vertex_has_quotas_of_its_own(make_live_lab: MakeLab) -> None:
    """They do not count what the Developer API was asked."""
    lab = make_live_lab(vertex_limits=VertexLimits(requests_per_minute=1))
    assert lab.statuses("gemini", 2) == [200, 200]
    client = genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials("token"),  # type: ignore[no-untyped-call]
        http_options={"base_url": lab.emulator.vertex_url},
    )
    models: Any = client.models
    assert models.generate_content(model="gemini-2.5-flash", contents="x").text == "x"
    with pytest.raises(errors.ClientError) as caught:
        models.generate_content(model="gemini-2.5-flash", contents="x")
    assert caught.value.code == 429
    client.close()


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "gemini"])
def test_room_comes_back_bit_by_bit(make_live_lab: MakeLab, vendor: str) -> None:
    """After a part of a minute of the emulator's clock there is room for as large a part."""
    lab = make_live_lab(
        limits=Limits(requests_per_minute=6),
        anthropic_limits=AnthropicLimits(requests_per_minute=6),
        gemini_limits=GeminiLimits(requests_per_minute=6),
    )
    assert lab.statuses(vendor, 7) == [200] * 6 + [429]
    lab.emulator.advance(seconds=20)
    assert lab.statuses(vendor, 3) == [200, 200, 429]
    lab.emulator.advance(hours=1)
    assert lab.statuses(vendor, 7) == [200] * 6 + [429]


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "gemini"])
def test_a_reset_forgets_what_was_used(make_live_lab: MakeLab, vendor: str) -> None:
    """Limits begin anew, as all else does."""
    lab = make_live_lab(**ONE_A_MINUTE)
    assert lab.statuses(vendor, 2) == [200, 429]
    lab.emulator.reset()
    assert lab.statuses(vendor, 2) == [200, 429]


def test_models_are_limited_one_by_one(make_live_lab: MakeLab) -> None:
    """A number holds for each model on its own, and a mapping for those that it names."""
    lab = make_live_lab(
        limits=Limits(requests_per_minute=1),
        gemini_limits=GeminiLimits(requests_per_minute={"gemini-2.5-pro": 1}),
    )
    assert lab.chat("x", model="gpt-4o") == lab.chat("x", model="gpt-4.1") == "x"
    with pytest.raises(openai.RateLimitError):
        lab.chat("x", model="gpt-4o")
    assert lab.statuses("gemini", 3) == [200] * 3
    lab.generate("x", model="gemini-2.5-pro")
    with pytest.raises(errors.ClientError):
        lab.generate("x", model="gemini-2.5-pro")


def test_a_limit_of_zero_refuses_all(make_live_lab: MakeLab) -> None:
    """As for a model that an account has no access to."""
    lab = make_live_lab(limits=Limits(requests_per_minute=0))
    assert lab.refused("openai").status_code == 429


def test_bad_requests_use_up_nothing(make_live_lab: MakeLab) -> None:
    """A request that is refused for its model leaves room for the next."""
    lab = make_live_lab(**ONE_A_MINUTE)
    with pytest.raises(openai.NotFoundError):
        lab.chat("x", model="no-such-model")
    assert lab.statuses("openai", 2) == [200, 429]


def test_errors_of_anthropic_name_no_other_limits(make_live_lab: MakeLab) -> None:
    """A fault's answer does not tell of limits that the emulator does not have."""
    lab = make_live_lab(anthropic_limits=AnthropicLimits(requests_per_minute=2))
    lab.emulator.inject(Fault(route="messages", nth=1, status=529))
    headers = lab.refused("anthropic").headers
    assert "request-id" in headers
    assert not [name for name in headers if name.startswith("anthropic-ratelimit-")]
    assert lab.statuses("anthropic", 3) == [200, 200, 429]
