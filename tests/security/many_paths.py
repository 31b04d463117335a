"""A program that goes well and badly in every way it can, with a different secret for everything.

All that anybody could see of it goes to files in the folder that it is given: logs at DEBUG,
what its objects and errors look like here and in another process, spans, and its home.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import pickle  # noqa: TID251 - what others do with our errors
import sys
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_batch.anthropic import AnthropicChat, AnthropicProcessor
from ai_batch.core import AIBatchError, ChatRequest, EmbeddingRequest, NativeProcessor
from ai_batch.emulator import Emulator, Fault
from ai_batch.emulator.contract.fast_clock import FastClock
from ai_batch.gemini import GeminiChat, GeminiProcessor
from ai_batch.openai import OpenAIChat, OpenAIEmbedder, OpenAIProcessor
from ai_batch.voyage import VoyageEmbedder

SECRETS = {
    name: f"Zq7canary{number}{name}8c1d"
    for number, name in enumerate(
        (
            "openaiArgument",
            "openaiVariable",
            "openaiOwn",
            "anthropicArgument",
            "anthropicVariable",
            "anthropicToken",
            "anthropicOwn",
            "geminiArgument",
            "geminiVariable",
            "geminiOwn",
            "vertexToken",
            "voyageArgument",
            "voyageVariable",
            "header",
            "proxy",
            "address",
            "privateKey",
            "query",
        ),
        start=10,
    )
}
"""They look like nothing that could be told for a key by its form."""

HEADERS = {"X-Team-Secret": SECRETS["header"]}
PROXY = f"http://user:{SECRETS['proxy']}@127.0.0.1:9"
MESSAGE = "Incorrect API key provided: {0}. Authorization: Bearer {0}, see https://h/x?key={1}&a=b"


def echo(secret: str) -> dict[str, Any]:
    """A vendor's error that repeats what it was sent."""
    message = MESSAGE.format(secret, SECRETS["query"])
    return {"error": {"message": message, "type": "authentication_error", "code": None}}


def faults(secret: str) -> dict[str, list[Fault]]:
    """What may go wrong."""
    said, page = echo(secret), f"<html>{MESSAGE.format(secret, SECRETS['query'])}</html>"
    return {
        "nothing": [],
        "a refused key": [Fault(route="*", times=1, status=401, body=said)],
        "a forbidden call": [Fault(route="*", times=1, status=403, body=said)],
        "a second call that is bad": [Fault(route="*", nth=2, status=400, body=said)],
        "a third call that is too large": [Fault(route="*", nth=3, status=413, body=said)],
        "throttling": [Fault(route="*", times=3, status=429, body=said)],
        "a proxy's page": [Fault(route="*", times=2, status=502, body=page)],
        "an odd page": [Fault(route="*", times=1, status=200, body=page)],
        "an odd answer later": [Fault(route="*", nth=3, status=200, body=page)],
        "a cut call": [Fault(route="*", nth=2, cut="after")],
        "something that is lost": [Fault(route="*", nth=4, status=404, body=said)],
        "garbage": [Fault(route="*", row="garbage", times=1)],
    }


