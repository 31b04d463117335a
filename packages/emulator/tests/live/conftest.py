"""One emulator with the bare SDKs of three vendors before it, none of which tries again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from ai_batch.emulator import Emulator
from ai_batch.emulator.surface import Surface

GPT, CLAUDE, GEMINI = "gpt-4o-mini", "claude-haiku-4-5", "gemini-2.5-flash"
VENDORS = ("openai", "anthropic", "gemini")


class LiveLab:
    """An emulator, and a client of each vendor."""

    def __init__(self, emulator: Surface, stack: ExitStack, timeout: float) -> None:
        self.emulator = emulator
        self.openai = stack.enter_context(
            openai.OpenAI(base_url=emulator.openai_url, api_key="k", max_retries=0, timeout=timeout)
        )
        self.anthropic = stack.enter_context(
            anthropic.Anthropic(
                base_url=emulator.anthropic_url, api_key="k", max_retries=0, timeout=timeout
            )
        )
        options = types.HttpOptions(base_url=emulator.gemini_url, timeout=int(timeout * 1000))
        client = genai.Client(api_key="k", http_options=options)
        stack.callback(client.close)
        # A client that is collected is closed. The types of its models name PIL, which is not here.
        self._client: Any = client
        self.gemini: Any = self._client.models

    def chat(self, text: str, model: str = GPT, **options: Any) -> str | None:
        """What OpenAI says to this."""
        create: Any = self.openai.chat.completions.create
        said = [{"role": "user", "content": text}]
        found: str | None = create(model=model, messages=said, **options).choices[0].message.content
        return found

    def message(self, text: str, **options: Any) -> Any:
        """What Anthropic says to this."""
        full = {"model": CLAUDE, "max_tokens": 100, **options}
        create: Any = self.anthropic.messages.create
        return create(messages=[{"role": "user", "content": text}], **full).content[0].text

    def generate(self, text: str, model: str = GEMINI) -> str | None:
        """What Gemini says to this."""
        found: str | None = self.gemini.generate_content(model=model, contents=text).text
        return found

    def embed(self, texts: list[str]) -> int:
        """How many vectors Gemini makes of these."""
        model = "gemini-embedding-001"
        return len(self.gemini.embed_content(model=model, contents=list(texts)).embeddings)

    def ask(self, vendor: str, text: str) -> str | None:
        """What a vendor says to this."""
        asks: dict[str, Callable[[str], Any]] = {
            "openai": self.chat,
            "anthropic": self.message,
            "gemini": self.generate,
        }
        found: str | None = asks[vendor](text)
        return found

    def refused(self, vendor: str, text: str = "x") -> httpx2.Response:
        """The answer to a call that the vendor's SDK reports as an error of that status."""
        kinds = (openai.APIStatusError, anthropic.APIStatusError, errors.APIError)
        with pytest.raises(kinds) as caught:
            self.ask(vendor, text)
        error: Any = caught.value
        response: httpx2.Response = error.response
        return response

    def statuses(self, vendor: str, count: int) -> list[int]:
        """The statuses of so many calls in a row."""
        found: list[int] = []
        for number in range(count):
            try:
                self.ask(vendor, f"say {number}")
                found.append(200)
            except (openai.APIStatusError, anthropic.APIStatusError) as error:
                found.append(error.status_code)
            except errors.APIError as error:
                found.append(error.code)
        return found


@pytest.fixture
def make_live_lab() -> Iterator[Callable[..., LiveLab]]:
    """Make a laboratory whose emulator has these options."""
    with ExitStack() as stack:

        def make(emulator: Surface | None = None, timeout: float = 30.0, **options: Any) -> LiveLab:
            if emulator is None:
                emulator = stack.enter_context(Emulator(**options))
            return LiveLab(emulator, stack, timeout)

        yield make


@pytest.fixture
def live_lab(make_live_lab: Callable[..., LiveLab]) -> LiveLab:
    """A laboratory with an emulator as it comes."""
    return make_live_lab()
