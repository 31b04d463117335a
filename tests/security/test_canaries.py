"""No key, token, password or header of the user's is anywhere that somebody may look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_batch.anthropic import AnthropicProcessor
from ai_batch.core import NativeProcessor, UsageError
from ai_batch.core.errors import hide, mask
from ai_batch.emulator import Emulator
from ai_batch.gemini import GeminiProcessor
from ai_batch.openai import OpenAIProcessor
from tests.conftest import Lab
from tests.security.many_paths import SECRETS

ROOT = Path(__file__).resolve().parent.parent.parent


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python's, its output in files of the folder as well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    with (folder / "output.txt").open("a") as file:
        file.write(done.stdout + done.stderr)
    return done


def places(folder: Path) -> dict[str, list[str]]:
    """Where each secret is written, below a folder."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        data = path.read_bytes() if path.is_file() else b""
        for secret, value in SECRETS.items():
            if value.encode() in data or value in name:
                found.setdefault(secret, []).append(name)
    return found


def test_no_secret_is_written_whatever_happens(tmp_path: Path) -> None:
    """A hundred ways that go well or badly leave no secret in any file, log, span or pickle."""
    done = run(tmp_path, "tests.security.many_paths", str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    paths, spans = map(int, done.stdout.split())
    assert paths >= 100
    assert spans >= 100
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written >= {"emulator", "home", "log.txt", "output.txt", "seen.txt"}
    assert "***" in (tmp_path / "seen.txt").read_text("utf-8", "replace")
    assert places(tmp_path) == {}


def test_the_search_finds_secrets(tmp_path: Path) -> None:
    """A search that finds nothing would prove nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.bin").write_bytes(b"\x00" + SECRETS["proxy"].encode() + b"\xff")
    assert places(tmp_path) == {"proxy": ["a/b.bin"]}


COMMANDS = [
    ["--help"],
    ["providers"],
    ["jobs"],
    ["jobs", "--json"],
    ["show", "JOB"],
    ["show", "JOB", "--json"],
    ["results", "JOB", "-o", "RESULTS"],
    ["report", "JOB", "-o", "REPORT"],
    ["resume", "JOB"],
    ["retry", "JOB"],
    ["show", "no-such-job"],
    ["run", "no-such-file.csv", "-p", "openai"],
]


def test_the_command_line_shows_no_secret(tmp_path: Path) -> None:
    """Neither its screens nor its files do, with a key that the server repeats."""
    table = tmp_path / "in.csv"
    table.write_text("id,text\n1,a\n2,b\n")
    key = SECRETS["openaiVariable"]

    def refusing(endpoint: str, body: Any) -> tuple[int, Any]:
        del endpoint, body
        return 401, {"error": {"message": f"Incorrect API key provided: {key}", "code": "bad"}}

    with Emulator(answer=refusing) as emulator:
        variables = {
            **emulator.environment,
            "OPENAI_API_KEY": key,
            "HTTPS_PROXY": f"http://user:{SECRETS['proxy']}@127.0.0.1:9",
            "AI_BATCH_HOME": str(tmp_path / "home"),
        }
        given = ["-p", "openai", "-m", "gpt-4o-mini", "--prompt", "{text}"]
        command = ("ai_batch.cli", "run", str(table), *given, "-o", str(tmp_path / "out.csv"))
        started = run(tmp_path, *command, **variables)
        assert "Incorrect API key" in started.stderr + (tmp_path / "output.txt").read_text()
        listed = run(tmp_path, "ai_batch.cli", "jobs", "--json", **variables)
        (job,) = json.loads(listed.stdout)
        names = {
            "JOB": job["job"],
            "RESULTS": str(tmp_path / "results.jsonl"),
            "REPORT": str(tmp_path / "report.html"),
        }
        for words in COMMANDS:
            command = ("ai_batch.cli", *(names.get(word, word) for word in words))
            assert "Traceback" not in run(tmp_path, *command, **variables).stderr
    assert (tmp_path / "report.html").stat().st_size > 0
    # The vendor's own rows are kept byte for byte: they are what was paid for.
    rows = [path for path in (tmp_path / "home").rglob("*.jsonl") if "requests" not in path.name]
    assert rows
    for path in rows:
        path.unlink()
    assert places(tmp_path) == {}


def test_a_key_that_a_row_repeats_is_hidden(make_lab: Callable[..., Lab]) -> None:
    """The error of one request has the vendor's words without the key."""
    key = SECRETS["openaiArgument"]

    def refusing(endpoint: str, body: Any) -> tuple[int, Any]:
        del endpoint, body
        return 401, {"error": {"message": f"Incorrect API key provided: {key}.", "code": "bad"}}

    lab = make_lab(answer=refusing)
    (result,) = lab.processor(api_key=key, max_attempts=1).process(["hello"])
    assert result.error is not None
    assert result.error.message == "Incorrect API key provided: ***."
    assert key not in repr(result) + result.error.model_dump_json()


@pytest.mark.parametrize("kind", [OpenAIProcessor, AnthropicProcessor, GeminiProcessor])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://user:{}@api.example/v1", "must not hold a name, a password or a query"),
        ("https://{}@api.example/v1", "must not hold a name, a password or a query"),
        ("https://api.example/v1?key={}", "must not hold a name, a password or a query"),
        ("ftp://api.example/{}", "must begin with https"),
        ("api.example", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
    ],
)
def test_an_address_with_a_secret_is_refused(
    kind: Callable[..., NativeProcessor], url: str, reason: str
) -> None:
    """Addresses are logged and recorded; the refusal does not repeat the secret."""
    secret = SECRETS["address"]
    with pytest.raises(UsageError, match=reason) as caught:
        kind(model="m", api_key="k", base_url=url.format(secret)).process(["x"])
    if "ftp" not in url:
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMBx-1_2.3",
        "pa-Ab3dE6gH9jKl2nOp5rSt8vWx1zAb4dE6gH9jKl2nOp",
        "https://h/upload?key=abcdef123456",
        "https://h/upload?upload_id=1&access_token=abcdef123456",
        "http://user:abcdef123456@proxy:3128",
        "authorization: Basic dXNlcjphYmNkZWYxMjM0NTY=",
        "-----BEGIN PRIVATE KEY-----\nabcdef123456\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\\nabcdef123456",
    ],
)
def test_secrets_are_known_by_their_form(secret: str) -> None:
    """Also those of proxies, of Google's access tokens and of service accounts."""
    masked = mask(f"it failed ({secret}) again")
    assert "***" in masked
    for part in ("abcdef123456", "dXNlcjphYmNk", "a0AfH6SMBx", "Ab3dE6gH9jKl2"):
        assert part not in masked


@pytest.mark.parametrize(
    "text",
    [
        "see https://docs.example.com/errors?page=2#key",
        "Basic authentication is off; the key of the row is al-1",
        "pa-rallel al-ready monkey=1 http://127.0.0.1:8080/v1 a@b.c",
        "12:30 https://example.com/a:b@c",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    """An error without a secret says all that it said."""
    assert mask(text) == text


def test_short_words_are_not_taken_for_keys() -> None:
    """A server of one's own may have the key ``test``; every error would be full of stars."""
    hide("test", None, "")
    assert mask("the test failed") == "the test failed"