class Record:
    """Writes down all that can be seen of a thing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.paths = 0

    def see(self, *things: object) -> None:
        """Note how things look."""
        with self._path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            for thing in things:
                file.write(f"{thing!r}\n{thing}\n")
                if isinstance(thing, BaseException):
                    self._see_error(file, thing)

    def _see_error(self, file: io.TextIOBase, error: BaseException) -> None:
        file.writelines(traceback.format_exception(error))
        file.write(f"{vars(error)!r} {error.args!r} {error.__cause__!r} {error.__context__!r}\n")
        with contextlib.suppress(TypeError):
            file.write(pickle.dumps(error).decode("latin-1") + "\n")

    @contextlib.contextmanager
    def path(self) -> Generator[None]:
        """Something that may fail with an error of ours, or by time."""
        self.paths += 1
        try:
            yield
        except (AIBatchError, TimeoutError) as error:
            self.see(error)


class Program:
    """One emulator with everything before it."""

    def __init__(self, folder: Path) -> None:
        self.record = Record(folder / "seen.txt")
        self.home = folder / "home"
        self.emulator = Emulator(home=folder / "emulator").start()
        self.options: dict[str, Any] = {
            "home": self.home,
            "runtime": FastClock(100.0).runtime(),
            "poll_interval": 1.0,
            "settle_wait": 10.0,
            "max_attempts": 2,
        }

    def openai(self, **given: Any) -> NativeProcessor:
        """Its processor."""
        if "client" not in given:
            given |= {"base_url": self.emulator.openai_url, "extra_headers": HEADERS}
        return OpenAIProcessor(model="gpt-4o-mini", **self.options, **given)

    def anthropic(self, **given: Any) -> NativeProcessor:
        """Its processor."""
        if "client" not in given:
            given |= {"base_url": self.emulator.anthropic_url, "extra_headers": HEADERS}
        return AnthropicProcessor(model="claude-haiku-4-5", **self.options, **given)

    def gemini(self, **given: Any) -> NativeProcessor:
        """Its processor."""
        if "client" not in given:
            given |= {"base_url": self.emulator.gemini_url, "extra_headers": HEADERS}
        return GeminiProcessor(model="gemini-2.5-flash", **self.options, **given)

    def vertex(self, **given: Any) -> NativeProcessor:
        """Its processor, with an access token, and a private key behind it."""
        from google.oauth2.credentials import Credentials

        made: Any = Credentials
        token = made(SECRETS["vertexToken"], client_secret=SECRETS["privateKey"])
        with patch.dict(os.environ, STORAGE_EMULATOR_HOST=self.emulator.gcs_url):
            return GeminiProcessor(
                backend="vertex",
                model="gemini-2.5-flash",
                credentials=token,
                project="p",
                location="us-central1",
                gcs_uri="gs://bucket/batches",
                base_url=self.emulator.vertex_url,
                extra_headers=HEADERS,
                **self.options,
                **given,
            )

    def job(self, make: Callable[[], NativeProcessor], number: int) -> None:
        """Run a job of its own, and look at everything."""
        see = self.record.see
        with self.record.path(), make() as processor:
            see(processor, processor.estimate([ChatRequest(messages="x")]))
            requests = [ChatRequest(id=f"q{n}", messages=f"{number} {n}") for n in range(2)]
            for event in processor.stream(requests):
                see(event)
            job = processor.submit(requests)
            see(job, job.status(), processor.jobs())
            response = job.join(timeout=3)
            see(response, *response, response.errors)

    def native(self) -> None:
        """All processors, with all faults, and keys from everywhere."""
        number = 0
        for name, make in {
            "openai": self.openai,
            "anthropic": self.anthropic,
            "gemini": self.gemini,
            "vertex": self.vertex,
        }.items():
            secret = SECRETS["vertexToken" if name == "vertex" else f"{name}Argument"]
            given = {} if name == "vertex" else {"api_key": secret}
            for armed in faults(secret).values():
                number += 1
                for fault in armed:
                    self.emulator.inject(fault)
                self.job(lambda make=make, given=given: make(**given), number)  # type: ignore[misc]
                self.emulator.clear_faults()

    def from_variables(self) -> None:
        """Keys, tokens and proxies of the environment."""
        proxies = {"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY, "NO_PROXY": "127.0.0.1,localhost"}
        keys = {
            "OPENAI_API_KEY": SECRETS["openaiVariable"],
            "ANTHROPIC_API_KEY": SECRETS["anthropicVariable"],
            "GEMINI_API_KEY": SECRETS["geminiVariable"],
        }
        for number, make in enumerate((self.openai, self.anthropic, self.gemini)):
            with patch.dict(os.environ, {**proxies, **keys}):
                self.job(make, 100 + number)
                self.emulator.inject(
                    Fault(route="*", status=401, body=echo(list(keys.values())[number]))
                )
                self.job(make, 110 + number)
                self.emulator.clear_faults()
        with patch.dict(os.environ, ANTHROPIC_AUTH_TOKEN=SECRETS["anthropicToken"]):
            self.emulator.inject(Fault(route="*", status=401, body=echo(SECRETS["anthropicToken"])))
            self.job(self.anthropic, 120)
            self.emulator.clear_faults()

    def own_clients(self) -> None:
        """Clients of the user's own, with a password in their address."""
        import anthropic
        import openai
        from google import genai

        def address(url: str) -> str:
            return url.replace("http://", f"http://user:{SECRETS['address']}@")

        async def main() -> None:
            url = self.emulator.openai_url
            theirs = openai.AsyncOpenAI(api_key=SECRETS["openaiOwn"], base_url=address(url))
            url = self.emulator.anthropic_url
            other = anthropic.AsyncAnthropic(api_key=SECRETS["anthropicOwn"], base_url=address(url))
            google = genai.Client(
                api_key=SECRETS["geminiOwn"],
                http_options={"base_url": self.emulator.gemini_url},
            )
            for make, client, name in (
                (self.openai, theirs, "openaiOwn"),
                (self.anthropic, other, "anthropicOwn"),
                (self.gemini, google, "geminiOwn"),
            ):
                for armed in faults(SECRETS[name]).values():
                    for fault in armed:
                        self.emulator.inject(fault)
                    with self.record.path():
                        processor = make(client=client)
                        self.record.see(processor, await processor.aprocess(["x"]))
                    self.emulator.clear_faults()
            await theirs.close()
            await other.close()
            await google.aio.aclose()

        # Their libraries log an address as it is: that is why we take none with a password.
        loggers = [logging.getLogger(name) for name in ("httpx2", "openai", "anthropic")]
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        asyncio.run(main())
        for logger in loggers:
            logger.setLevel(logging.NOTSET)

    def live(self) -> None:
        """Clients for single calls."""
        urls = self.emulator
        chat, text = ChatRequest(messages="x"), EmbeddingRequest(texts=["x"])

        async def main() -> None:
            made: list[tuple[str, Callable[[], Any], Any]] = [
                ("openaiArgument", lambda: self._live(OpenAIChat, urls.openai_url), chat),
                ("openaiArgument", lambda: self._live(OpenAIEmbedder, urls.openai_url), text),
                ("anthropicArgument", lambda: self._live(AnthropicChat, urls.anthropic_url), chat),
                ("geminiArgument", lambda: self._live(GeminiChat, urls.gemini_url), chat),
            ]
            for name, make, request in made:
                for armed in faults(SECRETS[name]).values():
                    for fault in armed:
                        urls.inject(fault)
                    with self.record.path():
                        client = make()
                        self.record.see(client)
                        ask = client.embed if request is text else client.chat
                        try:
                            self.record.see(await ask(request))
                        finally:
                            await client.aclose()
                    urls.clear_faults()
            with self.record.path():
                # A server that is not there.
                voyage = VoyageEmbedder(
                    api_key=SECRETS["voyageArgument"], base_url="http://127.0.0.1:9"
                )
                self.record.see(voyage)
                await voyage.embed(text)

        asyncio.run(main())

    def _live(self, kind: Callable[..., Any], url: str) -> Any:
        names = {"OpenAI": "openai", "Anthropi": "anthropic", "Gemini": "gemini"}
        vendor = next(name for start, name in names.items() if kind.__name__.startswith(start))
        key = SECRETS[f"{vendor}Argument"]
        return kind(model="m", api_key=key, base_url=url, extra_headers=HEADERS)

    def refused(self) -> None:
        """Options that hold what they must not."""
        place = f"http://user:{SECRETS['address']}@127.0.0.1:9/v1"
        query = f"http://127.0.0.1:9/v1?key={SECRETS['query']}"
        for url in (place, query):
            for kind in (OpenAIProcessor, GeminiProcessor, AnthropicProcessor):
                with self.record.path():
                    key = SECRETS["openaiArgument"]
                    kind(model="m", api_key=key, base_url=url, home=self.home).process(["x"])
        with self.record.path(), patch.dict(os.environ, HTTPS_PROXY=PROXY, HTTP_PROXY=PROXY):
            chat = OpenAIChat(
                model="m", api_key=SECRETS["openaiArgument"], base_url="http://api.example/v1"
            )
            asyncio.run(chat.chat(ChatRequest(messages="x")))


def main(folder: Path) -> None:
    """Go every way, and print how many there were."""
    logging.basicConfig(
        level=logging.DEBUG, filename=folder / "log.txt", format="%(name)s %(message)s"
    )
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    program = Program(folder)
    try:
        program.native()
        program.from_variables()
        program.own_clients()
        program.live()
        program.refused()
    finally:
        spans = [span.to_json() for span in exporter.get_finished_spans()]
        program.record.see(*spans)
        program.emulator.stop()
    sys.stdout.write(f"{program.record.paths} {len(spans)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
