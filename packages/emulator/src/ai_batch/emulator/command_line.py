"""The options of an emulator as arguments of a command, in both directions."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.options import (
    DEFAULT_WEBHOOK_SECRET,
    AnswerFunction,
    Limits,
    Options,
    Seconds,
    Timing,
)

_STATES = ("validating", "in_progress", "finalizing", "cancelling")


def parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m ai_batch.emulator`."""
    found = argparse.ArgumentParser(
        prog="python -m ai_batch.emulator",
        description="A local server that speaks the LLM vendors' batch APIs.",
    )
    found.add_argument("--host", default="127.0.0.1", help="address to listen on")
    found.add_argument(
        "--port", type=int, default=0, help="port to listen on (default: a free one)"
    )
    found.add_argument("--home", type=Path, help="folder to keep everything in")
    found.add_argument(
        "--answer", default="echo", help="echo, canned, an upstream's base URL, or module:function"
    )
    for state in _STATES:
        found.add_argument(
            f"--{state.replace('_', '-')}",
            type=_seconds,
            default=0.0,
            metavar="SECONDS",
            help=f"time in the state {state}: 5, or a range like 1:10",
        )
    found.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn")
    found.add_argument("--api-key", action="append", help="a key to accept (default: any)")
    found.add_argument("--webhooks", metavar="URL", help="where to post events of ended batches")
    found.add_argument("--webhook-secret", default=DEFAULT_WEBHOOK_SECRET, help="their secret")
    _add_limits(found)
    found.add_argument("--embedding-dimensions", type=int, help="length of vectors by default")
    found.add_argument(
        "--no-track-items", action="store_true", help="do not count each item's executions"
    )
    return found


def _add_limits(found: argparse.ArgumentParser) -> None:
    default = Limits()
    found.add_argument(
        "--enqueued-tokens",
        type=_tokens,
        metavar="N",
        help='tokens of one model that may wait: a number, or JSON like {"gpt-5": 1000}',
    )
    found.add_argument("--max-requests", type=int, default=default.max_requests)
    found.add_argument("--max-file-bytes", type=int, default=default.max_file_bytes)
    found.add_argument("--max-embedding-inputs", type=int, default=default.max_embedding_inputs)
    found.add_argument("--creates-per-hour", type=int, default=default.creates_per_hour)
    found.add_argument("--requests-per-minute", type=int, help="of the live endpoints")


def emulator_from(arguments: Sequence[str] | None) -> Emulator:
    """Return the emulator that a command line describes."""
    given = parser().parse_args(arguments)
    return Emulator(
        home=given.home,
        host=given.host,
        port=given.port,
        answer=_answer(given.answer),
        timing=Timing(**{state: getattr(given, state) for state in _STATES}),
        limits=Limits(
            enqueued_tokens=given.enqueued_tokens,
            max_requests=given.max_requests,
            max_file_bytes=given.max_file_bytes,
            max_embedding_inputs=given.max_embedding_inputs,
            creates_per_hour=given.creates_per_hour,
            requests_per_minute=given.requests_per_minute,
        ),
        seed=given.seed,
        api_keys=given.api_key,
        webhooks=given.webhooks,
        webhook_secret=given.webhook_secret,
        track_items=not given.no_track_items,
        embedding_dimensions=given.embedding_dimensions,
    )


def arguments_of(options: Options) -> list[str]:
    """Return the arguments that describe these options."""
    if not isinstance(options.answer, str):
        msg = "a spawned emulator takes a function as 'module:name', not the function itself"
        raise TypeError(msg)
    timing, limits = options.timing, options.limits
    values: dict[str, object] = {
        "answer": options.answer,
        **{state.replace("_", "-"): _range(getattr(timing, state)) for state in _STATES},
        "seed": options.seed,
        "webhooks": options.webhooks,
        "webhook-secret": options.webhook_secret,
        "enqueued-tokens": _tokens_text(limits.enqueued_tokens),
        "max-requests": limits.max_requests,
        "max-file-bytes": limits.max_file_bytes,
        "max-embedding-inputs": limits.max_embedding_inputs,
        "creates-per-hour": limits.creates_per_hour,
        "requests-per-minute": limits.requests_per_minute,
        "embedding-dimensions": options.embedding_dimensions,
    }
    arguments = [f"--{name}={value}" for name, value in values.items() if value is not None]
    arguments += [f"--api-key={key}" for key in sorted(options.api_keys or ())]
    return arguments if options.track_items else [*arguments, "--no-track-items"]


def _seconds(text: str) -> Seconds:
    first, colon, last = text.partition(":")
    return (float(first), float(last)) if colon else float(first)


def _range(seconds: Seconds) -> str:
    return f"{seconds[0]}:{seconds[1]}" if isinstance(seconds, tuple) else str(seconds)


def _tokens(text: str) -> int | dict[str, int]:
    return cast("int | dict[str, int]", json.loads(text))


def _tokens_text(tokens: int | Mapping[str, int] | None) -> str | None:
    if tokens is None:
        return None
    return json.dumps(dict(tokens) if isinstance(tokens, Mapping) else tokens)


def _answer(text: str) -> str | AnswerFunction:
    module, colon, name = text.partition(":")
    if not colon or text.startswith(("http://", "https://")):
        return text
    return cast("AnswerFunction", getattr(importlib.import_module(module), name))
