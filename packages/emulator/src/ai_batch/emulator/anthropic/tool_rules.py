"""What is checked of the tools of a request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ai_batch.emulator.json_types import JsonObject, as_list, as_object, as_text

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def tool_problems(body: JsonObject) -> Iterator[str]:
    """Yield what is wrong with the tools, and with the choice among them."""
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    for index, tool in enumerate(tools):
        yield from _tool(f"tools.{index}", tool)
    names = [as_text(tool.get("name")) for tool in tools]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    if body.get("tool_choice") is not None:
        yield from _choice(as_object(body["tool_choice"]), names)


def _tool(place: str, tool: JsonObject) -> Iterator[str]:
    if _NAME.fullmatch(as_text(tool.get("name"))) is None:
        yield f"{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    if tool.get("type") not in (None, "custom"):
        return
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        yield f"{place}.custom.input_schema: Field required"
    elif schema.get("type") != "object":
        yield f"{place}.custom.input_schema.type: Input should be 'object'"


def _choice(choice: JsonObject, names: list[str]) -> Iterator[str]:
    kind = as_text(choice.get("type"))
    if kind not in {"auto", "any", "tool", "none"}:
        yield "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'"
    if kind in {"any", "tool"} and not names:
        yield "tool_choice: may only be specified while providing tools"
    name = as_text(choice.get("name"))
    if kind == "tool" and names and name not in names:
        yield f"tool_choice: Tool '{name}' not found in provided tools"
