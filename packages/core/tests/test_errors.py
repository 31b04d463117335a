"""Errors: what they say, and what they must never say."""

from __future__ import annotations

import importlib
import inspect
from typing import cast

import pytest

from ai_batch.core import BatchFailed, Job, Problem, ProviderError, UsageError, VendorFault, errors
from ai_batch.core.errors import AIBatchError, mask

# Only to see that what other people's pools do with our errors works.
pickle = importlib.import_module("pickle")


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh12345678",
        "sk-ant-api03-abcdefgh",
        "AIzaSyD-abcdefghijklmnop",
        "gsk_abcdefgh1234",
        "whsec_abcdefgh1234",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "Bearer abc.def",
        "x-api-key: topsecret",
        "'api-key': 'topsecret'",
    ],
)
def test_keys_are_masked(secret: str) -> None:
    """Whatever looks like a key does not reach a log or an error."""
    text = mask(f"request failed with {secret} at https://api.example.com")

    assert "***" in text
    assert "topsecret" not in text
    assert secret not in text
    assert text.startswith("request failed with ")
    assert text.endswith(" at https://api.example.com")


def test_given_secrets_are_masked_whatever_they_look_like() -> None:
    """A key of an odd shape is masked where it is known."""
    assert mask("key 42-odd used", "42-odd", None, "") == "key *** used"


@pytest.mark.parametrize("text", ["a task-force of 3", "the risk-averse", "skeleton", "pk"])
def test_ordinary_words_are_left_alone(text: str) -> None:
    """A prompt that speaks of risks is not taken for a key."""
    assert mask(text) == text


def all_errors() -> list[type[AIBatchError]]:
    """Every class of error that can be made of a message alone."""
    found = [getattr(errors, name) for name in errors.__all__]
    return [
        kind
        for kind in found
        if inspect.isclass(kind) and issubclass(kind, AIBatchError) and kind is not BatchFailed
    ]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_crosses_process_borders(kind: type[AIBatchError]) -> None:
    """Pools pickle errors: class and message arrive."""
    error = kind("what happened")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert str(again) == "what happened"


def test_the_fields_of_a_provider_error_cross_process_borders() -> None:
    """Status, code, request id and Retry-After are plain fields."""
    fault = VendorFault("bad", code="c", line=3)
    error = errors.RateLimited(
        "slow down", status=429, code="rate", request_id="req_1", retry_after=7.5, faults=[fault]
    )

    again = pickle.loads(pickle.dumps(error))

    assert vars(again) == vars(error)
    assert (again.status, again.retry_after, again.faults) == (429, 7.5, (fault,))


def test_the_problems_of_a_usage_error_cross_process_borders() -> None:
    """So do the faults of the input, and how many there were."""
    error = UsageError("2 problems", [Problem("empty", "q1", 0, "texts")], total=200)

    again = pickle.loads(pickle.dumps(error))

    assert again.problems == error.problems
    assert again.total == 200
    assert str(again) == str(error)


def test_a_usage_error_lists_the_first_hundred_problems() -> None:
    """An input with a million faults makes no message of a million lines."""
    error = UsageError("many", [Problem("empty", f"q{i}", i) for i in range(250)])

    assert len(error.problems) == 100
    assert error.total == 250
    assert str(error).splitlines()[1] == "  - request 'q0' (index 0): empty"
    assert str(error).splitlines()[-1] == "  ... and 150 more"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("empty"), "empty"),
        (Problem("empty", field="texts.0"), "texts.0: empty"),
        (Problem("empty", "q1", 0, "texts"), "request 'q1' (index 0): texts: empty"),
        (Problem("empty", None, 7), "request None (index 7): empty"),
    ],
)
def test_a_problem_names_its_place(problem: Problem, text: str) -> None:
    """The id, the index and the field, as far as they are known."""
    assert str(problem) == text


def test_a_vendor_fault_names_its_request() -> None:
    """The request's id, the vendor's code, and its words."""
    assert str(VendorFault("too long", code="max", id="q7")) == "request 'q7': [max] too long"
    assert str(VendorFault("too long")) == "too long"


def test_batch_failed_lists_the_vendors_errors() -> None:
    """The job's id and the errors are in the message; the job itself is at hand."""

    class Stub:
        id = "job_1"

    job = cast("Job", Stub())
    error = BatchFailed(job, [VendorFault(f"fault {i}") for i in range(120)])

    assert error.job is job
    assert len(error.errors) == 120
    assert str(error).startswith("job job_1: the provider refused every batch")
    assert str(error).endswith("  ... and 20 more")


def test_callers_can_tell_what_to_do() -> None:
    """A usage error is a ValueError, a missing distribution an ImportError, and so on."""
    assert issubclass(UsageError, ValueError)
    assert issubclass(errors.ProviderNotInstalled, ImportError)
    assert issubclass(errors.LeaseLost, errors.LedgerError)
    retryable = {kind.__name__ for kind in all_errors() if getattr(kind, "retryable", False)}
    assert retryable == {
        "RateLimited",
        "QueueFull",
        "ProviderUnavailable",
        "OutcomeUnknown",
        "RemoteNotFound",
    }
    assert issubclass(errors.RequestRefused, ProviderError)


def test_a_stand_ins_key_garbles_no_message() -> None:
    """Servers of one's own are given any key: a word of a few letters is no secret."""
    assert mask("invalid_api_key: test", "k", "test") == "invalid_api_key: test"
    assert mask("the key 8dk2mPq1 is wrong", "8dk2mPq1") == "the key *** is wrong"
