"""The vendors that one server speaks for."""

from __future__ import annotations

from collections.abc import Callable

from ai_batch.emulator.anthropic.vendor import AnthropicVendor
from ai_batch.emulator.gemini.vendor import GeminiVendor
from ai_batch.emulator.openai.vendor import OpenAIVendor
from ai_batch.emulator.route import Vendor
from ai_batch.emulator.vertex.vendor import VertexVendor
from ai_batch.emulator.world import World

VENDORS: tuple[Callable[[World], Vendor], ...] = (
    OpenAIVendor,
    AnthropicVendor,
    GeminiVendor,
    VertexVendor,
)
