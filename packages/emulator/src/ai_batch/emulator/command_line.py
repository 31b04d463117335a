"""The options of an emulator as arguments of a command, in both directions."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

from ai_batch.emulator.emulator import Emulator
from ai_batch.emulator.faults import Fault
from ai_batch.emulator.options import (
    DEFAULT_WEBHOOK_SECRET,
    AnswerFunction,
    AnthropicLimits,
    GeminiLimits,
    Latency,
    Limits,
    OptionArguments,
    Options,
    Seconds,
    Timing,
    VertexLimits,
)

_LIMITS: dict[str, tuple[str, type[Limits | AnthropicLimits | GeminiLimits | VertexLimits]]] = {
    "limits": ("", Limits),
    "anthropic_limits": ("anthropic-", AnthropicLimits),
    "gemini_limits": ("gemini-", GeminiLimits),
    "vertex_limits": ("vertex-", VertexLimits),
}
"""The prefix of its arguments, and the class, of each option that holds limits."""

_LOGNORMAL = "lognormal"
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
    found.add_argument(
        "--latency",
        type=_latency,
        default=0.0,
        metavar="SECONDS",
        help="time that a live answer takes: 0.5, a range like 0.1:2, or lognormal:MEDIAN:SIGMA",
    )
    found.add_argument(
        "--fault",
        type=_fault,
        action="append",
        metavar="JSON",
        help='a fault from the start, such as {"route": "messages", "nth": 1, "status": 529}',
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
    for prefix, limits in _LIMITS.values():
        for each in fields(limits):
            spoken = each.name.replace("_", " ")
            found.add_argument(
                f"--{prefix}{each.name.replace('_', '-')}",
                type=_per_model if "PerModel" in str(each.type) else int,
                default=each.default,
                metavar="N",
                help=f"{spoken} (default: {each.default or 'no limit'})",
            )


def emulator_from(arguments: Sequence[str] | None) -> Emulator:
    """Return the emulator that a command line describes."""
    given = parser().parse_args(arguments)
    return Emulator(
        home=given.home,
        host=given.host,
        port=given.port,
        faults=given.fault or (),
        **_options_of(given),
    )


def _options_of(given: argparse.Namespace) -> OptionArguments:
    return {
        "answer": _answer(given.answer),
        "timing": Timing(**{state: getattr(given, state) for state in _STATES}),
        "latency": given.latency,
        "seed": given.seed,
        "api_keys": given.api_key,
        "webhooks": given.webhooks,
        "webhook_secret": given.webhook_secret,
        "track_items": not given.no_track_items,
        "embedding_dimensions": given.embedding_dimensions,
        **_limits_of(given),
    }


def _limits_of(given: argparse.Namespace) -> OptionArguments:
    values = vars(given)
    found = {
        option: limits(
            **{
                each.name: values[f"{prefix.replace('-', '_')}{each.name}"]
                for each in fields(limits)
            }
        )
        for option, (prefix, limits) in _LIMITS.items()
    }
    return cast("OptionArguments", found)


def _limit_values(options: Options) -> dict[str, object]:
    return {
        f"{prefix}{each.name.replace('_', '-')}": _limit_text(
            getattr(getattr(options, option), each.name)
        )
        for option, (prefix, limits) in _LIMITS.items()
        for each in fields(limits)
    }


def arguments_of(options: Options) -> list[str]:
    """Return the arguments that describe these options."""
    if not isinstance(options.answer, str):
        msg = "a spawned emulator takes a function as 'module:name', not the function itself"
        raise TypeError(msg)
    timing = options.timing
    values: dict[str, object] = {
        "answer": options.answer,
        **{state.replace("_", "-"): _range(getattr(timing, state)) for state in _STATES},
        "latency": _latency_text(options.latency),
        "seed": options.seed,
        "webhooks": options.webhooks,
        "webhook-secret": options.webhook_secret,
        "embedding-dimensions": options.embedding_dimensions,
        **_limit_values(options),
    }
    arguments = [f"--{name}={value}" for name, value in values.items() if value is not None]
    arguments += [f"--api-key={key}" for key in sorted(options.api_keys or ())]
    return arguments if options.track_items else [*arguments, "--no-track-items"]


def _seconds(text: str) -> Seconds:
    first, colon, last = text.partition(":")
    return (float(first), float(last)) if colon else float(first)


def _latency(text: str) -> Seconds | Latency:
    kind, _, numbers = text.partition(":")
    if kind != _LOGNORMAL:
        return _seconds(text)
    median, _, sigma = numbers.partition(":")
    return Latency(float(median), float(sigma or 0))


def _latency_text(latency: Seconds | Latency) -> str:
    if isinstance(latency, Latency):
        return f"{_LOGNORMAL}:{latency.median}:{latency.sigma}"
    return _range(latency)


def _fault(text: str) -> Fault:
    try:
        return Fault.from_json(json.loads(text))
    except TypeError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _range(seconds: Seconds) -> str:
    return f"{seconds[0]}:{seconds[1]}" if isinstance(seconds, tuple) else str(seconds)


def _per_model(text: str) -> int | dict[str, int]:
    return cast("int | dict[str, int]", json.loads(text))


def _limit_text(limit: int | Mapping[str, int] | None) -> str | None:
    return (
        None if limit is None else json.dumps(dict(limit) if isinstance(limit, Mapping) else limit)
    )


def _answer(text: str) -> str | AnswerFunction:
    module, colon, name = text.partition(":")
    if not colon or text.startswith(("http://", "https://")):
        return text
    return cast("AnswerFunction", getattr(importlib.import_module(module), name))
