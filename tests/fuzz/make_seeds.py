"""Writes the corpus: ``python -m tests.fuzz.make_seeds``. Keeps the seeds that are there.

Rows are those that the emulator's vendors give to our own processors, in batches and live.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ai_batch.anthropic import AnthropicChat
from ai_batch.core import (
    ChatRequest,
    EmbeddingRequest,
    Image,
    NativeProcessor,
    Tool,
    assistant,
    tool_result,
    user,
)
from ai_batch.core.messages import ToolCall
from ai_batch.emulator import Emulator
from ai_batch.gemini import GeminiChat, GeminiEmbedder
from ai_batch.openai import OpenAIChat, OpenAIEmbedder
from tests import subjects
from tests.fuzz.targets import CORPUS, TARGETS, load_seeds, save_seeds

WEATHER = Tool(name="weather", parameters={"type": "object", "properties": {}})
SCHEMA = {
    "title": "answer",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452")

CHATS = [
    ChatRequest(id="plain", messages="grüß\u2028dich 😀"),
    ChatRequest(id="turns", messages=[user("a"), assistant("b"), user("c")], max_tokens=40),
    ChatRequest(id="tool", messages="weather?", tools=(WEATHER,), tool_choice="required"),
    ChatRequest(id="schema", messages="city?", output_type=SCHEMA),
    ChatRequest(id="image", messages=[user("what?", Image(data=PNG))]),
    ChatRequest(
        id="result",
        messages=[
            user("weather?"),
            assistant(ToolCall(id="call_1", name="weather")),
            tool_result("call_1", "rain", name="weather"),
        ],
        tools=(WEATHER,),
    ),
]
TEXTS = [
    EmbeddingRequest(id="one", texts="eins"),
    EmbeddingRequest(id="two", texts=("zwei", "drei")),
]
SUBJECTS: Mapping[str, Any] = {
    "openai_chat": subjects.OPENAI_CHAT,
    "openai_responses": subjects.OPENAI_RESPONSES,
    "openai_embeddings": subjects.OPENAI_EMBEDDINGS,
    "anthropic": subjects.ANTHROPIC,
    "gemini_chat": subjects.GEMINI_CHAT,
    "gemini_embeddings": subjects.GEMINI_EMBEDDINGS,
    "vertex_chat": subjects.VERTEX_CHAT,
    "vertex_predictions": subjects.VERTEX_PREDICTIONS,
}


def _batch_rows(name: str, emulator: Emulator) -> Iterator[bytes]:
    subject = SUBJECTS[name]
    chats = subject.kind == "chat"
    broken = ChatRequest(id="broken", messages="x", model=None, extra={"temperature": "hot"})
    requests: list[Any] = [*CHATS, broken] if chats else TEXTS
    with tempfile.TemporaryDirectory() as home:
        made: NativeProcessor = subject.make(emulator, home=Path(home), poll_interval=0.02)
        with made as processor:
            processor.process(requests)
        for kind in ("output", "errors", "joined"):
            for file in sorted(Path(home).glob(f"jobs/*/*.{kind}.jsonl")):
                yield from file.read_bytes().splitlines()


async def _bodies(emulator: Emulator) -> dict[str, list[bytes]]:
    openai: dict[str, Any] = {"api_key": "k", "base_url": emulator.openai_url}
    google: dict[str, Any] = {"api_key": "k", "base_url": emulator.gemini_url}
    clients: dict[str, Any] = {
        "live_openai_chat": OpenAIChat(model="gpt-4o-mini", **openai),
        "live_openai_responses": OpenAIChat(
            model="gpt-4o-mini", endpoint="/v1/responses", **openai
        ),
        "live_anthropic": AnthropicChat(
            model="claude-haiku-4-5", api_key="k", base_url=emulator.anthropic_url
        ),
        "live_gemini_chat": GeminiChat(model="gemini-2.5-flash", **google),
    }
    embedders: dict[str, Any] = {
        "live_openai_embeddings": OpenAIEmbedder(model="text-embedding-3-small", **openai),
        "live_gemini_embeddings": GeminiEmbedder(model="gemini-embedding-001", **google),
    }
    found: dict[str, list[bytes]] = {}
    for name, client in clients.items():
        found[name] = [(await client.chat(request)).body for request in CHATS]
    for name, client in embedders.items():
        found[name] = [(await client.embed(request)).body for request in TEXTS]
    for client in (*clients.values(), *embedders.values()):
        await client.aclose()
    return found


VOYAGE = (
    b'{"object":"list","data":[{"object":"embedding","embedding":"AAAAPwAAAD8=","index":1},'
    b'{"object":"embedding","embedding":[0.5,0.25],"index":0}],"model":"voyage-4",'
    b'"usage":{"total_tokens":6}}'
)
LINES = (
    b'{"id":"a","messages":"hello"}\n{"id":"b","messages":[{"role":"user","parts":[{"type":"text",'
    b'"text":"x"},{"type":"image","url":"https://x/y.png"}]}],"temperature":0.5,"tools":[{"name":'
    b'"t"}],"output_type":{"type":"object"}}\n{"id":"c","texts":["one"],"dimensions":8}\n'
)
OPENAI_LINE = (
    b'{"custom_id":"q","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":'
    b'[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":'
    b'"data:image/png;base64,AAAA"}}]},{"role":"assistant","tool_calls":[{"id":"c","type":'
    b'"function","function":{"name":"t","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c",'
    b'"content":"y"}],"tools":[{"type":"function","function":{"name":"t"}}],"tool_choice":"auto",'
    b'"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}}}\n'
)
RESPONSES_LINE = (
    b'{"custom_id":"r","url":"/v1/responses","body":{"input":"x","instructions":"y","reasoning":'
    b'{"effort":"low"},"text":{"format":{"type":"json_schema","name":"n","schema":{}}}}}\n'
    b'{"custom_id":"e","url":"/v1/embeddings","body":{"input":["x"],"dimensions":4}}\n'
)

FILE_SEEDS: dict[str, list[bytes]] = {
    "split_rows": [b"\xef\xbb\xbfone\r\ntwo\n\n\r\nthree", b"\n", b"a\rb\n\rc\n"],
    "follow_rows": [b"one\ntwo\n\nthree\nfo", b"\n\n"],
    "requests_jsonl": [LINES, b'{"texts":[]}\n[]\n'],
    "cli_jsonl": [LINES, OPENAI_LINE, RESPONSES_LINE, b'"a string"\n{"prompt":"x","id":7}\n'],
    "cli_openai": [OPENAI_LINE, RESPONSES_LINE],
    "cli_csv": [b'id,text\n1,hello\n2,"a\nb, ""c"""\n3\n', b"\xef\xbb\xbftext\r\nx\r\n"],
    "cli_tsv": [b"id\ttext\tprompt\n1\thello\tx\n", b"prompt\tid\n\t\n"],
    "cli_txt": [b"one\n\n two \n", b"\xef\xbb\xbfx"],
    "templates": [b"Say {text} and {{braces}}", b"{a}{b}{a}", b"{", b"{x!r}{y:3}"],
    "wire_ids": [b"token-12", b"token-3_1_2", b"a-b-7", b"token-99999999999999999999"],
    "extras": [b'{"a":{"b":1},"c":[1,2],"d":null}', b'{"a":1e308,"b":"\\u0000"}'],
    "live_voyage": [VOYAGE],
    "concurrent": [
        b'{"id":"t-1","usage":[1,2,0,0,0],"chat":{"content":"x"},"body":{"id":"y"}}',
        b'{"id":"t-2","attempts":2,"error":{"code":"c","message":"m"}}',
        b'{"id":"t-3","embedding":{"data":"AAAAPw==","count":1,"dimensions":1}}',
    ],
}


def _merged(name: str, found: Iterable[bytes]) -> list[bytes]:
    old = load_seeds(name) if (CORPUS / f"{name}.jsonl").exists() else []
    return list(dict.fromkeys([*old, *found]))


def main() -> None:
    """Make the seeds of every target."""
    with Emulator(embedding_dimensions=4) as emulator:
        seeds = {name: list(_batch_rows(name, emulator)) for name in SUBJECTS}
        seeds |= asyncio.run(_bodies(emulator))
    for name, found in {**seeds, **FILE_SEEDS}.items():
        save_seeds(name, _merged(name, found))
    missing = sorted(name for name in TARGETS if not load_seeds(name))
    if missing:
        raise SystemExit(f"there are no seeds for {', '.join(missing)}")


if __name__ == "__main__":
    main()
