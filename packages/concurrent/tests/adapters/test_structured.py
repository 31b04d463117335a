"""Answers of a type through models of other libraries."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from packages.concurrent.tests.adapters.conftest import Recorder, completion

from ai_batch.concurrent import ConcurrentProcessor
from ai_batch.core import ChatRequest, Result
from ai_batch.emulator.contract.output_types import CASES, RECURSIVE, Place

langchain_openai: Any = importlib.import_module("langchain_openai")
models: Any = importlib.import_module("pydantic_ai.models.openai")
providers: Any = importlib.import_module("pydantic_ai.providers.openai")

# Who does not enter a provider leaves its connections to the program's end.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEY = "sk-made-up"


def of_langchain(openai: Recorder) -> Any:
    """LangChain's own model of OpenAI."""
    return langchain_openai.ChatOpenAI(base_url=openai.url, model="gpt-4o-mini", api_key=KEY)


def of_pydantic_ai(openai: Recorder) -> Any:
    """Pydantic AI's own model of OpenAI."""
    provider = providers.OpenAIProvider(base_url=openai.url, api_key=KEY)
    return models.OpenAIChatModel("gpt-4o-mini", provider=provider)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """What a test has left open is closed with it, and not at the program's end."""
    yield
    gc.collect()


MakeModel = Callable[[Recorder], Any]

both = pytest.mark.parametrize("make", [of_langchain, of_pydantic_ai])


def ask(model: Any, output_type: object, **options: Any) -> Result:
    """What a processor makes of the answer."""
    with ConcurrentProcessor(chat=model, **options) as processor:
        [result] = processor.process([ChatRequest(messages="x", output_type=output_type)])
    return result


@both
@pytest.mark.parametrize("name", [*CASES, *RECURSIVE])
def test_every_type_comes_back_as_itself(openai: Recorder, make: MakeModel, name: str) -> None:
    """Models, dataclasses, typed dicts and JSON schemas; the vendor takes their schemas."""
    case = (CASES | RECURSIVE)[name]
    openai.answer = completion(content=case.text)
    found = ask(make(openai), case.output_type)
    assert found.chat is not None, found.error
    assert found.chat.parsed == case.parsed
    assert type(found.chat.parsed) is type(case.parsed)


@both
def test_a_misfit_may_be_asked_again(openai: Recorder, make: MakeModel) -> None:
    """It is the item's error, with its text; all its answers are paid for."""
    openai.answer = completion(content="in my own words")
    found = ask(make(openai), Place, retry_invalid=True, max_attempts=3)
    assert found.error is not None
    assert (found.error.code, found.error.raw) == ("invalid_output", "in my own words")
    assert (found.attempts, len(openai.asked)) == (3, 3)
