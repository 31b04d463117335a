"""Lines of OpenAI batch files as requests, so that an existing file runs on any provider.

Source of the format: https://developers.openai.com/api/docs/guides/batch
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

__all__ = ["as_object", "is_openai_line", "read_openai_line"]

JSONObject: TypeAlias = dict[str, Any]

SAME = ("temperature", "top_p", "stop", "seed", "reasoning_effort")
"""Parameters that are called alike in our requests."""

IDLE: dict[str, object] = {"n": 1, "stream": False, "logprobs": False, "encoding_format": "float"}
"""Parameters that say what holds anyway."""


def is_openai_line(row: Mapping[str, Any]) -> bool:
    """Whether a row is a line of an OpenAI batch file."""
    return isinstance(row.get("body"), dict) and ("custom_id" in row or "url" in row)


def read_openai_line(row: Mapping[str, Any], *, keep_extra: bool) -> JSONObject:
    """The fields of our request. What has no field of ours goes to ``extra``.

    Raises ``ValueError`` for what can't be said, and for such ``extra`` unless ``keep_extra``:
    only OpenAI and its like know what it means.
    """
    body: JSONObject = dict(cast("JSONObject", row["body"]))
    url = str(row.get("url") or "/v1/chat/completions")
    readers: dict[str, Callable[[JSONObject], JSONObject]] = {
        "chat/completions": _chat,
        "responses": _response,
        "embeddings": _embedding,
    }
    reader = readers.get(url.removeprefix("/v1/"))
    if reader is None:
        raise ValueError(f"there is no request of ours for the url {url!r}")
    made = {"id": row.get("custom_id"), "model": body.pop("model", None), **reader(body)}
    rest = {key: value for key, value in body.items() if IDLE.get(key, ...) != value}
    if rest and not keep_extra:
        raise ValueError(f"body: only OpenAI knows {', '.join(sorted(rest))}; take it out")
    if rest:
        made["extra"] = rest
    return {key: value for key, value in made.items() if value is not None}


def _chat(body: JSONObject) -> JSONObject:
    made: JSONObject = {name: body.pop(name, None) for name in SAME}
    old, new = body.pop("max_tokens", None), body.pop("max_completion_tokens", None)
    made["max_tokens"] = old if new is None else new
    made["messages"] = [_message(message) for message in body.pop("messages", [])]
    tools = body.pop("tools", None)
    made["tools"] = None if tools is None else [tool.get("function") for tool in tools]
    made["tool_choice"] = _choice(body.pop("tool_choice", None))
    wanted = as_object(body.get("response_format"))
    if wanted.get("type") == "json_schema":
        made["output_type"] = _schema(wanted["json_schema"])
        del body["response_format"]
    return made


def _response(body: JSONObject) -> JSONObject:
    made: JSONObject = {name: body.pop(name, None) for name in ("temperature", "top_p")}
    made["max_tokens"] = body.pop("max_output_tokens", None)
    given = body.pop("input", [])
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
    instructions = body.pop("instructions", None)
    first = [] if instructions is None else [{"role": "system", "content": instructions}]
    made["messages"] = [_message(message) for message in [*first, *turns]]
    made["reasoning_effort"] = as_object(body.pop("reasoning", None)).get("effort")
    wanted = as_object(as_object(body.get("text")).get("format"))
    if wanted.get("type") == "json_schema":
        made["output_type"] = _schema(wanted)
        del body["text"]
    return made


def _embedding(body: JSONObject) -> JSONObject:
    texts = body.pop("input", None)
    if texts is None:
        raise KeyError("input")
    return {"texts": texts, "dimensions": body.pop("dimensions", None)}


def as_object(value: object) -> JSONObject:
    """The value if it is a JSON object; an empty one for anything else."""
    return cast("JSONObject", value) if isinstance(value, dict) else {}


def _schema(wanted: JSONObject) -> JSONObject:
    return {"title": wanted.get("name", "output"), **wanted["schema"]}


def _choice(choice: object) -> object:
    if isinstance(choice, dict):
        return as_object(as_object(cast("object", choice)).get("function")).get("name")
    return choice


def _message(message: JSONObject) -> JSONObject:
    role = message.get("role")
    if role is None:
        raise ValueError(f"an input item of type {message.get('type')!r} can't be read")
    if role == "tool":
        result = {"type": "tool_result", "id": message["tool_call_id"]}
        return {"role": "tool", "parts": [{**result, "content": _plain(message.get("content"))}]}
    parts = _parts(message.get("content"))
    calls: list[JSONObject] = message.get("tool_calls") or []
    parts += [_call(call) for call in calls]
    return {"role": "system" if role == "developer" else role, "parts": parts}


def _plain(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in cast("list[JSONObject]", content))
    return str(content or "")


def _parts(content: object) -> list[JSONObject]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_part(part) for part in cast("list[JSONObject]", content)]


def _part(part: JSONObject) -> JSONObject:
    kind = part.get("type")
    if kind in {"text", "input_text", "output_text"}:
        return {"type": "text", "text": part["text"]}
    if kind in {"image_url", "input_image"}:
        given = part["image_url"]
        image: JSONObject = {"url": given} if isinstance(given, str) else dict(given)
        made = {"type": "image", **_source(str(image["url"]))}
        detail = image.get("detail") or part.get("detail")
        return made if detail is None else {**made, "detail": detail}
    if kind == "input_audio":
        audio = part["input_audio"]
        return {"type": "audio", "data": audio["data"], "format": audio.get("format")}
    file = as_object(part.get("file"))
    if kind == "file" and file.get("file_data"):
        found = _source(str(file["file_data"]))
        return {"type": "document", **found, "name": file.get("filename")}
    raise ValueError(f"a part of type {kind!r} can't be read")


def _source(url: str) -> JSONObject:
    """The data of a ``data:`` URL; any other URL as it is."""
    head, comma, data = url.partition(",")
    if not url.startswith("data:") or not comma:
        return {"url": url}
    return {"data": data, "media_type": head.removeprefix("data:").removesuffix(";base64")}


def _call(call: JSONObject) -> JSONObject:
    function = call["function"]
    arguments = json.loads(function.get("arguments") or "{}")
    return {
        "type": "tool_call",
        "id": call["id"],
        "name": function["name"],
        "arguments": arguments,
    }
