"""Names are data: whatever an id, a file's name or a vendor's name says, nothing is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_batch.anthropic.api import AnthropicApi
from ai_batch.core import AIBatchError, ChatRequest, LedgerError
from ai_batch.core.spool import Spool
from ai_batch.gemini.api import GoogleApi
from ai_batch.openai.api import OpenAIApi
from ai_batch.openai.client import ClientSettings
from tests.conftest import Lab
from tests.security.servers import serving

WILD = [
    "../../x",
    "../" * 40 + "tmp/x",
    "/etc/x",
    "..\\..\\x",
    "C:\\x",
    "CON",
    "nul.txt",
    "a\0b",
    "a\nb\r\nX-Injected: 1",
    "x" * 4000,
    "\N{PILE OF POO}\u202e",
    "cas\u00e9",
    "case\u0301",
    "Twin",
    "tWIN",
    "'; DROP TABLE job; --",
    "%s %n {0} ${x} $(id) `id`",
    "<script>alert(1)</script>",
    "-",
    ".",
    "..",
    " ",
    "__proto__",
]


def below(folder: Path) -> set[str]:
    """The names of everything in a folder, at any depth."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_wild_ids_come_back_as_they_were(lab: Lab, tmp_path: Path) -> None:
    """Each request has its own answer, and no file is named after any of them."""
    requests = [ChatRequest(id=name, messages=f"about {n}") for n, name in enumerate(WILD)]
    response = lab.processor(shard=7).process(requests)
    assert [result.id for result in response] == WILD
    assert [result.chat.content for result in response if result.chat] == [
        f"about {n}" for n in range(len(WILD))
    ]
    assert {name.partition("/")[0] for name in below(tmp_path)} <= {"home", "ai-batch-home"}
    names = {part for name in below(lab.home) for part in name.split("/")}
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert all(set(name) <= allowed for name in names)
    assert names.isdisjoint(WILD)


@pytest.mark.parametrize("name", WILD)
def test_no_job_is_found_by_a_wild_name(lab: Lab, name: str) -> None:
    """A job's name is looked up in the ledger, and never in the file system."""
    processor = lab.processor()
    processor.process(lab.questions(1))
    before = below(lab.home)
    with pytest.raises(AIBatchError) as caught:
        processor.attach(name)
    assert "job" in str(caught.value)
    assert below(lab.home) == before


@pytest.mark.parametrize("name", ["../../secret", "../ledger.db", "/etc/passwd"])
def test_a_ledger_that_names_another_folder_is_not_believed(
    lab: Lab, tmp_path: Path, name: str
) -> None:
    """A job's folder is below the home: what else the ledger names is not read."""
    lab.processor().process(lab.questions(1))
    (tmp_path.parent / "secret").mkdir(exist_ok=True)
    with pytest.raises(LedgerError):
        Spool(lab.home).open(name)


REMOTE = ["../../v1/organizations", "/etc/x", "a/../../b", "x?key=1", "a#b", "%2e%2e/x", "a b"]


@pytest.mark.parametrize("name", REMOTE)
def test_a_vendors_names_stay_within_its_server(name: str, tmp_path: Path) -> None:
    """The name of a file that a server gave is asked of that server, and written where we say."""
    target = tmp_path / "inner" / "0001.output.jsonl"
    target.parent.mkdir()
    with serving(lambda handler: handler.reply(404, b"{}")) as server:
        settings = ClientSettings(api_key="k", base_url=f"{server.url}/v1")
        _ask(OpenAIApi(settings), name, target)
    assert below(tmp_path) <= {"inner", "inner/0001.output.jsonl"}
    assert all(asked.headers["Host"] == server.url.partition("//")[2] for asked in server.asked)


@pytest.mark.parametrize(
    "name", ["https://evil.example/x", "//evil.example/x", "http://127.0.0.1:9/x"]
)
def test_an_address_in_place_of_a_name_is_no_address(name: str, tmp_path: Path) -> None:
    """A server that gives a URL for an id has nobody else called with the key."""
    from ai_batch.anthropic.client import ClientSettings as Anthropic
    from ai_batch.gemini.client import ClientSettings as Google

    with serving(lambda handler: handler.reply(404, b"{}")) as server:
        for api in (
            OpenAIApi(ClientSettings(api_key="k", base_url=f"{server.url}/v1")),
            AnthropicApi(Anthropic(api_key="k", base_url=server.url)),
            GoogleApi(Google(api_key="k", base_url=server.url)),
        ):
            _ask(api, name, tmp_path / "x")


def _ask(api: Any, name: str, target: Path) -> None:
    import asyncio

    async def main() -> None:
        try:
            # Another host would not be reached: a test that tries to fails in another way.
            with pytest.raises(AIBatchError):
                await api.download(name, target)
        finally:
            await api.aclose()

    asyncio.run(main())


def test_ids_that_differ_in_case_alone_are_two(lab: Lab) -> None:
    """No file system has a say in what is the same."""
    requests = [ChatRequest(id=name, messages=name) for name in ("Twin", "tWIN", "TWIN")]
    response = lab.processor().process(requests)
    assert [result.chat.content for result in response if result.chat] == ["Twin", "tWIN", "TWIN"]
